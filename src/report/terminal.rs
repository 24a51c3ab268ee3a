//! Progress as a bar, on a terminal.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Report, Reporter, Style, progress_line, render, running_lines};
use crate::monitor::Progress;

/// Draws a bar, the counts and what is running on standard error, and writes the report to standard output.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    style: Style,
}

impl Terminal {
    /// Draws nothing before the first progress.
    pub fn new(style: Style) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(template) = ProgressStyle::with_template("[{bar:30}] {msg}") {
            bar.set_style(template.progress_chars("=> "));
        }
        Self { bar, style }
    }
}

impl Reporter for Terminal {
    fn progress(&mut self, progress: &Progress) {
        self.bar
            .set_length(u64::try_from(progress.total).unwrap_or(u64::MAX));
        self.bar
            .set_position(u64::try_from(progress.settled()).unwrap_or(u64::MAX));
        self.bar.set_message(picture(progress));
    }

    fn message(&mut self, line: &str) {
        let written = self.bar.suspend(|| writeln!(io::stderr(), "{line}"));
        if let Err(error) = written {
            log::debug!("cannot write to standard error: {error}");
        }
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        // The report says it all; a bar above it would only be in the way.
        self.bar.finish_and_clear();
        let mut to = io::stdout().lock();
        to.write_all(render(report, self.style).as_bytes())?;
        to.flush()
    }
}

impl Drop for Terminal {
    /// A run that ends without a report must not leave half a bar behind.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn picture(progress: &Progress) -> String {
    let running = running_lines(progress)
        .into_iter()
        .map(|line| format!("\n  {line}"));
    std::iter::once(progress_line(progress))
        .chain(running)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Instant,
    };

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::report::progress_line::tests::progress;

    /// A terminal that remembers what was written to it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            160
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_shows_counts_and_what_is_running() {
        let paper = Paper::default();
        let mut reporter = Terminal::new(Style::Plain);
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        reporter.bar.set_draw_target(target);
        reporter.progress(&progress(Instant::now()));
        reporter.bar.force_draw();
        let drawn = paper.0.lock().unwrap().clone();
        assert!(drawn.contains("[============>"), "{drawn}");
        assert!(
            drawn.contains("] 41 of 100 done, 40 ok, 1 failed"),
            "{drawn}"
        );
        assert!(drawn.contains("  db1:a 02_orders.sql, 12 s"), "{drawn}");
    }
}

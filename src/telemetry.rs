//! What the program says about itself while it works: log lines on standard error, in UTC.
//!
//! `RUST_LOG` works as everywhere; a level given on the command line wins over it. Without either, warnings and errors
//! are shown. Lines that users are meant to read do not come this way: they are the business of the report.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, PoisonError, RwLock},
};

use env_logger::{Builder, Target, WriteStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Starts the log. A second call changes nothing.
///
/// `level` is for the whole program and replaces `RUST_LOG`.
pub fn init(level: Option<LevelFilter>) {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Warn);
    match level {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    builder.format_timestamp_millis();
    builder.write_style(style());
    builder.target(Target::Pipe(Box::new(AroundProgress)));
    let logger = builder.build();
    let most = logger.filter();
    if log::set_boxed_logger(Box::new(Discreet(logger))).is_err() {
        log::debug!("the log was started before");
        return;
    }
    log::set_max_level(most);
}

/// Keeps back what drivers say of statements and rows, whatever `RUST_LOG` asks for: both may hold secrets.
struct Discreet<L>(L);

/// Whether a line may show a statement or a row.
fn is_indiscreet(metadata: &Metadata<'_>) -> bool {
    let is_of = |name: &str| {
        let rest = metadata.target().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    // The one logs rows at its lowest level and errors at its highest, the other statements below `info`.
    is_of("tiberius") || (is_of("tokio_postgres") && metadata.level() > Level::Info)
}

impl<L: Log> Log for Discreet<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !is_indiscreet(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !is_indiscreet(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Colours for people only: a pipe has no terminal that `env_logger` could ask.
fn style() -> WriteStyle {
    if colours(&io::stderr()) {
        WriteStyle::Always
    } else {
        WriteStyle::Never
    }
}

/// Whether text written to `stream` may carry colours: it is a terminal, and the user has not set `NO_COLOR`.
pub fn colours(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

/// Runs the closure that it gets while nothing else is drawn on the terminal.
type Suspend = dyn Fn(&mut dyn FnMut()) + Send + Sync;

static SUSPEND: RwLock<Option<Arc<Suspend>>> = RwLock::new(None);

/// Lets whoever draws on the terminal clear it around each log line, until the answer is dropped.
///
/// `suspend` has to call the closure that it gets, once, and must not log.
#[must_use = "the hook is removed when this is dropped"]
pub fn suspend_around_logs(
    suspend: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
) -> SuspendHook {
    set_hook(Some(Arc::new(suspend)));
    SuspendHook(())
}

fn set_hook(hook: Option<Arc<Suspend>>) {
    *SUSPEND.write().unwrap_or_else(PoisonError::into_inner) = hook;
}

/// Keeps log lines and a progress display apart while it lives.
pub struct SuspendHook(());

impl fmt::Debug for SuspendHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuspendHook")
    }
}

impl Drop for SuspendHook {
    fn drop(&mut self) {
        set_hook(None);
    }
}

/// Standard error, by way of the hook. `env_logger` hands over one whole line per call.
struct AroundProgress;

impl Write for AroundProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_around_progress(&mut io::stderr(), bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes `bytes` once, within the hook when there is one.
fn write_around_progress(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    // The lock is not held while the hook runs, so that a hook may be replaced from within it.
    let hook = SUSPEND
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut written = None;
    if let Some(hook) = hook {
        hook(&mut || {
            written.get_or_insert_with(|| to.write_all(bytes));
        });
    }
    written.unwrap_or_else(|| to.write_all(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_wish_for_the_log_shows_statements_or_rows() {
        let wish = "trace,tiberius::tds::stream=trace,tokio_postgres::query=trace";
        let logger = Discreet(Builder::new().parse_filters(wish).build());
        let shows = |target: &str, level| {
            logger.enabled(&Metadata::builder().target(target).level(level).build())
        };
        for target in ["tiberius", "tiberius::tds::stream::token"] {
            assert!(!shows(target, Level::Trace) && !shows(target, Level::Error));
        }
        assert!(!shows("tokio_postgres::query", Level::Debug));
        assert!(shows("tokio_postgres::query", Level::Info));
        assert!(shows("tiberius_of_somebody", Level::Trace) && shows("sbm", Level::Trace));
    }

    #[test]
    fn each_line_is_written_once_inside_the_hook_and_after_it() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let mut out = Vec::new();
        let hook = suspend_around_logs(|write| {
            CALLS.fetch_add(1, Ordering::SeqCst);
            write();
            write();
        });
        write_around_progress(&mut out, b"one\n").unwrap();
        drop(hook);
        write_around_progress(&mut out, b"two\n").unwrap();
        assert_eq!(out, b"one\ntwo\n");
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);

        let hook = suspend_around_logs(|_| {});
        write_around_progress(&mut out, b"three\n").unwrap();
        drop(hook);
        assert!(out.ends_with(b"three\n"), "a lazy hook loses no line");
    }
}

//! What commands write for the user.

use std::io::{self, ErrorKind, Write};

use crate::{Error, telemetry};

/// Writes `text` to standard output. A reader that has seen enough (`sbm list … | head -1`) is no error.
pub fn print(text: &str) -> Result<(), Error> {
    write(&mut io::stdout().lock(), text)
}

fn write(to: &mut impl Write, text: &str) -> Result<(), Error> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Output),
    }
}

/// Tells an error on standard error.
pub fn show_error(error: &Error) {
    let colours = telemetry::colours(&io::stderr());
    // There is no better place for an error when standard error is closed.
    drop(io::stderr().write_all(error_text(error, colours).as_bytes()));
}

fn error_text(error: &Error, colours: bool) -> String {
    let label = if colours {
        "\u{1b}[1;31merror:\u{1b}[0m"
    } else {
        "error:"
    };
    format!("{label} {}\n", error.chain())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        assert!(write(&mut Closed(ErrorKind::BrokenPipe), "x").is_ok());
        let error = write(&mut Closed(ErrorKind::StorageFull), "x").unwrap_err();
        assert_eq!(error.exit_code().code(), 3);
    }

    #[test]
    fn errors_are_coloured_only_where_colours_are_wanted() {
        assert_eq!(error_text(&Error::Cancelled, false), "error: cancelled\n");
        assert!(error_text(&Error::Cancelled, true).contains("\u{1b}[1;31m"));
    }
}

//! What a server says besides rows: prints, counts, further errors, and the ends of transactions.
//!
//! The driver shows these only as events of `tracing`, as text. One subscriber for the whole process hears them, for as
//! long as a session's future is polled and nowhere else; which session is meant is a value of the task. Nothing is
//! printed, no row is ever written out, and what is kept is bounded.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span,
};

/// The module of the driver that reads answers.
const SOURCE: &str = "tiberius::tds::stream::token";

/// What the driver writes when a statement ends.
const DONE: &str = "Done with status ";

/// Messages kept of a batch at most; a script that prints a million lines does not fill the memory.
const MAX_MESSAGES: usize = 1_000;

/// Counts kept of a batch at most.
const MAX_COUNTS: usize = 100_000;

/// The longest text of one event: more than the 4,000 characters that PRINT sends.
const MAX_TEXT: usize = 32 * 1024;

tokio::task_local! {
    static LISTENER: Tap;
}

/// Where one session's events go.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap(Arc<Mutex<Heard>>);

/// What was heard of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Prints, and what else the server says without an error.
    pub(super) messages: Vec<String>,
    /// For each statement with a count, the rows.
    pub(super) rows: Vec<u64>,
    /// Number and text of every error; the driver itself returns the first one only.
    pub(super) errors: Vec<(u32, String)>,
    /// What happened to transactions.
    pub(super) course: Course,
}

/// How errors and the ends of transactions followed each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) began: bool,
    pub(super) committed: bool,
    pub(super) rolled_back: bool,
    /// An error came before the first rollback.
    pub(super) error_before: bool,
    /// An error came after it.
    pub(super) error_after: bool,
    /// A statement succeeded after it.
    pub(super) success_after: bool,
}

impl Tap {
    /// Polls `work` and hears what the driver says meanwhile.
    pub(super) fn listen<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        // Two, though one hears: with a single dispatcher `tracing` decides for good whether anybody wants an event by asking
        // the thread that meets it first, which may be one where nobody listens.
        static EARS: OnceLock<[Dispatch; 2]> = OnceLock::new();
        let [ear, _] = EARS
            .get_or_init(|| [Dispatch::new(Ear), Dispatch::new(Ear)])
            .clone();
        LISTENER.scope(self.clone(), work).with_subscriber(ear)
    }

    /// What was heard since the last call.
    pub(super) fn take(&self) -> Heard {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, event: &Event<'_>) {
        let mut reader = Reader::new(*event.metadata().level() == Level::TRACE);
        event.record(&mut reader);
        let text = reader.text.text;
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *event.metadata().level() {
            Level::ERROR => heard.error(reader.code, text),
            Level::DEBUG if is_change(event.metadata(), &text) => heard.change(&text),
            Level::DEBUG => heard.say(text),
            Level::TRACE if !reader.text.refused => heard.done(&text),
            _ => {}
        }
    }
}

/// What the driver says of changes that every server tells of at login.
const CHANGES_AT_LOGIN: [&str; 3] = [
    "Database change from '",
    "Packet size change from '",
    "SQL collation change",
];

const BEGUN: &str = "Begin transaction";
const COMMITTED: &str = "Commit transaction";
const ROLLED_BACK: [&str; 2] = ["Rollback transaction", "Defect transaction"];

/// Whether the event is a change of the session, and not a print that reads like one.
///
/// Both have the same form, but each comes from its own line of the driver. Which one tells of changes is learnt at the first
/// login; until then the words decide.
fn is_change(metadata: &'static Metadata<'static>, text: &str) -> bool {
    static CHANGES: OnceLock<Identifier> = OnceLock::new();
    let login = CHANGES_AT_LOGIN
        .iter()
        .any(|prefix| text.starts_with(prefix));
    match CHANGES.get() {
        Some(place) => *place == metadata.callsite(),
        None if login => *CHANGES.get_or_init(|| metadata.callsite()) == metadata.callsite(),
        None => text == BEGUN || text == COMMITTED || ROLLED_BACK.contains(&text),
    }
}

impl Heard {
    fn error(&mut self, code: u64, text: String) {
        if self.course.rolled_back {
            self.course.error_after = true;
        } else {
            self.course.error_before = true;
        }
        if self.errors.len() < MAX_MESSAGES {
            self.errors.push((u32::try_from(code).unwrap_or(0), text));
        }
    }

    fn say(&mut self, text: String) {
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(text);
        }
    }

    fn change(&mut self, text: &str) {
        self.course.began |= text == BEGUN;
        self.course.committed |= text == COMMITTED;
        self.course.rolled_back |= ROLLED_BACK.contains(&text);
    }

    /// `Done with status BitFlags<DoneStatus>(0b10000, Count) (3 rows left)`; without the bracket no row.
    fn done(&mut self, text: &str) {
        let Some(rest) = text.strip_prefix(DONE) else {
            return;
        };
        let flags = rest.split(')').next().unwrap_or_default();
        if self.course.rolled_back && !flags.contains("Error") {
            self.course.success_after = true;
        }
        if flags.contains("Count") && self.rows.len() < MAX_COUNTS {
            let count = rest
                .rsplit_once('(')
                .and_then(|(_, tail)| tail.split(' ').next()?.parse().ok());
            self.rows.push(count.unwrap_or(0));
        }
    }
}

/// Hears the events of all sessions.
struct Ear;

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == SOURCE
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        // Outside of a session nobody listens.
        LISTENER.try_with(|tap| tap.hear(event)).ok();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Reads the fields of an event.
struct Reader {
    text: Text,
    code: u64,
}

impl Reader {
    fn new(only_done: bool) -> Self {
        let text = Text {
            text: String::new(),
            only_done,
            refused: false,
        };
        Self { text, code: 0 }
    }
}

impl Visit for Reader {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // An error means that the rest is not wanted.
            write!(self.text, "{value:?}").ok();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "code" {
            self.code = value;
        }
    }
}

/// A text with a limit, which refuses to take in a row of a result.
struct Text {
    text: String,
    only_done: bool,
    refused: bool,
}

impl Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.refused || self.text.len() >= MAX_TEXT {
            return Err(fmt::Error);
        }
        if self.only_done {
            let seen = self.text.len();
            let expected = DONE.bytes().skip(seen);
            if piece
                .bytes()
                .zip(expected)
                .any(|(byte, wanted)| byte != wanted)
            {
                self.refused = true;
                return Err(fmt::Error);
            }
        }
        let room = piece.floor_char_boundary(MAX_TEXT.saturating_sub(self.text.len()));
        self.text.push_str(piece.get(..room).unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(text: &str) -> Heard {
        let mut heard = Heard::default();
        heard.done(text);
        heard
    }

    #[test]
    fn counts_are_read_from_the_words_of_the_driver() {
        assert_eq!(
            done("Done with status BitFlags<DoneStatus>(0b10000, Count)").rows,
            [0]
        );
        assert_eq!(
            done("Done with status BitFlags<DoneStatus>(0b10001, More | Count) (1 row left)").rows,
            [1]
        );
        assert_eq!(
            done("Done with status BitFlags<DoneStatus>(0b10000, Count) (25 rows left)").rows,
            [25]
        );
        assert!(
            done("Done with status BitFlags<DoneStatus>(0b0) (25 rows left)")
                .rows
                .is_empty()
        );
        assert!(done("Something else").rows.is_empty());
    }

    #[test]
    fn the_order_of_errors_and_rollbacks_is_kept() {
        let mut heard = Heard::default();
        heard.error(1205, "dead-lock".into());
        heard.change("Rollback transaction");
        heard.done("Done with status BitFlags<DoneStatus>(0b10, Error)");
        let course = heard.course;
        assert!(course.error_before && course.rolled_back);
        assert!(!course.error_after && !course.success_after && !course.committed);

        let mut heard = Heard::default();
        heard.change("Rollback transaction");
        heard.done("Done with status BitFlags<DoneStatus>(0b1, More)");
        heard.error(50000, "mine".into());
        assert!(
            heard.course.success_after && heard.course.error_after && !heard.course.error_before
        );
    }

    #[test]
    fn a_row_is_not_written_out() {
        let mut text = Text {
            text: String::new(),
            only_done: true,
            refused: false,
        };
        assert!(text.write_str("Done with ").is_ok());
        assert!(text.write_str("status x").is_ok());
        let mut text = Text {
            text: String::new(),
            only_done: true,
            refused: false,
        };
        assert!(text.write_str("TokenRow { data: [").is_err());
        assert!(text.write_str("String(\"secret\")").is_err());
        assert_eq!(text.text, "");
    }

    #[test]
    fn a_flood_of_messages_is_cut() {
        let mut heard = Heard::default();
        for number in 0..5_000 {
            heard.say(format!("line {number}"));
            heard.error(1, "x".into());
        }
        assert_eq!(
            (heard.messages.len(), heard.errors.len()),
            (MAX_MESSAGES, MAX_MESSAGES)
        );
        let mut text = Text {
            text: String::new(),
            only_done: false,
            refused: false,
        };
        text.write_str(&"ä".repeat(MAX_TEXT)).ok();
        assert!(text.text.len() <= MAX_TEXT && text.write_str("x").is_err());
    }

    #[tokio::test]
    async fn an_event_that_was_met_without_a_listener_is_heard_later() {
        let tap = Tap::default();
        tap.listen(async {}).await;
        let speak =
            || tracing::event!(target: "tiberius::tds::stream::token", Level::DEBUG, "words");
        std::thread::spawn(speak).join().unwrap();
        tap.listen(async { speak() }).await;
        assert_eq!(tap.take().messages, ["words"]);
    }

    #[tokio::test]
    async fn two_sessions_hear_only_their_own() {
        let (one, two) = (Tap::default(), Tap::default());
        let speak = |words: &'static str| async move {
            for _ in 0..3 {
                tracing::event!(target: "tiberius::tds::stream::token", Level::DEBUG, "{words}");
                tracing::event!(target: "elsewhere", Level::DEBUG, "not this");
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(one.listen(speak("one")), two.listen(speak("two")));
        assert_eq!(one.take().messages, ["one"; 3]);
        assert_eq!(two.take().messages, ["two"; 3]);
        assert_eq!(one.take(), Heard::default());
    }
}

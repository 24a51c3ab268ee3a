//! How a job's queue is used, and what it is called.

use std::time::Duration;

use uuid::Uuid;

use crate::protocol::{Concurrency, ConcurrencyType, Platform, Target, WorkerLimits};

/// How a queue is used. All who use it must agree on job, run, platform, concurrency and lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name of the job, which names subscription and rule.
    pub job: String,
    /// The run. Messages of another run are put with the dead.
    pub run_id: Uuid,
    /// Where the targets live; it decides which spellings are one server.
    pub platform: Platform,
    /// `Count` allows each receiver `limit` deliveries at once. The other types allow one or `limit` of each session. A receiver
    /// never has more than `max_slots` at once.
    pub concurrency: Concurrency,
    /// How many sessions a receiver takes whoever else waits. It asks for more only now and then, so that others come first.
    pub sessions: usize,
    /// How long a lock lasts that is not renewed; at most five minutes.
    pub lock: Duration,
    /// How long a queue that nobody uses, and a message that nobody takes, is kept; at least five minutes.
    pub idle: Duration,
    /// A shorter wait for a target is prolonged to this, since what the service has can only be known by waiting for it.
    pub least_wait: Duration,
    /// How long a session that has nothing in flight is kept, and how long messages that nobody asks for.
    pub linger: Duration,
}

impl Options {
    /// One session to begin with, locks of a minute, kept for two days.
    pub fn new(job: &str, run_id: Uuid, platform: Platform, concurrency: Concurrency) -> Self {
        Self {
            job: job.to_lowercase(),
            run_id,
            platform,
            concurrency,
            sessions: 1,
            lock: WorkerLimits::MESSAGE_LOCK,
            idle: Duration::from_secs(48 * 60 * 60),
            least_wait: Duration::from_secs(1),
            linger: Duration::from_secs(1),
        }
    }

    pub(super) fn has_sessions(&self) -> bool {
        self.concurrency.kind != ConcurrencyType::Count
    }

    /// The name of the subscription, as the reference program has it.
    pub(super) fn subscription(&self) -> String {
        let end = if self.has_sessions() { "session" } else { "" };
        format!("{}{end}", self.job)
    }

    /// The session of a target's message. Where the limit is one for all it decides nothing but the partition.
    pub(super) fn session_of(&self, target: &Target) -> String {
        let group = target.group(self.platform, self.concurrency.kind);
        let group = group.unwrap_or_else(|| match &target.tag {
            Some(tag) if !tag.is_empty() => tag.clone(),
            _ => target.server.clone(),
        });
        fitting(group)
    }
}

/// What a session is called at most.
const SESSION_CHARS: usize = 128;

/// The name of the session of those that have none.
const NO_NAME: &str = "-";

fn fitting(group: String) -> String {
    use sha2::{Digest, Sha256};

    match group.chars().count() {
        0 => NO_NAME.to_owned(),
        1..=SESSION_CHARS => group,
        _ => format!(
            "sha256:{}",
            crate::package::hex_lower(&Sha256::digest(group.as_bytes()))
        ),
    }
}

/// How much one receiver may have at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) total: usize,
    pub(super) per_session: usize,
    /// The sessions that it takes in any case.
    pub(super) sessions: usize,
}

impl Limits {
    /// A limit of nothing would stand still for ever, so that 0 counts as 1.
    pub(super) fn new(options: &Options) -> Self {
        let Concurrency {
            kind,
            limit,
            max_slots,
        } = options.concurrency;
        let (limit, slots) = (limit.max(1), max_slots.max(1));
        let (total, per_session) = match kind {
            ConcurrencyType::Count => (slots.min(limit), limit),
            ConcurrencyType::Server | ConcurrencyType::Tag => (slots, 1),
            ConcurrencyType::MaxPerServer | ConcurrencyType::MaxPerTag => (slots, limit),
        };
        Self {
            total,
            per_session,
            sessions: options.sessions.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Pair;

    fn options(kind: ConcurrencyType) -> Options {
        let concurrency = Concurrency {
            kind,
            limit: 5,
            max_slots: 32,
        };
        Options::new("Nightly-42", Uuid::nil(), Platform::SqlServer, concurrency)
    }

    #[test]
    fn names_are_those_of_the_reference_program() {
        assert_eq!(options(ConcurrencyType::Count).subscription(), "nightly-42");
        let tagged = options(ConcurrencyType::MaxPerTag);
        assert_eq!(tagged.subscription(), "nightly-42session");
    }

    #[test]
    fn sessions_are_groups_and_fit() {
        let mut target = Target {
            server: "tcp:HOST,1433".into(),
            pairs: vec![Pair {
                default: String::new(),
                database: "d".into(),
            }],
            tag: Some("Pool".into()),
        };
        let of = |target: &Target, kind| options(kind).session_of(target);
        assert_eq!(of(&target, ConcurrencyType::Server), "host");
        assert_eq!(of(&target, ConcurrencyType::Tag), "Pool");
        assert_eq!(of(&target, ConcurrencyType::Count), "Pool");
        target.tag = None;
        assert_eq!(of(&target, ConcurrencyType::Count), "tcp:HOST,1433");
        assert_eq!(of(&target, ConcurrencyType::Tag), "-");
        target.tag = Some("x".repeat(129));
        let long = of(&target, ConcurrencyType::Tag);
        assert!(long.starts_with("sha256:") && long.len() <= SESSION_CHARS);
    }
}

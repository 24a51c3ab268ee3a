//! A target as a message: what the reference program reads, and beside it what only we do.

use fe2o3_amqp_types::messaging::{ApplicationProperties, Body, Message, MessageId, Properties};
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::Value;
use uuid::Uuid;

use super::{Options, body};
use crate::{
    azure::amqp::{bytes_of, encode},
    protocol::Target,
    queue::Purpose,
};

/// Our properties, which the reference program does not look at.
const RUN: &str = "SbmRun";
const PURPOSE: &str = "SbmPurpose";
const TARGET: &str = "SbmTarget";

/// The value of [`PURPOSE`] in a message that asks what became of a target.
const RECONCILE: &str = "Reconcile";
const BUILD: &str = "Build";

/// A message as it stands in a batch.
pub(super) fn write(
    target: &Target,
    purpose: Purpose,
    session: &str,
    options: &Options,
) -> Result<Vec<u8>, serde_amqp::Error> {
    let properties = Properties::builder()
        .message_id(MessageId::String(Uuid::new_v4().to_string()))
        .subject(options.job.clone())
        .group_id(session.to_owned())
        .build();
    let purpose = match purpose {
        Purpose::Build => BUILD,
        Purpose::Reconcile => RECONCILE,
    };
    let ours = ApplicationProperties::builder()
        .insert(RUN, options.run_id.to_string())
        .insert(PURPOSE, purpose)
        .insert(TARGET, target.key(options.platform).to_string())
        .build();
    encode(None, &properties, &ours, body::write(target))
}

/// What a message is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) target: Target,
    pub(super) purpose: Purpose,
    pub(super) session: Option<String>,
    /// How often it was delivered before.
    pub(super) deliveries: u32,
}

/// Why a message is none of this run: a word, and more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) reason: &'static str,
    pub(super) description: String,
}

/// Reads a message of the run, in the reference program's form or in ours.
pub(super) fn read(message: Message<Body<Value>>, options: &Options) -> Result<Content, Unfit> {
    let unfit = |reason, description| Unfit {
        reason,
        description,
    };
    let properties = message.properties.unwrap_or_default();
    let subject = properties.subject.unwrap_or_default();
    if !subject.trim().eq_ignore_ascii_case(&options.job) {
        let description = format!("its subject is `{subject}`, and the job `{}`", options.job);
        return Err(unfit("NotThisJob", description));
    }
    let ours = message.application_properties.unwrap_or_default();
    let run = string(&ours, RUN);
    if let Some(run) = run
        && run.parse() != Ok(options.run_id)
    {
        let description = format!("it is of run {run}, and the run is {}", options.run_id);
        return Err(unfit("AnotherRun", description));
    }
    let purpose = match string(&ours, PURPOSE) {
        Some(RECONCILE) => Purpose::Reconcile,
        None | Some(BUILD) => Purpose::Build,
        // Whoever does not know what is asked for must not build.
        Some(other) => {
            return Err(unfit("Malformed", format!("its purpose is `{other}`")));
        }
    };
    let bytes = bytes_of(message.body);
    let bytes = bytes.ok_or_else(|| unfit("Malformed", "its body is no text".to_owned()))?;
    let target = body::read(&bytes).map_err(|why| unfit("Malformed", why))?;
    Ok(Content {
        target,
        purpose,
        session: properties.group_id,
        deliveries: message.header.map_or(0, |header| header.delivery_count),
    })
}

/// A text among a message's own properties.
pub(super) fn string<'a>(properties: &'a ApplicationProperties, name: &str) -> Option<&'a str> {
    match properties.0.get(name) {
        Some(SimpleValue::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        azure::amqp::decode,
        protocol::{Concurrency, ConcurrencyType, Pair, Platform},
    };

    fn options() -> Options {
        let concurrency = Concurrency {
            kind: ConcurrencyType::Count,
            limit: 1,
            max_slots: 1,
        };
        Options::new("Job", Uuid::from_u128(7), Platform::SqlServer, concurrency)
    }

    fn target() -> Target {
        Target {
            server: "S".into(),
            pairs: vec![Pair {
                default: "a".into(),
                database: "b".into(),
            }],
            tag: None,
        }
    }

    fn written(purpose: Purpose) -> Message<Body<Value>> {
        decode(&write(&target(), purpose, "s", &options()).unwrap()).unwrap()
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for purpose in [Purpose::Build, Purpose::Reconcile] {
            let content = read(written(purpose), &options()).unwrap();
            assert_eq!((content.target, content.purpose), (target(), purpose));
            assert_eq!(content.session.as_deref(), Some("s"));
        }
        let properties = written(Purpose::Build).properties.unwrap();
        assert_eq!(properties.subject.as_deref(), Some("job"));
        let Some(MessageId::String(id)) = properties.message_id else {
            panic!("no text");
        };
        assert_eq!((id.len(), id.parse::<Uuid>().is_ok()), (36, true));
    }

    #[test]
    fn a_message_of_the_reference_program_is_of_this_run() {
        let mut message = written(Purpose::Build);
        message.application_properties = None;
        message.properties.as_mut().unwrap().subject = Some(" JOB ".into());
        let content = read(message, &options()).unwrap();
        assert_eq!(
            (content.target, content.purpose),
            (target(), Purpose::Build)
        );
    }

    #[test]
    fn what_is_not_of_this_run_is_told_apart() {
        let reason = |change: &dyn Fn(&mut Message<Body<Value>>)| {
            let mut message = written(Purpose::Build);
            change(&mut message);
            read(message, &options()).unwrap_err().reason
        };
        let set = |message: &mut Message<Body<Value>>, name: &str, value: &str| {
            let ours = message.application_properties.as_mut().unwrap();
            ours.0
                .insert(name.into(), SimpleValue::String(value.into()));
        };
        assert_eq!(reason(&|message| message.properties = None), "NotThisJob");
        let other = Uuid::from_u128(8).to_string();
        assert_eq!(reason(&|message| set(message, RUN, &other)), "AnotherRun");
        assert_eq!(reason(&|message| set(message, RUN, "x")), "AnotherRun");
        assert_eq!(
            reason(&|message| set(message, PURPOSE, "Drop")),
            "Malformed"
        );
        assert_eq!(reason(&|message| message.body = Body::Empty), "Malformed");
    }
}

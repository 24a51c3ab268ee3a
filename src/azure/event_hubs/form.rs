//! An event as it stands in the hub: the line of a structured logger that the reference program's monitor reads, with our own event
//! in a field of its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::protocol::{Event, EventKind, ResultLine, State};

/// What the line is about, for whoever reads it as the reference program does.
struct Message<'a> {
    level: &'static str,
    kind: &'static str,
    text: &'static str,
    server: &'a str,
    databases: String,
    tag: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message_template: &'static str,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties<'a> {
    log_msg: LogMsg<'a>,
    source_context: &'static str,
    sbm: &'a Event,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogMsg<'a> {
    type_tag: Option<()>,
    job_name: &'a str,
    message: &'a str,
    database_name: &'a str,
    server_name: &'a str,
    run_id: String,
    log_type: &'static str,
    source_dac_pac: &'static str,
    compute_host_name: &'a str,
    concurrency_tag: &'a str,
    script_log: Option<()>,
    #[serde(rename = "_typeTag")]
    tag: &'static str,
}

/// Writes an event of a worker; a line with its end.
pub(super) fn write(event: &Event, job: &str, worker: &str) -> Option<Vec<u8>> {
    let message = message(event);
    let line = Line {
        timestamp: event.at,
        level: message.level,
        message_template: "{@LogMsg}",
        properties: Properties {
            log_msg: LogMsg {
                type_tag: None,
                job_name: job,
                message: message.text,
                database_name: &message.databases,
                server_name: message.server,
                run_id: event.run_id.simple().to_string(),
                log_type: message.kind,
                source_dac_pac: "",
                compute_host_name: worker,
                concurrency_tag: message.tag,
                script_log: None,
                tag: "LogMsg",
            },
            source_context: "sbm",
            sbm: event,
        },
    };
    let mut bytes = serde_json::to_vec(&line).ok()?;
    bytes.extend(b"\r\n");
    Some(bytes)
}

fn message(event: &Event) -> Message<'_> {
    let progress = |text, server, databases| Message {
        level: "Debug",
        kind: "Message",
        text,
        server,
        databases,
        tag: "",
    };
    match &event.kind {
        EventKind::Started { name } => {
            let (server, databases) = name.rsplit_once(':').unwrap_or((name, ""));
            progress("Starting up thread", server, databases.to_owned())
        }
        EventKind::Script { .. } => {
            // The key names platform, server and databases.
            let mut parts = event.key.as_str().splitn(3, '|').skip(1);
            let server = parts.next().unwrap_or_default();
            progress(
                "Script",
                server,
                parts.next().unwrap_or_default().to_owned(),
            )
        }
        EventKind::Finished { line } => {
            let databases = line.target.databases().join(";");
            let server = &*line.target.server;
            if !line.is_final {
                return progress("Thread complete", server, databases);
            }
            let (level, kind) = if line.state.is_success() {
                ("Information", "Commit")
            } else {
                ("Error", "Error")
            };
            Message {
                level,
                kind,
                text: words(line),
                server,
                databases,
                tag: line.target.tag.as_deref().unwrap_or_default(),
            }
        }
    }
}

/// A result in the words of the reference program, where it has any.
fn words(line: &ResultLine) -> &'static str {
    match line.state {
        State::Committed => "Committed",
        State::AlreadyCommitted => "Already Committed",
        State::TrialRolledBack => "Success - Trial Rolled Back",
        State::RolledBack => "Rolled Back",
        State::Failed => "Error - Non Transactional",
        State::PartlyCommitted => "Partly Committed",
        State::Interrupted => "Interrupted",
        State::Busy => "Busy",
        State::Crashed => "Crashed",
        State::Skipped => "Skipped",
        State::Unknown => "Inconclusive",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    properties: StoredProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredProperties {
    log_msg: serde::de::IgnoredAny,
    sbm: Option<Event>,
}

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// One of ours.
    Event(Box<Event>),
    /// One of the reference program's, which does not say of which run it is.
    Foreign,
    /// No event.
    Malformed,
}

/// Reads an event of any run.
pub(super) fn read(bytes: &[u8]) -> Read {
    match serde_json::from_slice::<Stored>(bytes) {
        Ok(stored) => {
            let serde::de::IgnoredAny = stored.properties.log_msg;
            stored
                .properties
                .sbm
                .map_or(Read::Foreign, |event| Read::Event(Box::new(event)))
        }
        Err(_) => Read::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::protocol::{Pair, Platform, Target};

    fn finished(state: State) -> Event {
        let target = Target {
            server: "srv-a".into(),
            pairs: vec![Pair {
                default: "client".into(),
                database: "Tenant0001".into(),
            }],
            tag: Some("t".into()),
        };
        let key = target.key(Platform::SqlServer);
        let run_id = Uuid::from_u128(0x3f1c_0c0f_5e0b);
        let line = ResultLine::new(run_id, key.clone(), target, "w", state);
        Event {
            run_id,
            key,
            at: Timestamp::from_second(1_700_000_000).unwrap(),
            kind: EventKind::Finished {
                line: Box::new(line),
            },
        }
    }

    #[test]
    fn the_monitor_of_the_reference_program_finds_what_it_counts() {
        let bytes = write(&finished(State::Committed), "nightly-42", "w1").unwrap();
        assert!(bytes.ends_with(b"}\r\n") && !bytes[..bytes.len() - 2].contains(&b'\n'));
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(line["Level"], "Information");
        assert_eq!(line["MessageTemplate"], "{@LogMsg}");
        let expected = serde_json::json!({
            "TypeTag": null, "JobName": "nightly-42", "Message": "Committed", "DatabaseName": "Tenant0001",
            "ServerName": "srv-a", "RunId": "00000000000000000000".to_owned() + "3f1c0c0f5e0b", "LogType": "Commit",
            "SourceDacPac": "", "ComputeHostName": "w1", "ConcurrencyTag": "t", "ScriptLog": null, "_typeTag": "LogMsg"
        });
        assert_eq!(line["Properties"]["LogMsg"], expected);
        let bytes = write(&finished(State::RolledBack), "j", "w").unwrap();
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(line["Level"], "Error");
        assert_eq!(line["Properties"]["LogMsg"]["LogType"], "Error");
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let mut all = vec![finished(State::Failed)];
        for kind in [
            EventKind::Started {
                name: "s:a;b".into(),
            },
            EventKind::Script {
                script: "1.sql".into(),
            },
        ] {
            all.push(Event {
                kind,
                ..finished(State::Busy)
            });
        }
        for event in all {
            assert_eq!(
                read(&write(&event, "j", "w").unwrap()),
                Read::Event(Box::new(event))
            );
        }
    }

    #[test]
    fn what_is_no_event_of_ours_is_told_apart() {
        let foreign =
            br#"{"Level":"Debug","Properties":{"LogMsg":{"JobName":"j","LogType":"Message"}}}"#;
        assert_eq!(read(foreign), Read::Foreign);
        for bytes in [
            &b""[..],
            b"{}",
            br#"{"Properties":{}}"#,
            br#"{"Properties":{"LogMsg":1,"Sbm":1}}"#,
        ] {
            assert_eq!(read(bytes), Read::Malformed);
        }
    }
}

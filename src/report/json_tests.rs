use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{
    monitor::{
        Verdict,
        fixtures::{failed, line},
    },
    protocol::{ResultLine, State},
    report::{ExitCode, Run, document::tests::run},
};

const DOCUMENTATION: &str = include_str!("../../docs/output.md");
const SCHEMA: &str = include_str!("../../docs/schema/result.v1.json");

fn text(report: &Report) -> String {
    let mut bytes = Vec::new();
    write_json(&mut bytes, report).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn report(run: Run, lines: Vec<ResultLine>) -> Report {
    Report::new(run, &Verdict::new(lines))
}

/// The report that the documentation shows.
fn example() -> Report {
    report(
        run(),
        vec![
            line("db1", "a", State::Committed),
            failed(
                "db2",
                "b",
                "02_orders.sql",
                "relation \"orders\" does not exist",
            ),
            line("db2", "c", State::Skipped),
        ],
    )
}

/// A report in which nothing is left out.
fn full() -> Report {
    let run = Run {
        refused: Some("a script cannot run in a transaction".into()),
        cancelled: Some("SIGTERM".into()),
        service_failed: Some("queue".into()),
        halted: Some("budget".into()),
        left_over: vec!["pool".into()],
        ..run()
    };
    let states = [State::Committed, State::PartlyCommitted, State::RolledBack];
    let lines = states.map(|state| {
        let mut line = failed("s", &state.to_string(), "a.sql", "no");
        line.state = state;
        line.warnings.push("audit rows are pending".into());
        line.committed.push("b".into());
        line.missing.push("c".into());
        line
    });
    report(run, lines.into())
}

#[test]
fn standard_output_is_one_document_and_messages_go_elsewhere() {
    let mut json = Json::new(Vec::new(), Vec::new());
    json.message("a worker left");
    json.progress(&crate::report::progress_line::tests::progress(
        std::time::Instant::now(),
    ));
    json.finish(&example()).unwrap();
    assert_eq!(json.messages, b"a worker left\n");
    let document: Value = serde_json::from_slice(&json.report).unwrap();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["exitCode"], 1);
}

#[test]
fn the_documentation_shows_what_is_written() {
    let block = DOCUMENTATION.split("```json\n").nth(1).unwrap();
    let (shown, _) = block.split_once("```").unwrap();
    assert_eq!(shown, text(&example()));
}

#[test]
fn the_documentation_names_every_exit_code() {
    for code in ExitCode::ALL {
        let row = format!("| {} | `{}` |", code.code(), code.word());
        assert!(DOCUMENTATION.contains(&row), "{row}");
    }
}

#[test]
fn the_schema_describes_every_field_and_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut written = BTreeSet::new();
    for report in [example(), full(), report(run(), Vec::new())] {
        let document: Value = serde_json::from_str(&text(&report)).unwrap();
        let mut check = Check {
            schema: &schema,
            faults: Vec::new(),
        };
        check.value("", &schema, &document, &mut written);
        assert_eq!(check.faults, [""; 0]);
    }
    let mut described = BTreeSet::new();
    describe(&schema, "", &schema, &mut described);
    assert_eq!(written, described);
}

#[test]
fn the_schema_refuses_what_is_not_written() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let faults = |change: fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&text(&full())).unwrap();
        change(&mut document);
        let mut check = Check {
            schema: &schema,
            faults: Vec::new(),
        };
        check.value("", &schema, &document, &mut BTreeSet::new());
        check.faults
    };
    assert_eq!(
        faults(|document| document["version"] = 2.into()),
        ["/version: value"]
    );
    assert_eq!(
        faults(|document| document["status"] = "good".into()),
        ["/status: value"]
    );
    assert_eq!(
        faults(|document| document["totals"]["busy"] = "1".into()),
        ["/totals/busy: type"]
    );
    let removed = faults(|document| {
        document.as_object_mut().unwrap().remove("totals");
    });
    assert_eq!(removed, ["/totals: missing"]);
}

/// As much of JSON Schema as this schema uses.
struct Check<'a> {
    schema: &'a Value,
    faults: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, path: &str, schema: &Value, value: &Value, seen: &mut BTreeSet<String>) {
        let schema = resolve(self.schema, schema);
        let fits = match schema["type"].as_str() {
            None => true,
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some(other) => panic!("{other}"),
        };
        if !fits {
            self.faults.push(format!("{path}: type"));
        }
        let accepted = schema["enum"].as_array();
        if schema.get("const").is_some_and(|only| only != value)
            || accepted.is_some_and(|accepted| !accepted.contains(value))
        {
            self.faults.push(format!("{path}: value"));
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            if value.get(name).is_none() {
                self.faults.push(format!("{path}/{name}: missing"));
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            match schema["properties"].get(name) {
                Some(schema) => self.value(&path, schema, inner, seen),
                None => self.faults.push(format!("{path}: not described")),
            }
            seen.insert(path);
        }
        for inner in value.as_array().into_iter().flatten() {
            self.value(path, &schema["items"], inner, seen);
        }
    }
}

fn resolve<'a>(whole: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => whole.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Every path that the schema describes.
fn describe(whole: &Value, path: &str, schema: &Value, into: &mut BTreeSet<String>) {
    let schema = resolve(whole, schema);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        describe(whole, &path, inner, into);
        into.insert(path);
    }
    if schema.get("items").is_some() {
        describe(whole, path, &schema["items"], into);
    }
}

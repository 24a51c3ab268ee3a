//! What came of a query: the document, the text for people, and the lists.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Asked, Fate, Format, Gathered};
use crate::{
    protocol::{ErrorReport, Platform},
    report::{Command, ExitCode, List, shell_word},
    targets::format_line,
};

/// Failed databases in the document at most.
const MOST_LISTED: usize = 1_000;

/// Kinds of error in the text at most.
const MOST_KINDS: usize = 20;

/// Examples of each kind.
const MOST_EXAMPLES: usize = 3;

/// What is known of a query besides its fates.
#[derive(Clone, Debug)]
pub struct Summary {
    /// This query.
    pub run_id: Uuid,
    /// The query's file, or the option that holds it.
    pub query: String,
    /// Where the databases live.
    pub platform: Platform,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The form of the result.
    pub format: Format,
    /// Where the user wants the result; none for standard output.
    pub output_file: Option<String>,
    /// The folder of the lists.
    pub folder: String,
    /// The command that was typed.
    pub command: Command,
}

/// The outcome of a query; its JSON form is described in `docs/queries.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The version of this form.
    pub version: u32,
    /// Always `query`.
    pub kind: &'static str,
    /// This query.
    pub run_id: Uuid,
    /// The query's file, or the option that holds it.
    pub query: String,
    /// Where the databases live.
    pub platform: Platform,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// [`ExitCode::word`] of the exit code.
    pub status: &'static str,
    /// How the process ends.
    #[serde(skip)]
    pub ended: ExitCode,
    /// The number of [`Outcome::ended`].
    pub exit_code: u8,
    /// How the reference program would have ended.
    pub reference_code: i32,
    /// Who or what cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
    /// What was needed and failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_failed: Option<String>,
    /// The form of the result: `csv`, `jsonl` or `table`.
    pub format: &'static str,
    /// The file of the result; none when it went to standard output or was not written. A part of a result is not where the
    /// user wants the whole one when there is an older one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_file: Option<String>,
    /// [`Summary::output_file`].
    #[serde(skip)]
    pub wanted_file: Option<String>,
    /// How many databases ended how.
    pub totals: Totals,
    /// The first failed databases.
    pub failed: Vec<FailedDatabase>,
    /// How many more have failed.
    pub more_failed: usize,
    /// The files written besides the result.
    pub files: Vec<String>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// How many databases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All.
    pub targets: usize,
    /// Their rows are in the result.
    pub answered: usize,
    /// Nothing of them is in the result, because of an error.
    pub failed: usize,
    /// Nothing of them is in the result, because the whole ended first.
    pub skipped: usize,
    /// Rows in the result.
    pub rows: u64,
}

/// A database that has failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedDatabase {
    /// The server as the user wrote it.
    pub server: String,
    /// The database.
    pub database: String,
    /// Why.
    pub error: ErrorReport,
}

impl Outcome {
    /// The version of the JSON form.
    pub const VERSION: u32 = 1;

    /// The name of the document's file.
    pub const FILE_NAME: &str = "result.json";

    pub(crate) fn new(summary: Summary, asked: &[Asked], gathered: &Gathered) -> Self {
        let totals = Totals::of(&gathered.fates);
        let ended = ended(gathered, totals);
        let mut failed = failures(asked, gathered);
        let listed: Vec<FailedDatabase> = failed
            .by_ref()
            .take(MOST_LISTED)
            .map(|(asked, error)| FailedDatabase {
                server: asked.target.server.clone(),
                database: asked.database().to_owned(),
                error: error.clone(),
            })
            .collect();
        let more_failed = failed.count();
        let shown = |path: &PathBuf| path.display().to_string();
        let output_file = gathered.result.as_ref().map(shown);
        let file = |name: &str| Path::new(&summary.folder).join(name).display().to_string();
        let lists = [List::Success, List::Failure].map(List::file_name);
        let files = [Self::FILE_NAME].into_iter().chain(lists).map(file);
        Self {
            version: Self::VERSION,
            kind: "query",
            status: ended.word(),
            ended,
            exit_code: ended.code(),
            reference_code: reference_code(ended),
            cancelled: gathered.cancelled.clone(),
            service_failed: gathered.failed.clone(),
            format: summary.format.name(),
            next_steps: next_steps(
                &summary,
                output_file.is_some(),
                totals,
                file(List::Failure.file_name()),
            ),
            output_file,
            wanted_file: summary.output_file,
            totals,
            failed: listed,
            more_failed,
            files: files.collect(),
            run_id: summary.run_id,
            query: summary.query,
            platform: summary.platform,
            started: summary.started,
            finished: summary.finished,
        }
    }

    /// The document.
    pub fn to_json(&self) -> String {
        // Nothing in it is of a kind that JSON cannot hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The text for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let totals = self.totals;
        let answered = format!(
            "{}: {} of {} answered with {}",
            self.query,
            totals.answered,
            plural(totals.targets as u64, "database"),
            plural(totals.rows, "row")
        );
        line(&mut text, &answered);
        for (count, what) in [(totals.failed, "failed"), (totals.skipped, "not asked")] {
            if count > 0 {
                line(&mut text, &format!("{what}: {count}"));
            }
        }
        if let Some(who) = &self.cancelled {
            line(&mut text, &format!("cancelled by {who}"));
        }
        if let Some(what) = &self.service_failed {
            line(&mut text, &format!("error: {what}"));
        }
        if let Some(wanted) = &self.wanted_file {
            line(&mut text, &self.place(wanted));
        }
        self.kinds(&mut text);
        for step in &self.next_steps {
            line(&mut text, &format!("next: {step}"));
        }
        text
    }

    /// Where the result is, which was to go to the file `wanted`.
    fn place(&self, wanted: &str) -> String {
        let format = self.format;
        match &self.output_file {
            Some(file) if file == wanted => format!("result ({format}): {file}"),
            Some(file) => {
                format!("a part of the result ({format}): {file}; {wanted} is as it was")
            }
            None => format!("no result was written; {wanted} is as it was"),
        }
    }

    /// The errors, equal ones together.
    fn kinds(&self, text: &mut String) {
        type Kind<'a> = (&'a ErrorReport, Vec<String>);
        let mut kinds: Vec<Kind<'_>> = Vec::new();
        let mut places = HashMap::new();
        for failed in &self.failed {
            let error = &failed.error;
            let key = (error.line, error.column, &error.code, &error.message);
            let place = *places.entry(key).or_insert_with(|| {
                kinds.push((error, Vec::new()));
                kinds.len() - 1
            });
            if let Some((_, databases)) = kinds.get_mut(place) {
                databases.push(format!("{}:{}", failed.server, failed.database));
            }
        }
        for (error, databases) in kinds.iter().take(MOST_KINDS) {
            line(text, &format!("  {}", place_and_message(error)));
            let examples: Vec<&str> = databases
                .iter()
                .take(MOST_EXAMPLES)
                .map(String::as_str)
                .collect();
            let more = match databases.len().saturating_sub(MOST_EXAMPLES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            line(text, &format!("    in {}{more}", examples.join(", ")));
        }
        let unseen = kinds.iter().skip(MOST_KINDS).map(|(_, all)| all.len());
        match unseen.sum::<usize>() + self.more_failed {
            0 => {}
            more => line(
                text,
                &format!("  and {more} more, listed in the files below"),
            ),
        }
        if self.totals.failed > 0 {
            line(text, &format!("files: {}", self.files.join(", ")));
        }
    }
}

impl Totals {
    fn of(fates: &[Fate]) -> Self {
        let mut totals = Self {
            targets: fates.len(),
            ..Self::default()
        };
        for fate in fates {
            match fate {
                Fate::Answered(rows) => {
                    totals.answered += 1;
                    totals.rows += rows;
                }
                Fate::Failed(_) => totals.failed += 1,
                Fate::Skipped => totals.skipped += 1,
            }
        }
        totals
    }
}

/// The lines of a list that can be the `--override` of another command.
pub(crate) fn list(list: List, asked: &[Asked], gathered: &Gathered) -> String {
    let mut text = String::new();
    for (asked, fate) in asked.iter().zip(&gathered.fates) {
        let is_success = matches!(fate, Fate::Answered(_));
        if is_success == (list == List::Success) {
            text.push_str(&format_line(&asked.target));
            text.push('\n');
        }
    }
    text
}

fn failures<'a>(
    asked: &'a [Asked],
    gathered: &'a Gathered,
) -> impl Iterator<Item = (&'a Asked, &'a ErrorReport)> {
    let pairs = asked.iter().zip(&gathered.fates);
    pairs.filter_map(|(asked, fate)| match fate {
        Fate::Failed(error) => Some((asked, &**error)),
        _ => None,
    })
}

fn ended(gathered: &Gathered, totals: Totals) -> ExitCode {
    if gathered.cancelled.is_some() {
        ExitCode::Cancelled
    } else if gathered.failed.is_some() {
        ExitCode::ServiceFailed
    } else if totals.failed + totals.skipped > 0 {
        ExitCode::Failed
    } else {
        ExitCode::Succeeded
    }
}

/// The reference program knows but one failure of a query.
fn reference_code(ended: ExitCode) -> i32 {
    match ended {
        ExitCode::Succeeded => 0,
        _ => 6,
    }
}

fn next_steps(summary: &Summary, has_file: bool, totals: Totals, list: String) -> Vec<String> {
    let rest = totals.failed + totals.skipped;
    if rest == 0 {
        return Vec::new();
    }
    let first = match totals.failed {
        0 => "Ask",
        _ => "Correct the cause, then ask",
    };
    let another = match has_file {
        true => " (with another --outputfile)",
        false => "",
    };
    vec![format!(
        "{first} the rest ({}){another}: {} --override {}",
        plural(rest as u64, "database"),
        summary.command.base,
        shell_word(&list)
    )]
}

fn place_and_message(error: &ErrorReport) -> String {
    let place = match (&error.script, error.line, error.column) {
        (Some(script), Some(line), Some(column)) => format!("{script}:{line}:{column}: "),
        (Some(script), ..) => format!("{script}: "),
        _ => String::new(),
    };
    let code = match &error.code {
        Some(code) => format!(" ({code})"),
        None => String::new(),
    };
    format!("{place}{}{code}", error.message)
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").ok();
}

fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::form::tests::asked;

    fn failed(message: &str) -> Fate {
        Fate::Failed(Box::new(ErrorReport {
            script: Some("q.sql".into()),
            line: Some(1),
            column: Some(8),
            code: Some("42703".into()),
            message: message.into(),
            ..ErrorReport::default()
        }))
    }

    fn outcome(fates: Vec<Fate>, cancelled: Option<&str>) -> (Outcome, Vec<Asked>, Gathered) {
        let all: Vec<Asked> = (0..fates.len())
            .map(|number| asked(&format!("d{number}")))
            .collect();
        let gathered = Gathered {
            result: fates.contains(&Fate::Answered(3)).then(|| "out.csv".into()),
            fates,
            cancelled: cancelled.map(str::to_owned),
            failed: None,
        };
        let summary = Summary {
            run_id: Uuid::nil(),
            query: "q.sql".into(),
            platform: Platform::Sqlite,
            started: Timestamp::UNIX_EPOCH,
            finished: Timestamp::UNIX_EPOCH,
            format: Format::Csv,
            output_file: Some("out.csv".into()),
            folder: "logs/query".into(),
            command: Command {
                base: "sbm threaded query --queryfile q.sql".into(),
                targets: "--override a.cfg".into(),
                ..Command::default()
            },
        };
        (Outcome::new(summary, &all, &gathered), all, gathered)
    }

    #[test]
    fn the_exit_code_says_the_worst() {
        let code = |fates, cancelled| outcome(fates, cancelled).0.exit_code;
        assert_eq!(code(vec![Fate::Answered(1), Fate::Answered(0)], None), 0);
        assert_eq!(code(vec![Fate::Answered(1), failed("x")], None), 1);
        assert_eq!(code(vec![Fate::Skipped, failed("x")], Some("Ctrl-C")), 130);
        assert_eq!(outcome(vec![failed("x")], None).0.reference_code, 6);
    }

    #[test]
    fn failed_databases_are_told_and_listed_with_the_next_command() {
        let fates = vec![
            failed("no x"),
            Fate::Answered(3),
            failed("no x"),
            Fate::Skipped,
        ];
        let (outcome, asked, gathered) = outcome(fates, None);
        let text = outcome.to_text();
        for part in [
            "q.sql: 1 of 4 databases answered with 3 rows\nfailed: 2\nnot asked: 1\n",
            "  q.sql:1:8: no x (42703)\n    in s:d0, s:d2\n",
            "next: Correct the cause, then ask the rest (3 databases) (with another --outputfile): \
             sbm threaded query --queryfile q.sql --override logs/query/failuredatabases.cfg\n",
        ] {
            assert!(text.contains(part), "{part}\n--\n{text}");
        }
        assert_eq!(list(List::Failure, &asked, &gathered), "s:d0\ns:d2\ns:d3\n");
        assert_eq!(list(List::Success, &asked, &gathered), "s:d1\n");
        let document: serde_json::Value = serde_json::from_str(&outcome.to_json()).unwrap();
        assert_eq!(document["kind"], "query");
        assert_eq!(document["totals"]["rows"], 3);
        assert_eq!(document["failed"][1]["database"], "d2");
    }

    #[test]
    fn a_large_failure_makes_a_small_report() {
        let fates = (0..5_000).map(|number| failed(&format!("no {number}")));
        let (outcome, ..) = outcome(fates.collect(), None);
        assert_eq!((outcome.failed.len(), outcome.more_failed), (1_000, 4_000));
        assert!(outcome.to_text().contains("and 4980 more"));
    }
}

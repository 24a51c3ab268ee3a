//! The report as data: what every form of output is rendered from.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Command, ExitCode, List, Situation, decide, holding, next_steps, paths, reference_code,
};
use crate::{
    monitor::{Cluster, ServerRow, Totals, Verdict, build_time, clusters, servers},
    protocol::{ErrorReport, PackageRef, Platform, ResultLine, State},
    worker::log_path,
};

/// What is known of a run beside its verdict.
#[derive(Clone, Debug)]
pub struct Run {
    /// The run.
    pub run_id: Uuid,
    /// What was built.
    pub package: PackageRef,
    /// Where the targets live.
    pub platform: Platform,
    /// Whether everything was to be rolled back at its end.
    pub trial: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Why the input was refused after all.
    pub refused: Option<String>,
    /// Who or what cancelled it.
    pub cancelled: Option<String>,
    /// Which service or backend failed.
    pub service_failed: Option<String>,
    /// Why it was halted.
    pub halted: Option<String>,
    /// What could not be removed.
    pub left_over: Vec<String>,
    /// The folder to which [`write_all`](super::write_all) writes.
    pub folder: Option<PathBuf>,
    /// The folder in which the worker keeps a log of each target.
    pub database_logs: Option<PathBuf>,
    /// The command that was typed, for the next steps.
    pub command: Option<Command>,
}

/// The report of a run; its JSON form is described in `docs/output.md` and `docs/schema/result.v1.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The run.
    pub run_id: Uuid,
    /// What was built.
    pub package: PackageRef,
    /// Where the targets live.
    pub platform: Platform,
    /// Whether everything was to be rolled back at its end.
    pub trial: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// [`ExitCode::word`] of the exit code.
    pub status: &'static str,
    /// How the process ends.
    #[serde(skip)]
    pub ended: ExitCode,
    /// The number of [`Report::ended`].
    pub exit_code: u8,
    /// Every exit code that applies, the process's first.
    pub exit_codes: Vec<u8>,
    /// How the reference program would have ended.
    pub reference_code: i32,
    /// Why the input was refused after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Who or what cancelled the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
    /// Which service or backend failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_failed: Option<String>,
    /// Why the run was halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// What could not be removed.
    pub left_over: Vec<String>,
    /// How many targets ended in which state.
    pub totals: Totals,
    /// The outcome by server, the troubled ones first.
    pub servers: Listing<ServerRow>,
    /// The kinds of error, the most frequent first.
    pub clusters: Listing<Cluster>,
    /// Targets that are neither successful nor unresolved nor skipped.
    pub failed: Listing<TargetReport>,
    /// Targets at which a person must look before they are run again.
    pub unresolved: Listing<TargetReport>,
    /// Successful targets with something to say nevertheless.
    pub warnings: Listing<TargetReport>,
    /// The paths of the files written.
    pub files: Vec<String>,
    /// The folder that holds a log of each target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_logs: Option<String>,
    /// What to do next, one sentence each.
    pub next_steps: Vec<String>,
}

/// The first of a list, and how many more there are: reports stay small, whatever the size of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing<T> {
    /// The first [`Report::MOST_LISTED`].
    pub listed: Vec<T>,
    /// How many are not listed.
    pub more: usize,
}

/// A target that is worth a mention.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    /// The server as the user wrote it.
    pub server: String,
    /// The real databases.
    pub databases: Vec<String>,
    /// What became of it.
    pub state: State,
    /// How long the build took; none when nothing was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How often the build was repeated.
    pub retries: u32,
    /// The errors, the decisive one first; at most [`TargetReport::MOST_ERRORS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorReport>,
    /// What went wrong without changing the state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The databases that are committed, where not all are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub committed: Vec<String>,
    /// The databases that are not committed, where some are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The file that tells every batch of the build; none when no worker began it, or where logs are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Report {
    /// The version of the JSON form.
    pub const VERSION: u32 = 1;

    /// How many entries each list holds at most.
    pub const MOST_LISTED: usize = 1_000;

    /// The report on `run`.
    pub fn new(run: Run, verdict: &Verdict) -> Self {
        let situation = situation(&run, verdict.totals());
        let next_steps = next_steps(&run, &situation.totals);
        let targets = |belongs: fn(&ResultLine) -> bool| {
            let lines = verdict.lines().iter().filter(|line| belongs(line));
            Listing::of(lines, |line| {
                TargetReport::of(line, run.database_logs.as_deref())
            })
        };
        Self {
            version: Self::VERSION,
            status: decide(&situation).word(),
            ended: decide(&situation),
            exit_code: decide(&situation).code(),
            exit_codes: holding(&situation)
                .into_iter()
                .map(ExitCode::code)
                .collect(),
            reference_code: reference_code(&situation),
            totals: situation.totals,
            servers: Listing::of(servers(verdict.lines(), run.platform), |row| row),
            clusters: Listing::of(clusters(verdict.lines()), |cluster| cluster),
            failed: targets(|line| {
                line.state != State::Skipped && List::of(line.state) == List::Failure
            }),
            unresolved: targets(|line| List::of(line.state) == List::Unresolved),
            warnings: targets(|line| line.state.is_success() && !line.warnings.is_empty()),
            files: run.folder.as_deref().map(shown_paths).unwrap_or_default(),
            database_logs: run.database_logs.as_deref().map(shown),
            next_steps,
            run_id: run.run_id,
            package: run.package,
            platform: run.platform,
            trial: run.trial,
            started: run.started,
            finished: run.finished,
            refused: run.refused,
            cancelled: run.cancelled,
            service_failed: run.service_failed,
            halted: run.halted,
            left_over: run.left_over,
        }
    }
}

impl<T> Listing<T> {
    fn of<S>(all: impl IntoIterator<Item = S>, entry: impl Fn(S) -> T) -> Self {
        let mut all = all.into_iter();
        let listed = all.by_ref().take(Report::MOST_LISTED).map(entry).collect();
        Self {
            listed,
            more: all.count(),
        }
    }

    /// How many there are in all.
    pub fn total(&self) -> usize {
        self.listed.len() + self.more
    }
}

impl TargetReport {
    /// How many errors are kept of a target.
    pub const MOST_ERRORS: usize = 3;

    fn of(line: &ResultLine, logs: Option<&Path>) -> Self {
        let began = !line.worker.is_empty();
        let databases = line.target.databases();
        Self {
            server: line.target.server.clone(),
            databases: databases.into_iter().map(str::to_owned).collect(),
            state: line.state,
            seconds: build_time(line).map(|time| time.as_secs_f64()),
            retries: line.retries,
            errors: line
                .errors
                .iter()
                .take(Self::MOST_ERRORS)
                .cloned()
                .collect(),
            warnings: line.warnings.clone(),
            committed: line.committed.clone(),
            missing: line.missing.clone(),
            log: logs
                .filter(|_| began)
                .map(|folder| shown(&log_path(folder, &line.target))),
        }
    }

    /// `server:databases`, as a user knows it.
    pub fn name(&self) -> String {
        format!("{}:{}", self.server, self.databases.join(";"))
    }
}

fn situation(run: &Run, totals: Totals) -> Situation {
    Situation {
        refused: run.refused.is_some(),
        cancelled: run.cancelled.is_some(),
        service_failed: run.service_failed.is_some(),
        halted: run.halted.is_some(),
        left_over: !run.left_over.is_empty(),
        totals,
    }
}

fn shown_paths(folder: &Path) -> Vec<String> {
    paths(folder).iter().map(|path| shown(path)).collect()
}

/// A path as text: one that is no Unicode must not cost a user the report.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::monitor::fixtures::{RUN, failed, line, start};

    /// A run of a minute and five seconds in which nothing special happened.
    pub(in crate::report) fn run() -> Run {
        Run {
            run_id: RUN,
            package: PackageRef {
                name: "orders".into(),
                build_hash: "0123456789ABCDEF0123456789ABCDEF01234567".into(),
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            },
            platform: Platform::PostgreSql,
            trial: false,
            started: start(),
            finished: start() + SignedDuration::from_secs(65),
            refused: None,
            cancelled: None,
            service_failed: None,
            halted: None,
            left_over: Vec::new(),
            folder: Some(PathBuf::from("logs")),
            database_logs: Some(PathBuf::from("logs/runs/1/databases")),
            command: None,
        }
    }

    #[test]
    fn every_target_that_did_not_succeed_is_in_one_list() {
        let lines = State::ALL
            .into_iter()
            .map(|state| line("s", &state.to_string(), state));
        let report = Report::new(run(), &Verdict::new(lines.collect()));
        let states = |list: &Listing<TargetReport>| -> Vec<State> {
            list.listed.iter().map(|target| target.state).collect()
        };
        let failed = [
            State::RolledBack,
            State::Failed,
            State::Busy,
            State::Crashed,
        ];
        assert_eq!(states(&report.failed), failed);
        let unresolved = [State::PartlyCommitted, State::Interrupted, State::Unknown];
        assert_eq!(states(&report.unresolved), unresolved);
        assert_eq!(report.exit_codes, [5, 1]);
        assert_eq!((report.status, report.reference_code), ("unknown", 1));
    }

    #[test]
    fn lists_are_cut_and_say_how_much_is_left_out() {
        let lines = (0..1_234).map(|number| failed(&format!("s{number}"), "d", "a.sql", "no"));
        let report = Report::new(run(), &Verdict::new(lines.collect()));
        assert_eq!(
            (report.failed.listed.len(), report.failed.more),
            (1_000, 234)
        );
        assert_eq!(
            (report.servers.listed.len(), report.servers.total()),
            (1_000, 1_234)
        );
        assert_eq!(report.clusters.listed[0].count, 1_234);
    }

    #[test]
    fn of_many_errors_of_a_target_the_first_are_kept() {
        let mut line = failed("s", "d", "a.sql", "first");
        line.errors = vec![line.errors[0].clone(); 9];
        let report = Report::new(run(), &Verdict::new(vec![line]));
        assert_eq!(report.failed.listed[0].errors.len(), 3);
    }

    #[test]
    fn warnings_of_successful_targets_are_kept() {
        let mut warned = line("s", "d", State::Committed);
        warned.warnings.push("audit rows are pending".into());
        let report = Report::new(
            run(),
            &Verdict::new(vec![warned, line("s", "e", State::Committed)]),
        );
        assert_eq!(report.warnings.total(), 1);
        assert_eq!(report.exit_code, 0);
    }
}

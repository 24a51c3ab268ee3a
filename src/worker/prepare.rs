//! The package made ready for one platform: once per run, shared by all targets.

use std::{ops::Range, time::Duration};

use uuid::Uuid;

use super::readable;
use crate::{
    engine::audit,
    package::{Package, Script},
    protocol::{BuildOptions, ErrorReport, JobSpec, Platform},
    sql::{self, Dialect, HazardKind, TokenValues},
};

/// A longer script is recorded by its hash and its beginning.
const AUDIT_WHOLE: usize = 1024 * 1024;

/// The beginning that is recorded of a long script.
const AUDIT_PART: usize = 64 * 1024;

/// The highest count of a `GO` line.
const MOST_REPEATS: u32 = 10_000;

/// Faults listed one by one; a package with more is told how many.
const FAULTS_LISTED: usize = 50;

/// The identity of the script that records `--buildrevision`; its name may be that of a script in the package.
const REVISION_ID: Uuid = Uuid::from_u128(0x5bd1_e995_70c3_8a4b_9f2e_61d8_04b7_3c11);

/// A package made ready.
#[derive(Debug)]
pub struct Prepared {
    /// The scripts in build order.
    pub scripts: Vec<PreparedScript>,
    /// Whether a build is one transaction: when that is asked for, and no statement is in the way.
    pub transactional: bool,
    /// Which statement is in the way of a transaction that was asked for.
    pub why_not_transactional: Option<String>,
    dialect: Dialect,
    tokens: TokenValues,
}

/// A script made ready.
#[derive(Debug)]
pub struct PreparedScript {
    /// Its file name.
    pub file: String,
    /// Its identity.
    pub id: Uuid,
    /// The database name that targets map.
    pub database: String,
    /// The reference program's hash of its text.
    pub hash: String,
    /// Recorded in the audit table.
    pub tag: String,
    /// Its text as it was written.
    pub text: String,
    /// What is sent, in order.
    pub batches: Vec<PreparedBatch>,
    /// On an error, undo this script.
    pub roll_back_on_error: bool,
    /// On an error, fail the build.
    pub causes_build_failure: bool,
    /// Do not run it where it has run before.
    pub run_once: bool,
    /// The time-out of each batch.
    pub timeout: Duration,
    /// Runs in the target's first database, whatever the pairs say.
    pub in_first_database: bool,
    /// Where its longest statement is, on servers that do not take every length.
    longest: Option<Longest>,
    /// The text without transaction statements, byte for byte in its place.
    code: String,
}

/// The longest statement of a script.
#[derive(Clone, Copy, Debug)]
struct Longest {
    batch: usize,
    offset: usize,
    bytes: usize,
}

/// One batch: what the server gets in one piece.
#[derive(Debug)]
pub struct PreparedBatch {
    /// What is sent.
    pub sql: String,
    /// How often.
    pub repeat: u32,
    /// The line of the script on which it begins, from 1.
    pub line: u32,
    range: Range<usize>,
}

/// What is wrong with a package for this platform and these options.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PackageFaults(pub Vec<String>);

impl Prepared {
    /// Reads every script. All faults are found before anything connects: texts that cannot be read, statements that this
    /// kind of build cannot run, and values that the audit table cannot hold.
    pub fn new(package: &Package, job: &JobSpec) -> Result<Self, PackageFaults> {
        let dialect = Dialect::from(job.platform);
        let tokens = TokenValues {
            description: job.build.description.clone(),
            package_hash: job.package.build_hash.clone(),
            file_name: job.package.name.clone(),
        };
        let mut prepared = Self {
            scripts: Vec::new(),
            transactional: job.build.transactional,
            why_not_transactional: None,
            dialect,
            tokens,
        };
        let mut faults = Vec::new();
        for script in &package.scripts {
            let ready = prepared.script(script, &job.build);
            faults.extend(readable::fault(script, &ready.text, dialect));
            prepared.scripts.push(ready);
        }
        if let Some(revision) = &job.build.build_revision {
            let script = prepared.revision_script(revision, job);
            prepared.scripts.push(script);
        }
        faults.extend(prepared.faults(job));
        faults.extend(prepared.look_for_commits(job));
        if job.build.trial && !job.build.transactional {
            faults.push(
                "a trial is rolled back, which a build that is not transactional cannot be"
                    .to_owned(),
            );
        }
        let faults = shortened(faults);
        if faults.is_empty() {
            Ok(prepared)
        } else {
            Err(PackageFaults(faults))
        }
    }

    /// On MySQL some statements commit whatever has been done, so that a package with one of them is never one transaction.
    /// What a trial would leave behind is a fault.
    fn look_for_commits(&mut self, job: &JobSpec) -> Vec<String> {
        let commits: Vec<String> = self
            .scripts
            .iter()
            .flat_map(|script| self.commits(script))
            .collect();
        let Some(first) = commits.first().filter(|_| job.build.transactional) else {
            return Vec::new();
        };
        if job.build.trial {
            let fault = |commit: &String| format!("{commit}, so a trial could not take it back");
            return commits.iter().map(fault).collect();
        }
        self.why_not_transactional = Some(format!(
            "{first}: this build is not one transaction, and what it has done before an error stays"
        ));
        self.transactional = false;
        Vec::new()
    }

    /// The statements of a script that commit, or may commit.
    fn commits(&self, script: &PreparedScript) -> Vec<String> {
        let lines = sql::LineIndex::new(&script.text);
        let hazards = sql::hazards(&script.code, self.dialect).into_iter();
        let commits = hazards.filter_map(|hazard| {
            let how = match hazard.kind {
                HazardKind::ImplicitCommit => "commits by itself",
                HazardKind::MayCommit => "may commit",
                _ => return None,
            };
            let (line, _) = lines.line_column(hazard.range.start);
            Some(format!("{}:{line}: {} {how}", script.file, hazard.what))
        });
        commits.collect()
    }

    /// The longest that one target's scripts may take.
    pub fn total_timeout(&self) -> Duration {
        self.scripts
            .iter()
            .flat_map(|script| {
                script
                    .batches
                    .iter()
                    .map(|batch| script.timeout.saturating_mul(batch.repeat))
            })
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Why a server that takes statements of `limit` bytes cannot run the script.
    pub fn too_long(&self, script: &PreparedScript, limit: usize) -> Option<ErrorReport> {
        let longest = script.longest.filter(|longest| longest.bytes > limit)?;
        let batch = script.batches.get(longest.batch)?;
        Some(ErrorReport {
            message: sql::too_long(longest.bytes, limit),
            ..self.report(script, batch, Some(longest.offset))
        })
    }

    /// The script file's line and column of a byte offset in what was sent.
    pub fn locate(
        &self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        offset: usize,
    ) -> (u32, u32) {
        let piece = script.code.get(batch.range.clone()).unwrap_or_default();
        let rendered = sql::replace_tokens(piece, self.dialect, &self.tokens);
        let offset = batch.range.start + rendered.original_offset(offset);
        sql::LineIndex::new(&script.text).line_column(offset.min(script.text.len()))
    }

    /// An error report that names the place in the script.
    pub fn report(
        &self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        offset: Option<usize>,
    ) -> ErrorReport {
        let (line, column) = match offset {
            Some(offset) => self.locate(script, batch, offset),
            None => (batch.line, 1),
        };
        let from = offset.unwrap_or(0).min(batch.sql.len());
        let statement = sql::statements(&batch.sql, self.dialect)
            .into_iter()
            .find(|range| from < range.end)
            .and_then(|range| batch.sql.get(range))
            .unwrap_or(&batch.sql);
        ErrorReport {
            script: Some(script.file.clone()),
            line: Some(line),
            column: offset.map(|_| column),
            statement: Some(sql::excerpt(statement)),
            ..ErrorReport::default()
        }
    }

    fn script(&self, script: &Script, options: &BuildOptions) -> PreparedScript {
        let text = script.text();
        let mut code = text.clone();
        if script.strip_transaction_text {
            code = sql::strip_transactions(&code, self.dialect).into_owned();
        }
        code = sql::blank_use(&code, self.dialect).into_owned();
        let batches = self.batches(&text, &code, options.transactional);
        let longest = (self.dialect == Dialect::MySql)
            .then(|| longest(&batches, self.dialect))
            .flatten();
        PreparedScript {
            file: script.file.clone(),
            id: script.id,
            database: script.database.clone(),
            hash: script.build_hash(),
            tag: script.tag.clone(),
            batches,
            roll_back_on_error: script.roll_back_on_error,
            causes_build_failure: script.causes_build_failure,
            run_once: !script.allow_multiple_runs,
            timeout: script.timeout.unwrap_or(options.default_script_timeout),
            in_first_database: false,
            text,
            longest,
            code,
        }
    }

    /// Splits the code at GO; without a transaction into single statements, so that none of them shares an implicit one.
    fn batches(&self, text: &str, code: &str, transactional: bool) -> Vec<PreparedBatch> {
        let single = !transactional && matches!(self.dialect, Dialect::Postgres | Dialect::Sqlite);
        let lines = sql::LineIndex::new(text);
        let mut batches = Vec::new();
        for batch in sql::batches(code, self.dialect) {
            let piece = code.get(batch.range.clone()).unwrap_or_default();
            let start = batch.range.start;
            let mut pieces = vec![batch.range];
            let mut repeat = batch.repeat;
            if single {
                let statements = sql::statements(piece, self.dialect);
                pieces = statements
                    .into_iter()
                    .map(|range| start + range.start..start + range.end)
                    .collect();
                if pieces.len() > 1 {
                    // The batch as a whole is repeated, not each of its statements.
                    pieces = (0..repeat.min(MOST_REPEATS))
                        .flat_map(|_| pieces.clone())
                        .collect();
                    repeat = 1;
                }
            }
            for range in pieces {
                let piece = code.get(range.clone()).unwrap_or_default();
                batches.push(PreparedBatch {
                    sql: sql::replace_tokens(piece, self.dialect, &self.tokens)
                        .text
                        .into_owned(),
                    repeat,
                    line: lines.line_column(range.start).0,
                    range,
                });
            }
        }
        batches
    }

    /// The script that records `--buildrevision`, as the reference program adds it to the packages that it makes.
    fn revision_script(&self, revision: &str, job: &JobSpec) -> PreparedScript {
        let table = match job.platform {
            Platform::SqlServer => "dbo.Versions",
            _ => "Versions",
        };
        let mut revision = revision.replace('\'', "''");
        if job.platform == Platform::MySql {
            revision = revision.replace('\\', r"\\");
        }
        let text = format!("INSERT INTO {table} (VersionNumber) VALUES ('{revision}')");
        let mut script = Script::new("Versions Insert.sql", text.into_bytes());
        script.id = REVISION_ID;
        let mut script = self.script(&script, &job.build);
        script.in_first_database = true;
        script
    }

    fn faults(&self, job: &JobSpec) -> Vec<String> {
        let mut faults: Vec<String> =
            too_long("package name", &job.package.name, audit::NAME_CHARS)
                .into_iter()
                .collect();
        faults.extend(too_long(
            "--description",
            &job.build.description,
            audit::DESCRIPTION_CHARS,
        ));
        for script in &self.scripts {
            let of = |what: &str| format!("{what} of script `{}`", script.file);
            faults.extend(too_long(&of("file name"), &script.file, audit::NAME_CHARS));
            faults.extend(too_long(&of("tag"), &script.tag, audit::TAG_CHARS));
            faults.extend(self.hazards(script, job.build.transactional));
            faults.extend(self.repeats(script));
        }
        faults
    }

    fn repeats(&self, script: &PreparedScript) -> Vec<String> {
        let lines = sql::LineIndex::new(&script.text);
        let batches = sql::batches(&script.code, self.dialect).into_iter();
        let many = batches.filter(|batch| batch.repeat > MOST_REPEATS);
        many.map(|batch| {
            let (line, _) = lines.line_column(batch.range.start);
            format!(
                "{}:{line}: GO {}; accepted are counts up to {MOST_REPEATS}",
                script.file, batch.repeat
            )
        })
        .collect()
    }

    fn hazards(&self, script: &PreparedScript, transactional: bool) -> Vec<String> {
        let lines = sql::LineIndex::new(&script.text);
        let mut faults = Vec::new();
        for hazard in sql::hazards(&script.code, self.dialect) {
            if let Some(advice) = advice(hazard.kind, transactional) {
                let (line, _) = lines.line_column(hazard.range.start);
                faults.push(format!("{}:{line}: {} {advice}", script.file, hazard.what));
            }
        }
        faults
    }
}

fn longest(batches: &[PreparedBatch], dialect: Dialect) -> Option<Longest> {
    let of_batch = |(batch, prepared): (usize, &PreparedBatch)| {
        let range = sql::longest_statement(&prepared.sql, dialect)?;
        Some(Longest {
            batch,
            offset: range.start,
            bytes: range.len(),
        })
    };
    batches
        .iter()
        .enumerate()
        .filter_map(of_batch)
        .max_by_key(|longest| longest.bytes)
}

/// What a kind of statement would do to the build; nothing where it does no harm.
fn advice(kind: HazardKind, transactional: bool) -> Option<&'static str> {
    match kind {
        HazardKind::EndsTransaction if transactional => Some(
            "would end the build's own transaction; let the package strip transaction statements \
             (`strip_transactions: true`, StripTransactionText), or build with --transactional false",
        ),
        HazardKind::NotInTransaction if transactional => Some(
            "cannot run in a transaction; move it to a package that is built with --transactional false",
        ),
        HazardKind::CopyStream => Some(
            "needs a client that sends or receives data, which a build is not; use INSERT, or a file of the server",
        ),
        HazardKind::ClientCommand => {
            Some("is a command of a client program, not SQL; leave it out")
        }
        HazardKind::ChangesDatabase => Some(
            "would leave the database that the target names; map the database in the target list",
        ),
        _ => None,
    }
}

fn shortened(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(FAULTS_LISTED);
    if more > 0 {
        faults.truncate(FAULTS_LISTED);
        faults.push(format!("and {more} more"));
    }
    faults
}

fn too_long(what: &str, value: &str, limit: usize) -> Option<String> {
    let chars = value.chars().count();
    (chars > limit).then(|| format!("{what} has {chars} characters; the audit table keeps {limit}"))
}

impl PreparedScript {
    /// What the audit table keeps of the text.
    pub fn audit_text(&self) -> &str {
        if self.text.len() <= AUDIT_WHOLE {
            return &self.text;
        }
        let end = self.text.floor_char_boundary(AUDIT_PART);
        self.text.get(..end).unwrap_or_default()
    }
}

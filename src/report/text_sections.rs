//! The parts of the text below the verdict; each is left out when it has nothing to say.

use std::{borrow::Cow, path::Path, time::Duration};

use super::{
    Listing, Report, Style, TargetReport,
    text::Paint,
    text_format::{duration, one_line, place, plural},
};
use crate::monitor::{Cluster, ServerRow};

/// How many rows, kinds of error and targets the text shows. The JSON form and the lists hold more.
const MOST_SERVERS: usize = 20;
const MOST_CLUSTERS: usize = 20;
const MOST_TARGETS: usize = 10;
const MOST_SERVERS_OF_CLUSTER: usize = 5;

/// How long a line of foreign text may be.
const MESSAGE_CHARS: usize = 300;

/// Lines under a heading.
pub(super) struct Section {
    pub(super) heading: Option<String>,
    pub(super) lines: Vec<String>,
}

impl Section {
    fn of(heading: impl Into<String>, lines: Vec<String>) -> Option<Self> {
        (!lines.is_empty()).then(|| Self {
            heading: Some(heading.into()),
            lines,
        })
    }
}

/// What ran, and for how long.
pub(super) fn run(report: &Report) -> Option<Section> {
    let taken = report.finished.duration_since(report.started);
    let taken = Duration::try_from(taken).unwrap_or_default();
    let package = &report.package;
    let digest: String = package.sha256.chars().take(12).collect();
    let lines = vec![
        format!("  run      {}", report.run_id),
        format!(
            "  package  {}, sha256 {digest}, {}",
            one_line(&package.name, 100),
            report.platform
        ),
        format!(
            "  time     {}, {}",
            report.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
            duration(taken)
        ),
    ];
    Some(Section {
        heading: None,
        lines,
    })
}

/// The table by server. One target needs no table.
pub(super) fn servers(report: &Report) -> Option<Section> {
    if report.totals.targets < 2 {
        return None;
    }
    let head = [
        "server", "targets", "ok", "failed", "not run", "unknown", "median", "slowest",
    ];
    let mut rows: Vec<[String; 8]> = vec![head.map(str::to_owned)];
    let shown = report.servers.listed.iter().take(MOST_SERVERS);
    rows.extend(shown.map(server_cells));
    let mut lines = table(&rows);
    lines.extend(rest(&report.servers, MOST_SERVERS, "server"));
    Section::of("Servers", lines)
}

fn server_cells(row: &ServerRow) -> [String; 8] {
    let count = |count: usize| match count {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), duration);
    [
        one_line(&row.server, 60),
        row.total.to_string(),
        count(row.committed),
        count(row.failed),
        count(row.skipped),
        count(row.unknown),
        time(row.median),
        time(row.slowest),
    ]
}

/// Columns as wide as their widest cell; the first is text, the others are numbers and end at the right.
fn table(rows: &[[String; 8]]) -> Vec<String> {
    let mut widths = [0; 8];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
            cells.collect()
        })
        .collect()
}

/// The kinds of error.
pub(super) fn clusters(report: &Report, style: Style) -> Option<Section> {
    let shown = report.clusters.listed.iter().take(MOST_CLUSTERS);
    let mut lines: Vec<String> = (1..)
        .zip(shown)
        .flat_map(|(number, cluster)| cluster_lines(number, cluster, style))
        .collect();
    lines.extend(rest(&report.clusters, MOST_CLUSTERS, "kind of error"));
    Section::of("Errors", lines)
}

fn cluster_lines(number: usize, cluster: &Cluster, style: Style) -> Vec<String> {
    let sample = &cluster.sample;
    let head = style.paint(Paint::Bad, cluster_head(cluster));
    let mut lines = vec![format!("  {number}. {head}")];
    lines.push(format!("     {}", one_line(&sample.message, MESSAGE_CHARS)));
    if let Some(statement) = &sample.statement {
        let statement = style.paint(Paint::Faint, one_line(statement, 200));
        lines.push(format!("     statement: {statement}"));
    }
    let examples: Vec<String> = cluster
        .examples
        .iter()
        .map(|name| one_line(name, 100))
        .collect();
    let examples = examples.join(", ");
    if cluster.count == 1 {
        lines.push(format!("     target: {examples}"));
    } else {
        lines.push(format!("     servers: {}", server_counts(cluster)));
        lines.push(format!("     for example: {examples}"));
    }
    lines
}

/// `script:line:column: error code, n targets`; an error without a script or code is told without.
fn cluster_head(cluster: &Cluster) -> String {
    let place = match one_line(&place(&cluster.sample), 200) {
        place if place.is_empty() => place,
        place => format!("{place} "),
    };
    let code = cluster.code.as_deref().map(|code| one_line(code, 40));
    let code = code
        .map(|code| format!("error {code}, "))
        .unwrap_or_default();
    format!("{place}{code}{}", plural(cluster.count, "target"))
}

fn server_counts(cluster: &Cluster) -> String {
    let shown = cluster.servers.iter().take(MOST_SERVERS_OF_CLUSTER);
    let mut parts: Vec<String> = shown
        .map(|entry| format!("{} ({})", one_line(&entry.server, 60), entry.count))
        .collect();
    let left = cluster.servers.len() + cluster.more_servers - parts.len();
    if left > 0 {
        parts.push(format!("and {}", plural(left, "more server")));
    }
    parts.join(", ")
}

/// Targets by name, with their state and what is known of it.
pub(super) fn targets(heading: &'static str, targets: &Listing<TargetReport>) -> Option<Section> {
    let shown = targets.listed.iter().take(MOST_TARGETS);
    let mut lines: Vec<String> = shown.flat_map(target_lines).collect();
    lines.extend(rest(targets, MOST_TARGETS, "target"));
    Section::of(heading, lines)
}

fn target_lines(target: &TargetReport) -> Vec<String> {
    let mut lines = vec![format!(
        "  {}  {}",
        one_line(&target.name(), 200),
        target.state
    )];
    if !target.missing.is_empty() {
        let (committed, missing) = (target.committed.join(", "), target.missing.join(", "));
        let line = format!("committed: {committed}; missing: {missing}");
        lines.push(format!("    {}", one_line(&line, MESSAGE_CHARS)));
    }
    let warnings = target.warnings.iter().take(3);
    lines.extend(warnings.map(|text| format!("    {}", one_line(text, MESSAGE_CHARS))));
    lines.extend(target.log.iter().map(|path| format!("    log: {path}")));
    lines
}

/// What stayed behind.
pub(super) fn left_over(report: &Report) -> Option<Section> {
    let lines = report
        .left_over
        .iter()
        .map(|name| format!("  {}", one_line(name, 300)));
    Section::of("Not removed", lines.collect())
}

/// Where everything is written down: the folder once, then names.
pub(super) fn files(report: &Report) -> Option<Section> {
    let paths: Vec<&Path> = report.files.iter().map(Path::new).collect();
    let folder = paths.first()?.parent()?;
    let names = paths.iter().filter_map(|path| path.file_name());
    let mut lines = wrapped(names.map(|name| name.to_string_lossy()));
    lines.extend(report.database_logs.iter().map(|logs| {
        let logs = Path::new(logs);
        let logs = logs.strip_prefix(folder).unwrap_or(logs);
        format!("  {}: a log of each target, by server", logs.display())
    }));
    Section::of(format!("Files in {}", folder.display()), lines)
}

/// Words with commas between them, on lines that fit a narrow terminal.
fn wrapped<'a>(words: impl Iterator<Item = Cow<'a, str>>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 76 => *line += &format!(", {word}"),
            Some(line) => {
                line.push(',');
                lines.push(format!("  {word}"));
            }
            None => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// What to do next.
pub(super) fn next_steps(report: &Report) -> Option<Section> {
    let lines = report.next_steps.iter().map(|step| format!("  - {step}"));
    Section::of("Next", lines.collect())
}

fn rest<T>(all: &Listing<T>, shown: usize, noun: &str) -> Option<String> {
    let left = all.total().saturating_sub(shown);
    if left == 0 {
        return None;
    }
    // "kinds of error", but "servers".
    Some(match noun.split_once(' ') {
        Some((noun, rest)) => format!("  and {} {rest}", plural(left, &format!("more {noun}"))),
        None => format!("  and {}", plural(left, &format!("more {noun}"))),
    })
}

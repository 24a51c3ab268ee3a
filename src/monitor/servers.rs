//! The outcome by server.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use serde::{Serialize, Serializer};

use super::{Totals, build_time};
use crate::{
    package::natural_order,
    protocol::{Platform, ResultLine, normal_server},
};

/// What became of the targets on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRow {
    /// The server, as it was written first.
    pub server: String,
    /// All its targets.
    pub total: usize,
    /// Targets that succeeded, also on a trial.
    pub committed: usize,
    /// Targets in which something went wrong.
    pub failed: usize,
    /// Targets that were not run.
    pub skipped: usize,
    /// Targets without a final state.
    pub unknown: usize,
    /// What the build of half of its targets stayed below; none when nothing was built.
    #[serde(
        rename = "medianSeconds",
        serialize_with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub median: Option<Duration>,
    /// The longest build.
    #[serde(
        rename = "slowestSeconds",
        serialize_with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub slowest: Option<Duration>,
}

/// One row per server: those with most failed and unknown targets first, then by name.
///
/// Spellings of one server, such as `tcp:HOST,1433` and `host`, are one row.
pub fn servers(lines: &[ResultLine], platform: Platform) -> Vec<ServerRow> {
    let mut spellings: HashMap<&str, usize> = HashMap::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<Gathered<'_>> = Vec::new();
    for line in lines {
        let written = line.target.server.as_str();
        let place = *spellings.entry(written).or_insert_with(|| {
            let normal = normal_server(platform, written);
            *places.entry(normal).or_insert_with(|| {
                found.push(Gathered::new(written));
                found.len() - 1
            })
        });
        if let Some(gathered) = found.get_mut(place) {
            gathered.totals.add(line.state);
            gathered.times.extend(build_time(line));
        }
    }
    let mut rows: Vec<ServerRow> = found.into_iter().map(Gathered::into_row).collect();
    rows.sort_by(|left, right| {
        let rank = |row: &ServerRow| Reverse(row.failed + row.unknown);
        rank(left)
            .cmp(&rank(right))
            .then_with(|| natural_order(&left.server, &right.server))
    });
    rows
}

struct Gathered<'a> {
    server: &'a str,
    totals: Totals,
    times: Vec<Duration>,
}

impl<'a> Gathered<'a> {
    fn new(server: &'a str) -> Self {
        Self {
            server,
            totals: Totals::default(),
            times: Vec::new(),
        }
    }

    fn into_row(mut self) -> ServerRow {
        self.times.sort_unstable();
        ServerRow {
            server: self.server.to_owned(),
            total: self.totals.targets,
            committed: self.totals.succeeded(),
            failed: self.totals.went_wrong(),
            skipped: self.totals.skipped,
            unknown: self.totals.unknown,
            median: self.times.get(self.times.len() / 2).copied(),
            slowest: self.times.last().copied(),
        }
    }
}

#[expect(
    clippy::ref_option,
    reason = "the signature is the one that serde calls"
)]
fn seconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(to)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        monitor::fixtures::{line, start},
        protocol::State,
    };

    fn took(server: &str, state: State, seconds: i64) -> ResultLine {
        let mut line = line(server, "d", state);
        line.finished = start() + SignedDuration::from_secs(seconds);
        line
    }

    #[test]
    fn every_server_has_one_row_with_its_troubles_first() {
        let lines = [
            took("host10", State::Committed, 1),
            took("host2", State::Committed, 9),
            took("HOST2:5432", State::TrialRolledBack, 1),
            took("host2", State::AlreadyCommitted, 100),
            took("host2", State::Committed, 3),
            took("bad", State::PartlyCommitted, 1),
            took("worse", State::Unknown, 1),
            took("worse", State::RolledBack, 4),
            took("worse", State::Skipped, 1),
        ];
        let rows = servers(&lines, Platform::PostgreSql);
        let order: Vec<&str> = rows.iter().map(|row| row.server.as_str()).collect();
        assert_eq!(order, ["worse", "bad", "host2", "host10"]);
        let worse = ServerRow {
            server: "worse".into(),
            total: 3,
            committed: 0,
            failed: 1,
            skipped: 1,
            unknown: 1,
            median: Some(Duration::from_secs(4)),
            slowest: Some(Duration::from_secs(4)),
        };
        assert_eq!(rows[0], worse);
        assert_eq!((rows[2].total, rows[2].committed), (4, 4));
        assert_eq!(rows[2].median, Some(Duration::from_secs(3)));
        assert_eq!(rows[2].slowest, Some(Duration::from_secs(9)));
    }

    #[test]
    fn a_server_where_nothing_was_built_has_no_times() {
        let rows = servers(&[took("s", State::Skipped, 1)], Platform::SqlServer);
        assert_eq!((rows[0].median, rows[0].slowest), (None, None));
        assert_eq!(servers(&[], Platform::SqlServer), []);
    }
}

//! Errors that are one error: the same script line, code and message in many databases.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map},
};

use serde::Serialize;

use super::mask_literals;
use crate::protocol::{ErrorReport, ResultLine};

/// One kind of error and where it occurred.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The targets that it ended.
    pub count: usize,
    /// The script file; none when the error has no script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The line in the script file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The server's error number or SQLSTATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message without what differs between databases.
    pub message: String,
    /// The servers on which it occurred, the most affected first; at most [`Cluster::MOST_SERVERS`].
    pub servers: Vec<ServerCount>,
    /// The servers that are not listed.
    pub more_servers: usize,
    /// The first targets in which it occurred; at most [`Cluster::MOST_EXAMPLES`].
    pub examples: Vec<String>,
    /// One of the errors as it was.
    pub sample: ErrorReport,
}

impl Cluster {
    /// How many targets are named.
    pub const MOST_EXAMPLES: usize = 3;

    /// How many servers are named.
    pub const MOST_SERVERS: usize = 100;
}

/// A server and a number of targets on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerCount {
    /// The server as the user wrote it.
    pub server: String,
    /// The targets.
    pub count: usize,
}

/// Groups the decisive errors of the targets that did not succeed, the most frequent first, then by script and line.
pub fn clusters(lines: &[ResultLine]) -> Vec<Cluster> {
    let mut places: HashMap<Identity<'_>, usize> = HashMap::new();
    let mut found: Vec<Gathered> = Vec::new();
    for line in lines.iter().filter(|line| !line.state.is_success()) {
        let Some(error) = line.errors.first() else {
            continue;
        };
        let place = match places.entry(Identity::of(error)) {
            hash_map::Entry::Occupied(place) => *place.get(),
            hash_map::Entry::Vacant(place) => {
                found.push(Gathered::new(error, place.key().message.clone()));
                *place.insert(found.len() - 1)
            }
        };
        if let Some(gathered) = found.get_mut(place) {
            gathered.add(line);
        }
    }
    let mut clusters: Vec<Cluster> = found.into_iter().map(Gathered::into_cluster).collect();
    clusters.sort_by(|left, right| rank(left).cmp(&rank(right)));
    clusters
}

#[derive(PartialEq, Eq, Hash)]
struct Identity<'a> {
    script: Option<&'a str>,
    line: Option<u32>,
    code: Option<&'a str>,
    message: String,
}

impl<'a> Identity<'a> {
    fn of(error: &'a ErrorReport) -> Self {
        Self {
            script: error.script.as_deref(),
            line: error.line,
            code: error.code.as_deref(),
            message: mask_literals(&error.message),
        }
    }
}

struct Gathered {
    cluster: Cluster,
    servers: HashMap<String, usize>,
}

impl Gathered {
    fn new(error: &ErrorReport, message: String) -> Self {
        let cluster = Cluster {
            count: 0,
            script: error.script.clone(),
            line: error.line,
            code: error.code.clone(),
            message,
            servers: Vec::new(),
            more_servers: 0,
            examples: Vec::new(),
            sample: error.clone(),
        };
        Self {
            cluster,
            servers: HashMap::new(),
        }
    }

    fn add(&mut self, line: &ResultLine) {
        self.cluster.count += 1;
        if self.cluster.examples.len() < Cluster::MOST_EXAMPLES {
            self.cluster.examples.push(line.target.to_string());
        }
        match self.servers.get_mut(&line.target.server) {
            Some(count) => *count += 1,
            None => {
                self.servers.insert(line.target.server.clone(), 1);
            }
        }
    }

    fn into_cluster(self) -> Cluster {
        let mut servers: Vec<ServerCount> = self
            .servers
            .into_iter()
            .map(|(server, count)| ServerCount { server, count })
            .collect();
        servers.sort_by(|left, right| {
            (Reverse(left.count), &left.server).cmp(&(Reverse(right.count), &right.server))
        });
        let more_servers = servers.len().saturating_sub(Cluster::MOST_SERVERS);
        servers.truncate(Cluster::MOST_SERVERS);
        Cluster {
            servers,
            more_servers,
            ..self.cluster
        }
    }
}

fn rank(cluster: &Cluster) -> impl Ord + '_ {
    (
        Reverse(cluster.count),
        cluster.script.as_deref(),
        cluster.line,
        cluster.code.as_deref(),
        cluster.message.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        monitor::fixtures::{failed, line},
        protocol::State,
    };

    #[test]
    fn errors_that_differ_only_in_literals_are_one() {
        let lines = [
            failed("s2", "d1", "b.sql", "relation \"x1\" does not exist"),
            failed("s1", "d2", "b.sql", "relation \"x2\" does not exist"),
            failed("s1", "d3", "b.sql", "relation \"x3\" does not exist"),
            failed("s1", "d4", "b.sql", "relation \"x4\" does not exist"),
            failed("s3", "d5", "a.sql", "relation \"x1\" does not exist"),
            line("s1", "d6", State::Committed),
            line("s1", "d7", State::Crashed),
        ];
        let clusters = clusters(&lines);
        assert_eq!(clusters.len(), 2);
        let first = &clusters[0];
        assert_eq!(first.count, 4);
        assert_eq!(first.message, "relation \"?\" does not exist");
        assert_eq!(first.sample.message, "relation \"x1\" does not exist");
        assert_eq!(first.examples, ["s2:d1", "s1:d2", "s1:d3"]);
        let servers: Vec<(&str, usize)> = first
            .servers
            .iter()
            .map(|entry| (entry.server.as_str(), entry.count))
            .collect();
        assert_eq!(servers, [("s1", 3), ("s2", 1)]);
        assert_eq!(clusters[1].script.as_deref(), Some("a.sql"));
    }

    #[test]
    fn script_line_and_code_keep_errors_apart() {
        let mut other_line = failed("s", "b", "a.sql", "no");
        other_line.errors[0].line = Some(15);
        let mut other_code = failed("s", "c", "a.sql", "no");
        other_code.errors[0].code = Some("1".into());
        let lines = [other_line, failed("s", "a", "a.sql", "no"), other_code];
        let places: Vec<_> = clusters(&lines)
            .into_iter()
            .map(|cluster| (cluster.line.unwrap(), cluster.code.unwrap()))
            .collect();
        let expected = [(14, "1".into()), (14, "42P01".into()), (15, "42P01".into())];
        assert_eq!(places, expected);
    }

    #[test]
    fn of_many_servers_the_first_hundred_are_named() {
        let lines: Vec<ResultLine> = (0..150)
            .map(|number| failed(&format!("s{number}"), "d", "a.sql", "no"))
            .collect();
        let clusters = clusters(&lines);
        assert_eq!(
            (clusters[0].servers.len(), clusters[0].more_servers),
            (100, 50)
        );
    }

    #[test]
    fn errors_of_targets_that_succeeded_are_left_out() {
        let mut recovered = failed("s", "d", "a.sql", "no");
        recovered.state = State::Committed;
        assert_eq!(clusters(&[recovered]), []);
    }
}

//! Targets that share a database.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, hash_map::Entry},
    path::Path,
};

use crate::{
    protocol::{Pair, Platform, Target, TargetKey, normal_server},
    targets::{Fault, Listed},
};

/// What two targets of one list have in common.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// Targets that must not share a database, and those that name one in two ways.
    pub(super) faults: Vec<Fault>,
    /// The places of exact repeats, each with the place of what it repeats; only when those are allowed.
    pub(super) repeats: Vec<(usize, usize)>,
}

/// Compares all databases of all targets in one pass.
pub(super) fn find(platform: Platform, targets: &[Listed], allow_repeats: bool) -> Duplicates {
    let mut servers = Servers::new(platform);
    let mut owners: HashMap<(usize, Cow<'_, str>), usize> = HashMap::with_capacity(targets.len());
    let mut found = Duplicates::default();
    for (at, listed) in targets.iter().enumerate() {
        let target = &listed.target;
        let server = servers.id(&target.server);
        found.faults.extend(two_spellings(platform, listed));
        let mut others: Vec<usize> = Vec::new();
        for pair in &target.pairs {
            let database = identity(platform, target, &pair.database);
            let other = match owners.entry((server, database)) {
                Entry::Vacant(free) => *free.insert(at),
                Entry::Occupied(taken) => *taken.get(),
            };
            if other == at || others.contains(&other) {
                continue;
            }
            others.push(other);
            let Some(first) = targets.get(other) else {
                continue;
            };
            let is_repeat = is_repeat(platform, &first.target, target);
            if is_repeat && allow_repeats {
                found.repeats.push((at, other));
            } else {
                found
                    .faults
                    .push(fault(first, listed, &pair.database, is_repeat));
            }
        }
    }
    found
}

/// Numbers servers by their normal form, which is worked out once for each spelling.
struct Servers<'a> {
    platform: Platform,
    spellings: HashMap<&'a str, usize>,
    normal: HashMap<String, usize>,
}

impl<'a> Servers<'a> {
    fn new(platform: Platform) -> Self {
        Self {
            platform,
            spellings: HashMap::new(),
            normal: HashMap::new(),
        }
    }

    fn id(&mut self, server: &'a str) -> usize {
        if self.platform == Platform::Sqlite {
            // Folders overlap, so that there the path of the database itself is compared.
            return 0;
        }
        *self.spellings.entry(server).or_insert_with(|| {
            let next = self.normal.len();
            let normal = normal_server(self.platform, server);
            *self.normal.entry(normal).or_insert(next)
        })
    }
}

/// What makes a database one of its server; on `SQLite` the path of its file.
fn identity<'a>(platform: Platform, target: &'a Target, database: &'a str) -> Cow<'a, str> {
    if platform != Platform::Sqlite {
        return TargetKey::fold(platform, database);
    }
    let path = Path::new(&target.server).join(database);
    Cow::Owned(normal_server(platform, &path.to_string_lossy()))
}

/// Databases that one target names in two ways: it would wait for its own lock.
fn two_spellings(platform: Platform, listed: &Listed) -> Vec<Fault> {
    let target = &listed.target;
    // In the order of the line, and no more than one fault for each database.
    let mut first: HashMap<Cow<'_, str>, &str> = HashMap::new();
    let mut told: HashSet<Cow<'_, str>> = HashSet::new();
    let mut faults = Vec::new();
    for database in target.databases() {
        let identity = identity(platform, target, database);
        match first.entry(identity.clone()) {
            Entry::Vacant(free) => {
                free.insert(database);
            }
            Entry::Occupied(taken) if told.insert(identity) => {
                let message = format!(
                    "`{}` and `{database}` are the same database on `{}`; accepted is one spelling of it",
                    taken.get(),
                    target.server
                );
                faults.push(Fault::in_lines(vec![listed.line], message));
            }
            Entry::Occupied(_) => {}
        }
    }
    faults
}

/// Whether two targets on one server mean the same in every respect.
fn is_repeat(platform: Platform, first: &Target, second: &Target) -> bool {
    let pairs = |target: &Target| {
        let mut pairs: Vec<(String, String)> = target
            .pairs
            .iter()
            .map(|pair| {
                let default = Pair::fold(&pair.default).into_owned();
                (
                    default,
                    TargetKey::fold(platform, &pair.database).into_owned(),
                )
            })
            .collect();
        pairs.sort();
        pairs.dedup();
        pairs
    };
    first.tag == second.tag
        && normal_server(platform, &first.server) == normal_server(platform, &second.server)
        && pairs(first) == pairs(second)
}

fn fault(first: &Listed, second: &Listed, database: &str, is_repeat: bool) -> Fault {
    let (earlier, server) = (first.line, &second.target.server);
    let message = match is_repeat {
        true => format!(
            "repeats line {earlier} ({server}:{database}); accepted is each target once, or --allowduplicates"
        ),
        false => format!(
            "shares the database `{database}` on `{server}` with line {earlier}, and the lines differ; accepted is each \
             database once"
        ),
    };
    Fault::in_lines(vec![second.line], message)
}

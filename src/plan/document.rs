//! The plan as a document: equal inputs give equal bytes.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    package::hex_lower,
    protocol::{Concurrency, PackageRef, Platform, Target, TargetKey},
};

use super::{Groups, Waves};

/// What a run builds, where, and how many at once. It knows nothing of one run: no id, no time, no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The version of this form.
    pub version: u32,
    /// What is built.
    pub package: PackageRef,
    /// Where the targets live.
    pub platform: Platform,
    /// How many at once.
    pub concurrency: Concurrency,
    /// How many workers build.
    pub workers: usize,
    /// How many targets each wave has, in order; empty when all are one wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<usize>,
    /// The servers or tags that share a limit, in the order in which targets first mention them; empty when one limit is
    /// for all.
    pub groups: Vec<String>,
    /// The targets in the order of their list.
    pub targets: Vec<Planned>,
}

/// A target of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Its identity in every run of the plan.
    pub key: TargetKey,
    /// The place of its group among the plan's groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The target.
    #[serde(flatten)]
    pub target: Target,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number that must be at least 1 is 0.
    #[error("{name} is 0; accepted are numbers from 1")]
    Zero {
        /// What the number is.
        name: &'static str,
    },
    /// Nothing is to be built.
    #[error("there is no target to plan for")]
    NoTarget,
    /// The concurrency type groups by tag, and some targets have none.
    #[error("{count} targets have no tag, the first is {first}; this concurrency type needs one")]
    NoTag {
        /// How many there are.
        count: usize,
        /// The first, as a user knows it.
        first: String,
    },
    /// The document is from another version of this program.
    #[error("the plan has version {found}; accepted is {}", Plan::VERSION)]
    Version {
        /// What it says.
        found: u32,
    },
    /// The document is none.
    #[error("the plan cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl Plan {
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// Plans `targets`, which it takes over without copying them.
    pub fn new(
        package: PackageRef,
        platform: Platform,
        targets: Vec<Target>,
        concurrency: Concurrency,
        workers: usize,
    ) -> Result<Self, Error> {
        refuse_zeros(concurrency, workers)?;
        if targets.is_empty() {
            return Err(Error::NoTarget);
        }
        if concurrency.kind.needs_tag() {
            refuse_missing_tags(&targets)?;
        }
        let (groups, of) = match Groups::new(platform, &targets, concurrency.kind) {
            Some(groups) => (groups.names, groups.of),
            None => (Vec::new(), Vec::new()),
        };
        let planned = |(place, target): (usize, Target)| Planned {
            key: target.key(platform),
            group: of.get(place).copied(),
            target,
        };
        Ok(Self {
            version: Self::VERSION,
            package,
            platform,
            concurrency,
            workers,
            waves: Vec::new(),
            groups,
            targets: targets.into_iter().enumerate().map(planned).collect(),
        })
    }

    /// The same plan, with its targets enqueued in these waves: the first of the list first.
    #[must_use]
    pub fn in_waves(self, waves: &Waves) -> Self {
        let waves = waves.sizes(self.targets.len());
        Self { waves, ..self }
    }

    /// Reads what [`Plan::to_json`] wrote; other versions are refused by their number.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != Self::VERSION {
            return Err(Error::Version { found: version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The document. Equal plans have equal bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }

    /// The SHA-256 of the document, in lower-case hexadecimal digits.
    pub fn hash(&self) -> String {
        // Written through a buffer: the serializer hands over a few bytes at a time.
        let mut buffer = io::BufWriter::with_capacity(64 * 1024, Hasher(Sha256::new()));
        self.write_to(&mut buffer);
        let Hasher(digest) = buffer.into_inner().expect("a digest takes any bytes");
        hex_lower(&digest.finalize())
    }

    /// The targets with their keys, without copying them.
    pub fn into_targets(self) -> Vec<(TargetKey, Target)> {
        self.targets
            .into_iter()
            .map(|planned| (planned.key, planned.target))
            .collect()
    }

    fn write_to(&self, writer: impl io::Write) {
        serde_json::to_writer(writer, self).expect(
            "a plan holds strings and numbers only, and neither memory nor a digest refuses bytes",
        );
    }
}

fn refuse_zeros(concurrency: Concurrency, workers: usize) -> Result<(), Error> {
    let numbers = [
        ("the concurrency", concurrency.limit),
        ("the number of slots", concurrency.max_slots),
        ("the number of workers", workers),
    ];
    match numbers.into_iter().find(|(_, number)| *number == 0) {
        Some((name, _)) => Err(Error::Zero { name }),
        None => Ok(()),
    }
}

fn refuse_missing_tags(targets: &[Target]) -> Result<(), Error> {
    let mut missing = targets.iter().filter(|target| target.tag.is_none());
    match missing.next() {
        Some(first) => Err(Error::NoTag {
            count: missing.count() + 1,
            first: first.to_string(),
        }),
        None => Ok(()),
    }
}

/// Takes in what is written.
#[derive(Debug)]
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::ConcurrencyType, targets::parse_cfg};

    fn plan(text: &str, kind: ConcurrencyType) -> Result<Plan, Error> {
        let listed = parse_cfg(text).unwrap();
        let package = PackageRef {
            name: "p".into(),
            build_hash: "b".into(),
            sha256: "s".into(),
        };
        let concurrency = Concurrency {
            kind,
            limit: 2,
            max_slots: 8,
        };
        let targets = listed.into_iter().map(|listed| listed.target).collect();
        Plan::new(package, Platform::SqlServer, targets, concurrency, 3)
    }

    #[test]
    fn a_plan_has_this_form() {
        let plan = plan("H:c,A#x\ni:B\nh,1433:C", ConcurrencyType::Server).unwrap();
        let expected = concat!(
            r#"{"version":1,"package":{"name":"p","buildHash":"b","sha256":"s"},"platform":"SqlServer","#,
            r#""concurrency":{"kind":"Server","limit":2,"maxSlots":8},"workers":3,"groups":["h","i"],"targets":["#,
            r#"{"key":"sqlserver|h|a","group":0,"server":"H","pairs":[{"default":"c","database":"A"}],"tag":"x"},"#,
            r#"{"key":"sqlserver|i|b","group":1,"server":"i","pairs":[{"database":"B"}]},"#,
            r#"{"key":"sqlserver|h|c","group":0,"server":"h,1433","pairs":[{"database":"C"}]}]}"#,
        );
        assert_eq!(String::from_utf8(plan.to_json()).unwrap(), expected);
        assert_eq!(Plan::from_json(expected.as_bytes()).unwrap(), plan);
    }

    #[test]
    fn waves_are_a_part_of_the_plan() {
        let text = "H:c,A#x\ni:B\nh,1433:C";
        let whole = plan(text, ConcurrencyType::Server).unwrap();
        let in_waves = |waves: &str| whole.clone().in_waves(&waves.parse().unwrap());
        let first_one = in_waves("1,100%");
        let expected = concat!(
            r#"{"version":1,"package":{"name":"p","buildHash":"b","sha256":"s"},"platform":"SqlServer","#,
            r#""concurrency":{"kind":"Server","limit":2,"maxSlots":8},"workers":3,"waves":[1,2],"groups":["h","i"],"targets":["#,
            r#"{"key":"sqlserver|h|a","group":0,"server":"H","pairs":[{"default":"c","database":"A"}],"tag":"x"},"#,
            r#"{"key":"sqlserver|i|b","group":1,"server":"i","pairs":[{"database":"B"}]},"#,
            r#"{"key":"sqlserver|h|c","group":0,"server":"h,1433","pairs":[{"database":"C"}]}]}"#,
        );
        assert_eq!(String::from_utf8(first_one.to_json()).unwrap(), expected);
        assert_eq!(Plan::from_json(expected.as_bytes()).unwrap(), first_one);
        let hashes = [&whole, &first_one, &in_waves("2")].map(Plan::hash);
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
        // Another way to say the same is the same plan.
        assert_eq!(in_waves("1"), first_one);
        assert_eq!(in_waves("34%").waves, [2, 1]);
    }

    #[test]
    fn equal_inputs_have_equal_bytes_and_hashes() {
        let text = "a:x#t\nb:y#u";
        for kind in ConcurrencyType::ALL {
            let (first, second) = (plan(text, kind).unwrap(), plan(text, kind).unwrap());
            assert_eq!(first.to_json(), second.to_json());
            assert_eq!(first.hash(), second.hash());
            assert_eq!(first.hash(), hex_lower(&Sha256::digest(first.to_json())));
        }
        let order = plan("b:y#u\na:x#t", ConcurrencyType::Count).unwrap();
        assert_ne!(
            order.hash(),
            plan(text, ConcurrencyType::Count).unwrap().hash()
        );
    }

    #[test]
    fn targets_come_out_as_they_went_in() {
        let plan = plan("b:y\na:x", ConcurrencyType::Count).unwrap();
        assert!(plan.groups.is_empty());
        assert!(plan.targets.iter().all(|planned| planned.group.is_none()));
        let names: Vec<String> = plan
            .into_targets()
            .iter()
            .map(|(_, target)| target.to_string())
            .collect();
        assert_eq!(names, ["b:y", "a:x"]);
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let error = |result: Result<Plan, Error>| result.unwrap_err().to_string();
        assert_eq!(
            error(plan("", ConcurrencyType::Count)),
            "there is no target to plan for"
        );
        assert_eq!(
            error(plan("a:x#t\nb:y\nc:z", ConcurrencyType::MaxPerTag)),
            "2 targets have no tag, the first is b:y; this concurrency type needs one"
        );
        let good = plan("a:x", ConcurrencyType::Count).unwrap();
        let concurrency = Concurrency {
            limit: 0,
            ..good.concurrency
        };
        let zero = Plan::new(good.package, good.platform, Vec::new(), concurrency, 1);
        assert_eq!(
            error(zero),
            "the concurrency is 0; accepted are numbers from 1"
        );
    }

    #[test]
    fn documents_of_another_version_are_refused_by_name() {
        let error = Plan::from_json(br#"{"version":2,"else":[]}"#).unwrap_err();
        assert_eq!(error.to_string(), "the plan has version 2; accepted is 1");
        for broken in ["", "{}", "[1]", r#"{"version":1}"#] {
            let error = Plan::from_json(broken.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Unreadable(_)), "{broken}");
        }
    }
}

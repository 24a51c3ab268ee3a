//! Groups of targets and their division into buckets and chunks.

use std::{
    collections::{HashMap, hash_map::Entry},
    num::NonZeroUsize,
};

use crate::protocol::{ConcurrencyType, Platform, Target};

/// Which group each target is in, by server or by tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Servers in normal form or tags, in the order in which targets first mention them.
    pub names: Vec<String>,
    /// For each target the place of its group in `names`.
    pub of: Vec<usize>,
}

impl Groups {
    /// Groups `targets`; none for [`ConcurrencyType::Count`], which limits all targets together.
    pub fn new<'a>(
        platform: Platform,
        targets: impl IntoIterator<Item = &'a Target>,
        kind: ConcurrencyType,
    ) -> Option<Self> {
        let mut names = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        // Normal forms cost more than a look-up, and spellings are few.
        let mut spellings: HashMap<&str, usize> = HashMap::new();
        let mut of = Vec::new();
        for target in targets {
            let spelling = match kind {
                ConcurrencyType::Count => return None,
                ConcurrencyType::Server | ConcurrencyType::MaxPerServer => target.server.as_str(),
                ConcurrencyType::Tag | ConcurrencyType::MaxPerTag => {
                    target.tag.as_deref().unwrap_or_default()
                }
            };
            let place = match spellings.entry(spelling) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let name = target.group(platform, kind).unwrap_or_default();
                    let place = *places.entry(name).or_insert_with_key(|name| {
                        names.push(name.clone());
                        names.len() - 1
                    });
                    *new.insert(place)
                }
            };
            of.push(place);
        }
        Some(Self { names, of })
    }

    /// The places of the targets of each group, groups and targets in order.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.names.len()];
        for (target, group) in self.of.iter().enumerate() {
            if let Some(members) = members.get_mut(*group) {
                members.push(target);
            }
        }
        members
    }
}

/// Divides targets as the reference program does; each bucket holds places in `targets`.
///
/// There, buckets run beside each other and the targets of a bucket one after the other. Unlike there, servers are
/// compared in normal form and a target with several pairs stays whole in every type.
pub fn buckets(
    platform: Platform,
    targets: &[Target],
    kind: ConcurrencyType,
    number: NonZeroUsize,
) -> Vec<Vec<usize>> {
    let groups = match Groups::new(platform, targets, kind) {
        Some(groups) => groups.members(),
        None => vec![(0..targets.len()).collect()],
    };
    match kind {
        ConcurrencyType::Server | ConcurrencyType::Tag => groups,
        ConcurrencyType::Count | ConcurrencyType::MaxPerServer | ConcurrencyType::MaxPerTag => {
            let chunks = |group: &Vec<usize>| -> Vec<Vec<usize>> {
                let chunks = split_into_chunks(group, number);
                chunks.into_iter().map(<[usize]>::to_vec).collect()
            };
            groups.iter().flat_map(chunks).collect()
        }
    }
}

/// Cuts a list into as many chunks as `number` says, or as it has items.
///
/// The sizes are those of the reference program, which need not be balanced: ten items in three chunks are 4, 4 and 2.
pub fn split_into_chunks<T>(items: &[T], number: NonZeroUsize) -> Vec<&[T]> {
    let mut chunks = Vec::with_capacity(number.get().min(items.len()));
    let mut rest = items;
    let size = chunk_size(items.len(), number);
    for left in (1..=number.get()).rev() {
        if rest.is_empty() {
            break;
        }
        let extra = usize::from(rest.len() > size.saturating_mul(left));
        let (chunk, after) = rest.split_at((size + extra).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    debug_assert!(rest.is_empty(), "the chunks hold every item");
    chunks
}

/// The size before the items that are left over are handed out.
fn chunk_size(count: usize, number: NonZeroUsize) -> usize {
    let (least, most) = (count / number, count.div_ceil(number.get()));
    match most {
        0 => 0,
        most if count.div_ceil(most) < number.get() => least,
        most => most,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::targets::parse_cfg;

    #[derive(Deserialize)]
    struct Vectors {
        chunks: Vec<Chunks>,
    }

    #[derive(Deserialize)]
    struct Chunks {
        n: usize,
        items: usize,
        sizes: Vec<usize>,
    }

    fn number(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    fn sizes(items: usize, chunks: usize) -> Vec<usize> {
        let items: Vec<usize> = (0..items).collect();
        let chunks = split_into_chunks(&items, number(chunks));
        chunks.into_iter().map(<[usize]>::len).collect()
    }

    fn targets(text: &str) -> Vec<Target> {
        let listed = parse_cfg(text).unwrap();
        listed.into_iter().map(|listed| listed.target).collect()
    }

    /// So many lines of each server, of one or two pairs.
    fn by_server(pairs: &str) -> Vec<Target> {
        let mut text = String::new();
        for (server, count) in [449, 511, 1102, 208, 96].into_iter().enumerate() {
            for line in 0..count {
                let pairs = pairs.replace('N', &line.to_string());
                text.push_str(&format!("SERVER{server}:{pairs}\n"));
            }
        }
        targets(&text)
    }

    fn by_tag() -> Vec<Target> {
        let counts = [50, 151, 300, 300, 500, 750, 316];
        let mut text = String::new();
        for (tag, count) in ["A", "B", "C", "D", "E", "F", "G"].iter().zip(counts) {
            for line in 0..count {
                text.push_str(&format!("s{}:d,{tag}{line}#Pool{tag}\n", line % 7));
            }
        }
        targets(&text)
    }

    #[test]
    fn chunks_have_the_sizes_of_the_reference_program() {
        let text = include_str!("../../tests/fixtures/targets/concurrency.json");
        let vectors: Vectors = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.chunks.len(), 27);
        for vector in vectors.chunks {
            let (n, items) = (vector.n, vector.items);
            assert_eq!(sizes(items, n), vector.sizes, "{items} items, {n} chunks");
        }
        for (n, items, first, last) in [
            (20, 96, 5, 1),
            (20, 1102, 56, 38),
            (10, 51, 6, 5),
            (224, 7558, 34, 33),
        ] {
            let sizes = sizes(items, n);
            assert_eq!(
                (sizes.len(), sizes[0], sizes[n - 1]),
                (n, first, last),
                "{items}"
            );
        }
    }

    #[test]
    fn buckets_by_count_and_server_have_the_sizes_of_the_reference_program() {
        let expected = [
            (ConcurrencyType::Count, 1, 1, 2366, 2366),
            (ConcurrencyType::Count, 10, 10, 237, 233),
            (ConcurrencyType::Count, 100, 100, 24, 23),
            (ConcurrencyType::Count, 234, 234, 11, 10),
            (ConcurrencyType::Server, 1, 5, 449, 96),
            (ConcurrencyType::MaxPerServer, 2, 10, 225, 48),
            (ConcurrencyType::MaxPerServer, 5, 25, 90, 16),
            (ConcurrencyType::MaxPerServer, 10, 50, 45, 6),
            (ConcurrencyType::MaxPerServer, 20, 100, 23, 1),
        ];
        for targets in [by_server("d,N"), by_server("d,N;e,xN")] {
            assert_eq!(targets.len(), 2366);
            for (kind, n, count, first, last) in expected {
                let buckets = buckets(Platform::SqlServer, &targets, kind, number(n));
                let found = (buckets.len(), buckets[0].len(), buckets[count - 1].len());
                assert_eq!(found, (count, first, last), "{kind} {n}");
            }
        }
    }

    #[test]
    fn buckets_by_tag_have_the_sizes_of_the_reference_program() {
        let targets = by_tag();
        assert_eq!(targets.len(), 2367);
        let tag = |bucket: &[usize]| targets[bucket[0]].tag.clone().unwrap();
        let whole = buckets(
            Platform::SqlServer,
            &targets,
            ConcurrencyType::Tag,
            number(10),
        );
        let tags: Vec<String> = whole.iter().map(|bucket| tag(bucket)).collect();
        assert_eq!(
            tags,
            [
                "PoolA", "PoolB", "PoolC", "PoolD", "PoolE", "PoolF", "PoolG"
            ]
        );
        let cut = buckets(
            Platform::SqlServer,
            &targets,
            ConcurrencyType::MaxPerTag,
            number(10),
        );
        assert_eq!(cut.len(), 70);
        for (at, pool, size) in [
            (0, "A", 5),
            (26, "C", 30),
            (36, "D", 30),
            (41, "E", 50),
            (59, "F", 75),
            (69, "G", 28),
        ] {
            assert_eq!(
                (tag(&cut[at]), cut[at].len()),
                (format!("Pool{pool}"), size)
            );
        }
    }

    #[test]
    fn spellings_of_one_server_are_one_group() {
        let targets = targets("HOST:a\nother:b\ntcp:host,1433:c\nOther:d");
        let groups = Groups::new(Platform::SqlServer, &targets, ConcurrencyType::Server).unwrap();
        assert_eq!(groups.names, ["host", "other"]);
        assert_eq!(groups.of, [0, 1, 0, 1]);
        assert!(Groups::new(Platform::SqlServer, &targets, ConcurrencyType::Count).is_none());
    }

    #[test]
    fn no_targets_make_no_chunks() {
        assert_eq!(sizes(0, 10), Vec::<usize>::new());
        for kind in ConcurrencyType::ALL {
            assert!(
                buckets(Platform::MySql, &[], kind, number(3)).is_empty(),
                "{kind}"
            );
        }
        assert_eq!(sizes(3, usize::MAX), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn there_are_as_many_chunks_as_asked_for_or_items(items in 0_usize..3_000, chunks in 1_usize..400) {
            let all: Vec<usize> = (0..items).collect();
            let split = split_into_chunks(&all, number(chunks));
            prop_assert_eq!(split.len(), items.min(chunks));
            prop_assert!(split.iter().all(|chunk| !chunk.is_empty()));
            prop_assert_eq!(split.concat(), all);
        }

        #[test]
        fn every_target_is_in_exactly_one_bucket(
            servers in proptest::collection::vec(0_usize..6, 0..80),
            kind in 0..ConcurrencyType::ALL.len(),
            n in 1_usize..9,
        ) {
            let text: String = servers
                .iter()
                .enumerate()
                .map(|(line, server)| format!("s{server}:{line}#t{}\n", server / 2))
                .collect();
            let targets = targets(&text);
            let buckets = buckets(Platform::MySql, &targets, ConcurrencyType::ALL[kind], number(n));
            let mut all = buckets.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..targets.len()).collect::<Vec<_>>());
        }
    }
}

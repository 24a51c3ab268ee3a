//! Packs whole servers onto a number of nodes.

use std::{cmp::Reverse, collections::VecDeque, num::NonZeroUsize};

/// Joins buckets, none of which is cut, so that there is one for each of `nodes` or, when they are fewer, each keeps
/// its own.
///
/// The result is that of the reference program in content and order; it is even, not optimal.
pub fn recombine(buckets: Vec<Vec<usize>>, nodes: NonZeroUsize) -> Vec<Vec<usize>> {
    let nodes = nodes.get();
    let total: usize = buckets.iter().map(Vec::len).sum();
    let ideal = total.div_ceil(nodes);
    let (mut packed, rest): (Vec<_>, Vec<_>) = buckets
        .into_iter()
        .filter(|bucket| !bucket.is_empty())
        .partition(|bucket| bucket.len() >= ideal);
    let rest_total: usize = rest.iter().map(Vec::len).sum();
    let free_nodes = nodes.saturating_sub(packed.len()).max(1);
    let mut rest = Rest::new(rest, rest_total.div_ceil(free_nodes));
    while !rest.is_empty() && packed.len() < nodes {
        let joined = rest.next_joined();
        if packed.len() + rest.len() - joined < nodes {
            // Joining would leave fewer buckets than nodes.
            packed.extend(rest.take_in_order(nodes - packed.len()));
            break;
        }
        packed.push(rest.take_largest(joined).concat());
        if packed.len() + rest.len() == nodes {
            packed.extend(rest.take_in_order(rest.len()));
        }
    }
    hand_out(&mut packed, rest);
    packed
}

/// Buckets that are not packed yet, the largest first; of equal ones the earlier first.
struct Rest {
    buckets: VecDeque<(usize, Vec<usize>)>,
    ideal: usize,
}

impl Rest {
    fn new(buckets: Vec<Vec<usize>>, ideal: usize) -> Self {
        let mut buckets: Vec<(usize, Vec<usize>)> = buckets.into_iter().enumerate().collect();
        buckets.sort_by_key(|(_, bucket)| Reverse(bucket.len()));
        Self {
            buckets: buckets.into(),
            ideal,
        }
    }

    fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn len(&self) -> usize {
        self.buckets.len()
    }

    /// How many of the largest come nearest to the ideal size without exceeding it; at least one.
    fn next_joined(&self) -> usize {
        let mut sum = 0;
        let fitting = self.buckets.iter().take_while(|(_, bucket)| {
            sum += bucket.len();
            sum <= self.ideal
        });
        fitting.count().max(1)
    }

    fn take_largest(&mut self, count: usize) -> Vec<Vec<usize>> {
        let count = count.min(self.buckets.len());
        self.buckets
            .drain(..count)
            .map(|(_, bucket)| bucket)
            .collect()
    }

    /// Takes the first buckets in the order in which they came.
    fn take_in_order(&mut self, count: usize) -> Vec<Vec<usize>> {
        let mut in_order: Vec<_> = self.buckets.drain(..).collect();
        in_order.sort_by_key(|(place, _)| *place);
        let left = in_order.split_off(count.min(in_order.len()));
        *self = Self {
            buckets: left.into(),
            ideal: self.ideal,
        };
        self.buckets
            .make_contiguous()
            .sort_by_key(|(place, bucket)| (Reverse(bucket.len()), *place));
        in_order.into_iter().map(|(_, bucket)| bucket).collect()
    }
}

/// Hands what is left to the packed buckets in turn, the largest to the smallest.
fn hand_out(packed: &mut [Vec<usize>], mut rest: Rest) {
    if rest.is_empty() {
        return;
    }
    packed.sort_by_key(Vec::len);
    let places = packed.len();
    for (turn, bucket) in rest.take_largest(rest.len()).into_iter().enumerate() {
        if let Some(smallest) = turn
            .checked_rem(places)
            .and_then(|place| packed.get_mut(place))
        {
            smallest.extend(bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        recombine: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        n: usize,
        server_sizes: Vec<usize>,
        buckets: Vec<Vec<usize>>,
    }

    /// Buckets of so many items, numbered through.
    fn buckets(sizes: &[usize]) -> Vec<Vec<usize>> {
        let mut next = 0..;
        sizes
            .iter()
            .map(|size| next.by_ref().take(*size).collect())
            .collect()
    }

    fn number(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn servers_are_packed_as_the_reference_program_packs_them() {
        let text = include_str!("../../tests/fixtures/targets/concurrency.json");
        let vectors: Vectors = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.recombine.len(), 9);
        for Vector {
            n,
            server_sizes,
            buckets: expected,
        } in vectors.recombine
        {
            let servers = buckets(&server_sizes);
            let of = |item: &usize| {
                servers
                    .iter()
                    .position(|server| server.contains(item))
                    .unwrap()
            };
            let packed = recombine(servers.clone(), number(n));
            let found: Vec<Vec<usize>> = packed
                .iter()
                .map(|bucket| {
                    let mut servers: Vec<usize> = bucket.iter().map(of).collect();
                    servers.dedup();
                    servers
                })
                .collect();
            assert_eq!(found, expected, "{server_sizes:?} on {n}");
        }
    }

    #[test]
    fn the_documented_example_has_its_sizes() {
        let packed = recombine(buckets(&[92, 225, 126, 135, 266, 186, 280, 115]), number(3));
        let sizes: Vec<usize> = packed.iter().map(Vec::len).collect();
        assert_eq!(sizes, [493, 406, 526]);
    }

    proptest! {
        #[test]
        fn there_is_one_bucket_for_each_node_or_server(
            sizes in proptest::collection::vec(1_usize..60, 0..40),
            nodes in 1_usize..50,
        ) {
            let servers = buckets(&sizes);
            let packed = recombine(servers.clone(), number(nodes));
            prop_assert_eq!(packed.len(), nodes.min(sizes.len()));
            let mut all = packed.concat();
            all.sort_unstable();
            prop_assert_eq!(all, servers.concat());
            for server in &servers {
                let holding = packed.iter().filter(|bucket| bucket.contains(&server[0]));
                prop_assert!(holding.clone().count() == 1);
                prop_assert!(holding.clone().all(|bucket| server.iter().all(|item| bucket.contains(item))));
            }
        }
    }
}

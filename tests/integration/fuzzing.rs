//! The fuzz targets, on the files that they start from and on changed copies of them. `just fuzz` goes on for longer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

#[expect(unreachable_pub, reason = "the fuzz targets use it as a library")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{TARGETS, mutate};

/// As many changed inputs are tried for each target, unless `SBM_TEST_FUZZ_ROUNDS` says another number.
const ROUNDS: usize = 400;

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder.join(name))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    seeds.sort();
    seeds
}

/// Runs a target; the input when it fails.
fn check(name: &str, target: fn(&[u8]), what: &str, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target(input)))
        .map_err(|_| format!("{name} fails on {what}: b\"{}\"", input.escape_ascii()))
}

/// Runs a target on changed inputs until it fails.
fn check_changed(name: &str, target: fn(&[u8]), seed: u64, rounds: usize) -> Result<(), String> {
    let seeds: Vec<Vec<u8>> = seeds(name).into_iter().map(|(_, bytes)| bytes).collect();
    let mut random = mutate::Random::new(seed);
    (0..rounds).try_for_each(|round| {
        let input = mutate::changed(&seeds, &mut random);
        check(name, target, &format!("change {round}"), &input)
    })
}

#[test]
fn every_input_that_was_ever_found_is_taken_well() {
    let mut failures = Vec::new();
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() > 1, "{name} has inputs to start from");
        let checks = seeds
            .iter()
            .map(|(file, bytes)| check(name, target, file, bytes));
        failures.extend(checks.filter_map(Result::err));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn changed_inputs_are_taken_well() {
    let rounds = std::env::var("SBM_TEST_FUZZ_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let failures: Vec<String> = (1..)
        .zip(TARGETS)
        .filter_map(|(seed, (name, target))| check_changed(name, target, seed, rounds).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_target_is_run_by_the_fuzzer_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let text = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("sbm_fuzz::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    let files = std::fs::read_dir(folder.join("fuzz_targets")).unwrap();
    assert_eq!(files.count(), TARGETS.len());
}

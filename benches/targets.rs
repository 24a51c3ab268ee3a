//! How long a list of 100,000 targets takes to read and to check, beside the least that any reader must do.
//!
//! `cargo bench --bench targets`. Ratios compare within one run, so that they hold on any machine.

#![expect(clippy::print_stdout, reason = "a benchmark tells its numbers")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sbm::{
    protocol::{ConcurrencyType, Platform},
    targets::{Rules, TargetList, check, format_cfg, parse_cfg},
};

const LINES: usize = 100_000;
const ROUNDS: usize = 7;

fn main() {
    let text: String = (0..LINES)
        .map(|line| {
            let server = line % 500;
            format!("server{server}.example.com,1433:client,Client{line:06};client2,Other{line:06}#Pool{}\n", server % 9)
        })
        .collect();
    let baseline = best(|| text.clone(), |text| split_only(text));
    let read = best(
        || text.clone(),
        |text| parse_cfg(text).map(|targets| targets.len()),
    );
    let listed = parse_cfg(&text).unwrap_or_default();
    assert_eq!(listed.len(), LINES, "every line is read");
    let targets: Vec<_> = listed.iter().map(|listed| listed.target.clone()).collect();
    let written = best(|| (), |()| format_cfg(&targets).len());
    let keys = best(
        || (),
        |()| {
            targets
                .iter()
                .map(|target| target.key(Platform::SqlServer).as_str().len())
                .sum::<usize>()
        },
    );
    let list = TargetList {
        name: "bench".into(),
        targets: listed,
        faults: Vec::new(),
    };
    let rules = Rules {
        platform: Platform::SqlServer,
        concurrency: ConcurrencyType::MaxPerTag,
        package: None,
        allow_duplicates: false,
    };
    let checked = best(
        || Some(list.clone()),
        |list| {
            list.take()
                .map(|list| check(list, &rules).map(|checked| checked.targets.len()))
        },
    );
    println!(
        "{LINES} lines, {} bytes, best of {ROUNDS} rounds",
        text.len()
    );
    for (name, time) in [
        ("split into lines and pieces (baseline)", baseline),
        ("parse", read),
        ("write", written),
        ("keys", keys),
        ("check for duplicates and tags", checked),
    ] {
        let ratio = time.as_secs_f64() / baseline.as_secs_f64();
        println!(
            "{name:<40} {:>8.2} ms  {ratio:>5.2} x",
            time.as_secs_f64() * 1_000.0
        );
    }
}

/// What a reader does at the very least: find every piece of every line and keep a copy.
fn split_only(text: &str) -> usize {
    let pieces: Vec<Vec<String>> = text
        .lines()
        .map(|line| {
            line.split([':', ',', ';', '#'])
                .map(str::to_owned)
                .collect()
        })
        .collect();
    black_box(pieces).len()
}

/// The shortest of several runs of `work`, each on fresh input.
fn best<I, O>(input: impl Fn() -> I, work: impl Fn(&mut I) -> O) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let mut input = input();
            let start = Instant::now();
            let output = black_box(work(&mut input));
            let time = start.elapsed();
            drop(output);
            time
        })
        .min()
        .unwrap_or_default()
}

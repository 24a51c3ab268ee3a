//! How many targets a second go into the queue of Service Bus and out of it, beside a bare loop over the AMQP library that does the
//! same without a queue's promises.
//!
//! `SBM_TEST_SANDBOX=<its sandbox.json> cargo bench --bench transports`, with `-- targets=N` for another number than 100,000. All
//! contenders use the same sandbox, without TLS, in turn. The sandbox shares the processors, so the share counts more than the number.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark tells its numbers, and has nobody to report errors to"
)]

mod bare;
mod queue;

use std::{fs, path::PathBuf, time::Instant};

use sbm::protocol::{Pair, Target};

/// Servers over which the targets are spread: as many sessions.
const SERVERS: usize = 50;

/// Where the sandbox is.
struct Place {
    emulator: String,
    certificate: PathBuf,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let named = words
        .iter()
        .find_map(|word| word.strip_prefix("targets=")?.parse().ok());
    let Some(place) = place() else {
        println!("skipped: set SBM_TEST_SANDBOX to measure Service Bus");
        return;
    };
    let targets = targets(named.unwrap_or(100_000));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let queue = queue::measure(&place, &targets).await;
        println!(
            "memory of this process at most: {} MB, with the targets",
            peak()
        );
        let bare = bare::measure(&place, &targets).await;
        for (what, ours, theirs) in [
            ("enqueue", queue.send, bare.send),
            ("receive + complete", queue.receive, bare.receive),
        ] {
            println!(
                "{what}: {ours:.0}/s, the bare loop {theirs:.0}/s, share {:.2}",
                ours / theirs
            );
        }
    });
}

/// Messages a second.
struct Rates {
    send: f64,
    receive: f64,
}

fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

fn place() -> Option<Place> {
    let path = std::env::var_os("SBM_TEST_SANDBOX")?;
    let text = fs::read_to_string(path).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    Some(Place {
        emulator: text(&document["service_bus"]["emulator"]),
        certificate: text(&document["certificate"]).into(),
    })
}

fn targets(count: usize) -> Vec<Target> {
    let target = |number: usize| Target {
        server: format!("server-{:03}.database.windows.net", number % SERVERS),
        pairs: vec![Pair {
            default: "client".into(),
            database: format!("Tenant{number:06}"),
        }],
        tag: None,
    };
    (0..count).map(target).collect()
}

/// What this process has used at most, in megabytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| {
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    number.unwrap_or(0) / 1024
}

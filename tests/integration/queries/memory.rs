//! Memory is bounded by the rows in flight, whatever their number and that of the databases.

use std::{fs, io::Read, process::Child};

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    skip,
};

/// What the system has to have before anything is said of memory.
const PEAK: &str = "a system that tells VmHWM in /proc";

/// Reads standard output to its end; its length, and the most memory that the process had, in KiB, where the system tells.
fn drain(mut child: Child) -> (u64, Option<u64>) {
    let mut out = child.stdout.take().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let told = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let (mut total, mut peak) = (0, None);
    let mut buffer = vec![0; 1 << 16];
    loop {
        // Before the pipe is made empty, so that the process has not ended when it is looked at for the last time.
        peak = peak_memory_kib(child.id()).or(peak);
        match out.read(&mut buffer).unwrap() {
            0 => break,
            read => total += read as u64,
        }
    }
    let code = child.wait().unwrap().code();
    let errors = told.join().unwrap();
    assert_eq!(code, Some(0), "{errors}");
    (total, peak)
}

/// The peak of the process's memory so far; none where the system does not tell it.
fn peak_memory_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A query of `rows` rows of 100,000 letters.
fn wide(platform: Platform, rows: u32) -> String {
    match platform {
        Platform::Sqlite => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             SELECT hex(zeroblob(50000)) AS a FROM n"
        ),
        Platform::MySql => format!("SELECT repeat('x', 100000) AS a FROM seq_1_to_{rows}"),
        Platform::Postgres => {
            format!("SELECT repeat('x', 100000) AS a FROM generate_series(1, {rows})")
        }
        Platform::SqlServer => format!(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             SELECT REPLICATE(CAST('x' AS varchar(max)), 100000) AS a FROM n OPTION (MAXRECURSION 0)"
        ),
    }
}

on_each_platform!(two_hundred_megabytes_of_rows_stream, 1, |fleet| {
    let query = wide(fleet.platform, 2_000);
    let (total, peak) = drain(fleet.threaded_query(&query).start());
    assert!(total > 200_000_000, "{total}");
    match peak {
        Some(peak) => assert!(peak < 100_000, "{peak} KiB for 200 MB"),
        None => skip(
            PEAK,
            "queries::memory::two_hundred_megabytes_of_rows_stream",
        ),
    }
});

#[test]
fn ten_thousand_databases_need_no_more_memory_than_a_hundred() {
    let peak_of = |count: usize| {
        let fleet = Fleet::new(Platform::Sqlite, count, "memory").unwrap();
        let query = "SELECT hex(zeroblob(5000)) AS a";
        let (total, peak) = drain(fleet.threaded_query(query).start());
        assert!(total > count as u64 * 10_000, "{total}");
        peak
    };
    match peak_of(100).zip(peak_of(10_000)) {
        Some((few, many)) => assert!(
            many < few + 40_000,
            "{few} KiB for 100 databases, {many} KiB for 10,000 with answers of 100 MB"
        ),
        None => skip(PEAK, "queries::memory::ten_thousand_databases_need_no_more"),
    }
}

//! How long a fleet takes, beside a shell loop over the platform's own client, and beside the least that a program with the
//! same guarantees must do.
//!
//! `./test.sh --run cargo bench --bench fleet`, with `-- postgres` or `-- sqlite` for one platform and `-- rounds=N` for more
//! rounds. All contenders run the same three scripts in the same databases, as many at once, in turn within each round. Ratios
//! compare medians of one run, so that they hold on any machine.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark tells its numbers, and has nobody to report errors to"
)]

mod contest;
mod postgres;
mod scripts;
mod sqlite;

/// How many databases are built at once by every contender.
const AT_ONCE: usize = 8;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| words.iter().any(|word| word == name);
    let any = !named("postgres") && !named("sqlite");
    let rounds = words
        .iter()
        .find_map(|word| word.strip_prefix("rounds=")?.parse().ok())
        .unwrap_or(7);
    if any || named("sqlite") {
        sqlite::contest(2_000).run(rounds);
    }
    if any || named("postgres") {
        match postgres::contest(200) {
            Some(contest) => contest.run(rounds),
            None => println!("skipped: set SBM_TEST_POSTGRES_URL to measure PostgreSQL"),
        }
    }
}

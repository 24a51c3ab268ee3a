//! Runs of several worker processes, driven by the real program: whoever is killed, stopped or in the way, every database is
//! built once, and every run ends with one state per target.

#![expect(
    clippy::print_stderr,
    reason = "the seed of a test that fails is shown with it"
)]

mod chaos;
mod early;
mod faults;
mod files;
mod job;
mod killed;
mod machine;
mod takeover;
mod waves;

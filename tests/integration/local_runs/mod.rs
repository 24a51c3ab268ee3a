//! Runs of several worker processes, driven by the real program: whoever is killed, stopped or in the way, every database is
//! built once, and every run ends with one state per target.

mod chaos;
mod early;
mod faults;
mod files;
mod job;
mod killed;
mod takeover;
mod waves;

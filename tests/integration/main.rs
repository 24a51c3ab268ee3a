//! Everything that needs the real program or real databases, in one binary.
//!
//! Tests that need a server skip themselves when the variable that names it is not set, and say so; `./test.sh` sets them
//! all.

#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the functions that they share"
)]

mod azure;
mod backends;
mod builds;
mod command_line;
mod contract;
mod demo;
mod early_ends;
mod engines;
mod events;
mod fleets;
mod formats;
mod fuzzing;
mod local_events;
mod local_runs;
mod mysql;
mod postgres;
mod queries;
mod queues;
mod queues_processes;
mod reads;
mod result_lines;
mod secrets;
mod settings_files;
mod sql_server;
mod sql_server_reads;
mod storages;
mod support;
mod worker_locks;
mod worker_loop;

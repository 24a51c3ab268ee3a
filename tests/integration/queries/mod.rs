//! `sbm threaded query`: the whole command.

mod endings;
mod forms;
mod lists;
mod memory;

use std::{fs, path::PathBuf};

use crate::support::fleet::Fleet;

/// A file in the fleet's folder.
fn file(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.folder.path().join(name)
}

/// The text of a file in the fleet's folder.
fn text(fleet: &Fleet, name: &str) -> String {
    fs::read_to_string(file(fleet, name)).unwrap()
}

/// Makes a table `t (id int, name …)` with as many rows as the number of the database.
fn fill(fleet: &Fleet) {
    for index in 0..fleet.names.len() {
        fleet.sql(index, "CREATE TABLE t (id int, name varchar(20))");
        for id in 0..index {
            fleet.sql(index, &format!("INSERT INTO t VALUES ({id}, 'n{id}')"));
        }
    }
}

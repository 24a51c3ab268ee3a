//! The Azure services that `sbm` uses, on one machine.

fn main() {}

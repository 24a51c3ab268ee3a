//! sbm
fn main() {}

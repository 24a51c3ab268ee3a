//! The SQL build: scripts, their order and settings, and their hashes.

mod script;

pub use script::{Package, Script, hex_lower};

//! The SQL build: scripts, their order and settings, and their hashes.
//!
//! [`Package::open`] reads a `.sbm`, a `.sbx` or a folder of `.sql` files into the same [`Package`]; [`commands`] holds
//! what the command line does with packages. Nothing here connects to anything or prints.

mod archive;
pub mod batching;
pub mod commands;
mod comments;
pub mod digest;
mod directory;
mod error;
mod fault;
mod files;
mod folder;
mod folder_settings;
mod manifest;
mod manifest_write;
mod moment;
mod names;
mod open;
mod script;
mod table;
mod values;
mod words;
mod write;
mod xml;
mod xml_write;

pub use digest::decode_text;
pub use error::Error;
pub use fault::Fault;
pub use moment::Moment;
pub use names::natural_order;
pub use open::Limits;
pub use script::{Package, Provenance, Record, Script, hex_lower};

#[cfg(test)]
mod tests;

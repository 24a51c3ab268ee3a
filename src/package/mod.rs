//! The SQL build: scripts, their order and settings, and their hashes.
//!
//! [`Package::open`] reads a `.sbm`, a `.sbx` or a folder of `.sql` files into the same [`Package`]; [`commands`],
//! [`add_scripts`] and [`pack_folder`] are what the command line does with packages. Nothing here connects to anything or prints.

mod add;
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
mod pack;
mod script;
mod table;
mod values;
mod words;
mod write;
mod xml;
mod xml_write;

pub use add::add_scripts;
pub use digest::decode_text;
pub use error::Error;
pub use fault::Fault;
pub use moment::Moment;
pub use names::natural_order;
pub use open::Limits;
pub use pack::{Packed, pack_folder};
pub use script::{Package, Provenance, Record, Script, hex_lower};

#[cfg(test)]
mod tests;

//! The settings file of the reference program: JSON with encrypted secrets, one format for all its commands.
//!
//! `member` lists what it can hold; `document` is what one holds; `parse` and `write` turn it from and into JSON;
//! `cipher` and `key` know how secrets are encrypted; [`SettingsFile`] is a file on a disk with all of that.

mod cipher;
pub(super) mod document;
pub(super) mod key;
pub(super) mod member;
mod open;
mod parse;
mod suggest;
mod write;

pub use open::SettingsFile;
pub(super) use open::{is_secret, secret_members};
pub(super) use parse::in_order;

#[cfg(test)]
mod tests;

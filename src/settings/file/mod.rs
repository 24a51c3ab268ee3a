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

use secrecy::SecretString;

use super::Faults;

/// The text of a settings file, read and written again: the same members with the same values.
pub fn rewritten(text: &str) -> Result<String, Faults> {
    let document = parse::parse(text, "the settings file")
        .or_else(|faults| Faults::check(faults).map(|()| document::Document::default()))?;
    Ok(write::write(&document))
}

/// A secret as a settings file holds it; none when the system has no random numbers.
pub fn sealed(secret: &SecretString, key: &SecretString) -> Option<String> {
    cipher::seal(secret, key)
}

/// The secret in an encrypted value of a settings file; none when the value is not encrypted, or not with this key.
pub fn unsealed(value: &str, key: &SecretString) -> Option<SecretString> {
    cipher::Shape::of(value).open(key)
}

#[cfg(test)]
mod tests;

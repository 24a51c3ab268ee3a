//! How the reference program encrypts the secrets of a settings file: one form that it writes, and an older one.
//!
//! Both are Base64 without any mark, so a value tells by its shape alone whether it is encrypted.

use std::num::NonZeroU32;

use aes::{
    Aes256,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};
use aws_lc_rs::{pbkdf2, rand};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Version byte, salt and initialisation vector, which stand before the encrypted text.
const HEAD: usize = 1 + SALT + BLOCK;
const SALT: usize = 16;
const BLOCK: usize = 16;
const TAG: usize = 32;
const VERSION: u8 = 1;
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const LEGACY_SALT: &[u8] = b"ThisIsSqlBuildManagerByteInitialization";
const LEGACY_ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// The length of the keys of Azure Storage and Batch accounts, which are Base64 themselves.
const ACCOUNT_KEY: usize = 64;

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not encrypted.
    Clear,
    /// The form that is written today, with a seal that shows a wrong key and every change.
    Sealed(Vec<u8>),
    /// The older form without a seal; or text that happens to look like it, as the keys of storage accounts do.
    Bare(Vec<u8>),
}

impl Shape {
    pub(crate) fn of(value: &str) -> Self {
        let packed: String = value
            .chars()
            .filter(|each| !each.is_ascii_whitespace())
            .collect();
        let Ok(bytes) = BASE64_STANDARD.decode(packed) else {
            return Self::Clear;
        };
        let sealed = bytes.first() == Some(&VERSION)
            && bytes.len() > HEAD + TAG
            && (bytes.len() - HEAD - TAG).is_multiple_of(BLOCK);
        if sealed {
            Self::Sealed(bytes)
        } else if !bytes.is_empty() && bytes.len().is_multiple_of(BLOCK) {
            Self::Bare(bytes)
        } else {
            Self::Clear
        }
    }

    /// Whether this may be the key of a storage or Batch account in clear text.
    pub(crate) fn may_be_account_key(&self) -> bool {
        matches!(self, Self::Bare(bytes) if bytes.len() == ACCOUNT_KEY)
    }

    /// The text, when the key fits; clear text fits no key.
    pub(crate) fn open(&self, key: &SecretString) -> Option<SecretString> {
        match self {
            Self::Clear => None,
            Self::Sealed(bytes) => open_sealed(bytes, key),
            Self::Bare(bytes) => open_bare(bytes, key),
        }
    }
}

/// Encrypts a text in the form of today. None when the system has no random numbers.
pub(crate) fn seal(text: &SecretString, key: &SecretString) -> Option<String> {
    let (mut salt, mut start) = ([0; SALT], [0; BLOCK]);
    rand::fill(&mut salt).ok()?;
    rand::fill(&mut start).ok()?;
    seal_with(text, key, salt, start)
}

fn seal_with(
    text: &SecretString,
    key: &SecretString,
    salt: [u8; SALT],
    start: [u8; BLOCK],
) -> Option<String> {
    let (cipher_key, seal_key) = sealed_keys(key, &salt)?;
    let encrypted = cbc::Encryptor::<Aes256>::new(&cipher_key.into(), &start.into())
        .encrypt_padded_vec::<Pkcs7>(text.expose_secret().as_bytes());
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&start);
    bytes.extend_from_slice(&encrypted);
    let mut seal = Hmac::<Sha256>::new_from_slice(&seal_key).ok()?;
    seal.update(&bytes);
    bytes.extend_from_slice(&seal.finalize().into_bytes());
    Some(BASE64_STANDARD.encode(bytes))
}

/// The seal is checked before anything is decrypted.
fn open_sealed(bytes: &[u8], key: &SecretString) -> Option<SecretString> {
    let (content, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
    let (head, encrypted) = content.split_at_checked(HEAD)?;
    let (salt, start) = head.get(1..)?.split_at_checked(SALT)?;
    let (cipher_key, seal_key) = sealed_keys(key, salt)?;
    let mut seal = Hmac::<Sha256>::new_from_slice(&seal_key).ok()?;
    seal.update(content);
    seal.verify_slice(tag).ok()?;
    text(decrypt(encrypted, cipher_key, start.try_into().ok()?)?)
}

/// The key of the cipher and that of the seal.
fn sealed_keys(key: &SecretString, salt: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let mut derived = [0; 64];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, ROUNDS, salt, &password(key), &mut derived);
    let (cipher_key, seal_key) = derived.split_at(32);
    Some((cipher_key.try_into().ok()?, seal_key.try_into().ok()?))
}

/// Without a seal only the text itself can show that the key was right. Very old versions took the start of the cipher
/// from later in the same stream, which changes nothing but the first block.
fn open_bare(bytes: &[u8], key: &SecretString) -> Option<SecretString> {
    let derived = bare_stream(key);
    let cipher_key: [u8; 32] = derived.get(..32)?.try_into().ok()?;
    [0..BLOCK, 32..48].into_iter().find_map(|start| {
        let start = derived.get(start)?.try_into().ok()?;
        let decrypted = text(decrypt(bytes, cipher_key, start)?)?;
        let printable = !decrypted.expose_secret().chars().any(char::is_control);
        printable.then_some(decrypted)
    })
}

fn bare_stream(key: &SecretString) -> [u8; 48] {
    let mut derived = [0; 48];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
    let password = password(key);
    pbkdf2::derive(
        algorithm,
        LEGACY_ROUNDS,
        LEGACY_SALT,
        &password,
        &mut derived,
    );
    derived
}

fn decrypt(encrypted: &[u8], key: [u8; 32], start: [u8; BLOCK]) -> Option<Vec<u8>> {
    cbc::Decryptor::<Aes256>::new(&key.into(), &start.into())
        .decrypt_padded_vec::<Pkcs7>(encrypted)
        .ok()
}

fn text(bytes: Vec<u8>) -> Option<SecretString> {
    String::from_utf8(bytes).ok().map(SecretString::from)
}

fn password(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "TestPassword123!";
    const SEALED: &str = "ARAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vnmPfedFbsaHoqyxOcp0vkWwts322aOa7Ygb1IEsIca7nY4FZ7BybzA/revYG+2O6Itndd12zhAXeU/O2XgsC3g==";

    fn key() -> SecretString {
        KEY.into()
    }

    fn opened(value: &str, key: &str) -> Option<String> {
        let opened = Shape::of(value).open(&key.into())?;
        Some(opened.expose_secret().to_owned())
    }

    #[test]
    fn values_of_the_reference_program_are_read() {
        let bare = "kWjkYZD2mej9lJ6YltINXQMS09IP2575k2b2NtK6P60=";
        assert!(matches!(Shape::of(bare), Shape::Bare(_)));
        assert_eq!(opened(bare, KEY).as_deref(), Some("Legacy secret value"));
        // White space within is allowed.
        assert_eq!(opened(&bare.replace('/', "/\r\n "), KEY), opened(bare, KEY));
        assert!(matches!(Shape::of(SEALED), Shape::Sealed(_)));
        assert_eq!(opened(SEALED, KEY).as_deref(), Some("Sample secret é"));
    }

    #[test]
    fn the_same_salt_and_start_give_the_same_value() {
        let salt = std::array::from_fn(|index| 0x10 + u8::try_from(index).unwrap());
        let start = std::array::from_fn(|index| 0x20 + u8::try_from(index).unwrap());
        let sealed = seal_with(&"Sample secret é".into(), &key(), salt, start);
        assert_eq!(sealed.as_deref(), Some(SEALED));
    }

    #[test]
    fn the_first_block_may_have_been_started_from_later_in_the_stream() {
        let derived = bare_stream(&key());
        for start in [0, 32] {
            let cipher_key: [u8; 32] = derived[..32].try_into().unwrap();
            let iv: [u8; 16] = derived[start..start + 16].try_into().unwrap();
            let bytes = cbc::Encryptor::<Aes256>::new(&cipher_key.into(), &iv.into())
                .encrypt_padded_vec::<Pkcs7>(b"a password of old times");
            let opened = opened(&BASE64_STANDARD.encode(bytes), KEY);
            assert_eq!(
                opened.as_deref(),
                Some("a password of old times"),
                "{start}"
            );
        }
    }

    #[test]
    fn a_wrong_key_and_every_change_are_noticed() {
        assert_eq!(opened(SEALED, "TestPassword123?"), None);
        let bytes = BASE64_STANDARD.decode(SEALED).unwrap();
        for place in [1, 20, 40, 64, 65, 96] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(
                opened(&BASE64_STANDARD.encode(changed), KEY),
                None,
                "{place}"
            );
        }
    }

    #[test]
    fn other_texts_are_clear() {
        for text in [
            "",
            " ",
            "password",
            "pa55word=",
            "c2VjcmV0",
            "AQ==",
            "Endpoint=sb://x",
        ] {
            assert_eq!(Shape::of(text), Shape::Clear, "{text}");
        }
        let account_key = BASE64_STANDARD.encode([7; 64]);
        assert!(Shape::of(&account_key).may_be_account_key());
        assert!(!Shape::of(SEALED).may_be_account_key());
    }

    #[test]
    fn two_encryptions_of_one_text_differ() {
        let seal = || seal(&"x".into(), &key()).unwrap();
        assert_ne!(seal(), seal());
    }

    proptest! {
        // Each case derives keys several times, which is slow on purpose.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn what_was_encrypted_comes_back(text in "\\PC{0,70}", key in "\\PC{16,40}") {
            let sealed = seal(&text.as_str().into(), &key.as_str().into()).unwrap();
            prop_assert!(matches!(Shape::of(&sealed), Shape::Sealed(_)));
            prop_assert_eq!(opened(&sealed, &key), Some(text));
        }

        #[test]
        fn no_text_makes_the_reader_fail(text in "[A-Za-z0-9+/= \r\n]{0,140}") {
            if !matches!(Shape::of(&text), Shape::Clear) {
                opened(&text, KEY);
            }
        }
    }
}

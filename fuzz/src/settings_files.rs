//! What holds for every settings file and every secret in one.

use base64::{Engine, prelude::BASE64_STANDARD};
use sbm::settings::{rewritten, sealed, unsealed};
use secrecy::{ExposeSecret, SecretString};

/// The key of the secrets in `seeds`.
const KEY: &str = "TestPassword123!";

/// What can be read is the same after a rewrite; as an encrypted value, the text is a secret or none, and nothing else.
pub(crate) fn check(text: &str) {
    match rewritten(text) {
        Ok(written) => {
            let again = rewritten(&written).expect("what was written can be read");
            assert_eq!(again, written, "a second rewrite changes nothing");
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
    let key = SecretString::from(KEY);
    drop(unsealed(text, &key));
    // Keys are made slowly, so that not every input goes through this.
    if text.len().is_multiple_of(16) {
        check_seal(text, &key);
    }
}

/// A secret comes back under its key alone, and not from a value that was changed.
fn check_seal(text: &str, key: &SecretString) {
    let value = sealed(&text.into(), key).expect("the system has random numbers");
    let opened = unsealed(&value, key).expect("the key fits");
    assert_eq!(opened.expose_secret(), text);
    let mut bytes = BASE64_STANDARD.decode(&value).expect("a value is Base64");
    let at = text.bytes().map(usize::from).sum::<usize>() % (bytes.len() - 1) + 1;
    bytes[at] ^= 1;
    let changed = BASE64_STANDARD.encode(bytes);
    assert!(
        unsealed(&changed, key).is_none(),
        "a change at {at} is seen"
    );
}

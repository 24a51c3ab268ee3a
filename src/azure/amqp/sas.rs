//! Tokens that are made from a shared key: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::form_urlencoded::byte_serialize;

use super::SharedKey;

/// A token for `resource`, a URL, that ends at `expires`, in seconds since 1970.
pub(super) fn token(resource: &str, key: &SharedKey, expires: i64) -> SecretString {
    let resource = encoded(&resource.to_lowercase());
    let signature = signature(&format!("{resource}\n{expires}"), &key.key);
    SecretString::from(format!(
        "SharedAccessSignature sr={resource}&sig={}&se={expires}&skn={}",
        encoded(&signature),
        encoded(&key.name)
    ))
}

fn signature(text: &str, key: &SecretString) -> String {
    // A key of any length is accepted, so that this cannot fail; an empty signature would be refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_as_other_programs_make_it() {
        let key = SharedKey {
            name: "Root Key".into(),
            key: SecretString::from("c2VjcmV0"),
        };
        let token = token("sb://Host/Topic", &key, 1_700_000_000);
        // python3: base64(hmac_sha256(b"c2VjcmV0", b"sb%3A%2F%2Fhost%2Ftopic\n1700000000")), quoted
        let expected =
            "SharedAccessSignature sr=sb%3A%2F%2Fhost%2Ftopic&sig=@&se=1700000000&skn=Root+Key";
        let (before, after) = expected.split_once('@').unwrap();
        let text = token.expose_secret();
        assert!(text.starts_with(before) && text.ends_with(after), "{text}");
        let signature = &text[before.len()..text.len() - after.len()];
        assert_eq!(signature, SIGNATURE);
    }

    const SIGNATURE: &str = "QdkdKExcuvbjxC8GuZWlsG3yxxoz%2Bgu8trqsD9Kq0Hs%3D";
}

//! JSON web tokens, signed with RS256 by keys that live as long as the sandbox.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Signs tokens and knows its own again.
#[derive(Debug)]
pub struct Key {
    id: String,
    pair: KeyPair,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is no JSON web token.
    #[error("this is no JSON web token")]
    Malformed,
    /// Somebody else has signed it, or somebody has changed it.
    #[error("the signature of the token is not valid")]
    Signature,
    /// Its time is over, or has not come.
    #[error("the token has expired or is not valid yet")]
    Time,
    /// It is for another service.
    #[error("the token is for another audience")]
    Audience,
    /// Nobody of the directory holds it.
    #[error("the identity of the token is not known")]
    Identity,
}

impl Key {
    /// Makes a key.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048)
            .ok()
            .context("cannot make an RSA key")?;
        Ok(Self {
            id: uuid::Uuid::new_v4().simple().to_string(),
            pair,
        })
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let head = json!({ "typ": "JWT", "alg": "RS256", "kid": self.id });
        let text = format!(
            "{}.{}",
            encode(head.to_string()),
            encode(claims.to_string())
        );
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        );
        signed.ok().context("cannot sign a token")?;
        Ok(format!("{text}.{}", encode(signature)))
    }

    /// The claims of a token that this key has signed and whose time it is.
    ///
    /// # Errors
    /// When it is not such a token.
    pub fn verify(&self, token: &str) -> Result<Value, Refusal> {
        let (text, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (_, claims) = text.split_once('.').ok_or(Refusal::Malformed)?;
        let claims: Value =
            serde_json::from_slice(&decode(claims)?).map_err(|_| Refusal::Malformed)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(text.as_bytes(), &decode(signature)?)
            .map_err(|_| Refusal::Signature)?;
        check_time(&claims)?;
        Ok(claims)
    }
}

fn check_time(claims: &Value) -> Result<(), Refusal> {
    let ends = claims["exp"].as_u64().ok_or(Refusal::Malformed)?;
    let begins = claims["nbf"].as_u64().unwrap_or(0);
    if (begins..ends).contains(&now()) {
        Ok(())
    } else {
        Err(Refusal::Time)
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}

/// The bearer token of an `Authorization` header.
#[must_use]
pub fn bearer(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers
        .get(axum::http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_again_and_a_changed_one_is_not() {
        let key = Key::generate().unwrap();
        let token = key.sign(&json!({ "aud": "x", "exp": now() + 60 })).unwrap();
        assert_eq!(key.verify(&token).unwrap()["aud"], "x");
        let (text, signature) = token.rsplit_once('.').unwrap();
        let (head, _) = text.split_once('.').unwrap();
        let claims = encode(json!({ "aud": "y", "exp": now() + 60 }).to_string());
        assert_eq!(
            key.verify(&format!("{head}.{claims}.{signature}")),
            Err(Refusal::Signature)
        );
        assert_eq!(
            Key::generate().unwrap().verify(&token),
            Err(Refusal::Signature)
        );
    }

    #[test]
    fn a_token_is_refused_before_and_after_its_time() {
        let key = Key::generate().unwrap();
        for claims in [
            json!({ "exp": now() - 1 }),
            json!({ "nbf": now() + 60, "exp": now() + 90 }),
        ] {
            assert_eq!(
                key.verify(&key.sign(&claims).unwrap()),
                Err(Refusal::Time),
                "{claims}"
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let key = Key::generate().unwrap();
        for text in ["", "a", "a.b", "a.b.c", "..", "{}.{}.{}"] {
            assert_eq!(key.verify(text), Err(Refusal::Malformed), "{text}");
        }
    }
}

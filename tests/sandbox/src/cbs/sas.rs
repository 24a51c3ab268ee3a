//! Shared access signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::keys::AccessKey;
use crate::amqp::address;

const INVALID: &str = "InvalidSignature: The token has an invalid signature.";

/// A signature, taken apart.
#[derive(Debug)]
pub(super) struct Signature {
    /// What it is for, as it was signed.
    encoded_resource: String,
    signature: Vec<u8>,
    expiry: String,
    pub(super) expires_at: Timestamp,
    pub(super) key_name: String,
}

impl Signature {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const MALFORMED: &str = "MalformedToken: The token is no shared access signature.";
        let fields = text
            .trim()
            .strip_prefix("SharedAccessSignature ")
            .ok_or(MALFORMED)?;
        let field = |name: &str| {
            let pairs = fields
                .split('&')
                .filter_map(|pair| pair.trim().split_once('='));
            pairs
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .next()
                .ok_or(MALFORMED)
        };
        let expiry = field("se")?.to_owned();
        let seconds = expiry.parse().map_err(|_| MALFORMED)?;
        let signature = STANDARD
            .decode(percent_decoded(field("sig")?))
            .map_err(|_| INVALID)?;
        Ok(Self {
            encoded_resource: field("sr")?.to_owned(),
            signature,
            expires_at: Timestamp::from_second(seconds).map_err(|_| MALFORMED)?,
            expiry,
            key_name: percent_decoded(field("skn")?),
        })
    }

    /// Refuses a signature that is not by the key, is too old, or is for something else than `resource`.
    pub(super) fn check(
        &self,
        key: &AccessKey,
        resource: &str,
        now: Timestamp,
    ) -> Result<(), String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.key.as_bytes()).map_err(|_| INVALID)?;
        mac.update(format!("{}\n{}", self.encoded_resource, self.expiry).as_bytes());
        mac.verify_slice(&self.signature).map_err(|_| INVALID)?;
        if self.expires_at <= now {
            return Err("ExpiredToken: The token is expired.".to_owned());
        }
        let signed = address::path(&percent_decoded(&self.encoded_resource));
        let wanted = address::path(resource);
        if address::covers(&signed, &wanted) && address::covers(&key.entity.to_lowercase(), &wanted)
        {
            return Ok(());
        }
        Err(format!(
            "InvalidAudience: The token is not for the resource '{resource}'."
        ))
    }
}

/// Signs as clients do.
#[cfg(test)]
pub(crate) fn sign(name: &str, key: &str, resource: &str, expiry: i64) -> String {
    let encode = |text: &str| {
        text.replace('%', "%25")
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace(':', "%3A")
    };
    let resource = encode(resource);
    let signature = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map(|mut mac| {
        mac.update(format!("{resource}\n{expiry}").as_bytes());
        encode(&STANDARD.encode(mac.finalize().into_bytes()))
    });
    let signature = signature.unwrap_or_default();
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={name}")
}

/// Compares in a time that does not depend on where the difference is.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = [rest.clone().next(), rest.clone().nth(1)];
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        match (byte, hex(digits[0]), hex(digits[1])) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::{Keys, Right};

    fn signed(resource: &str, expiry: i64) -> String {
        sign("reader", "secret", resource, expiry)
    }

    fn keys(entity: &str) -> Keys {
        Keys::new(vec![AccessKey {
            name: "reader".to_owned(),
            key: "secret".to_owned(),
            rights: vec![Right::Listen],
            entity: entity.to_owned(),
        }])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_signature_holds_for_what_is_below_its_resource_until_it_expires() {
        let token = signed("amqp://localhost/Topic", 1000);
        let check = |resource: &str, now| keys("").check(&token, resource, at(now));
        assert_eq!(
            check("amqps://localhost/topic/Subscriptions/a", 999)
                .unwrap()
                .rights,
            [Right::Listen]
        );
        assert!(check("topic", 999).is_ok());
        assert!(
            check("topic", 1000)
                .unwrap_err()
                .starts_with("ExpiredToken")
        );
        assert!(
            check("topic2", 999)
                .unwrap_err()
                .starts_with("InvalidAudience")
        );
        assert!(keys("other").check(&token, "topic", at(999)).is_err());
    }

    #[test]
    fn a_signature_by_another_key_is_refused() {
        let token = signed("sb://localhost/", 1000);
        assert!(keys("").check(&token, "topic", at(1)).is_ok());
        let changed = token.replace("se=1000", "se=2000");
        assert!(
            keys("")
                .check(&changed, "topic", at(1))
                .unwrap_err()
                .starts_with("InvalidSignature")
        );
        let unknown = token.replace("skn=reader", "skn=writer");
        assert!(
            keys("")
                .check(&unknown, "topic", at(1))
                .unwrap_err()
                .starts_with("InvalidSignature")
        );
        assert!(
            keys("")
                .check("Bearer x", "topic", at(1))
                .unwrap_err()
                .starts_with("MalformedToken")
        );
    }
}

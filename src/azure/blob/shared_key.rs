//! Signs requests with the key of the account, which Azure's library for Rust does not do.

use std::{fmt::Write, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    http::{
        Context, Request,
        headers::{HeaderName, Headers},
        policies::{Policy, PolicyResult},
    },
    time::{OffsetDateTime, to_rfc7231},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::access::Unusable;

/// Signs each try anew, because the signature holds the time.
pub(super) struct SharedKey {
    account: String,
    key: secrecy::SecretSlice<u8>,
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &SecretString) -> Result<Self, Unusable> {
        let bytes = STANDARD.decode(key.expose_secret().trim());
        let bytes = bytes.map_err(|_| Unusable::Key(account.to_owned()))?;
        Ok(Self {
            account: account.to_owned(),
            key: bytes.into(),
        })
    }

    /// The signature of a text, in Base64.
    pub(super) fn sign(&self, text: &str) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedKey({})", self.account)
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves the lifetime out, and with it the signature would be another one"
)]
#[async_trait]
impl Policy for SharedKey {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        let signature = self.sign(&string_to_sign(&self.account, request));
        let authorization = format!("SharedKey {}:{signature}", self.account);
        request.insert_header("authorization", authorization);
        next[0].send(context, request, &next[1..]).await
    }
}

/// What is signed, as the service computes it from what it gets:
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
fn string_to_sign(account: &str, request: &Request) -> String {
    const HEADERS: [&str; 11] = [
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ];
    let mut text = request.method().to_string();
    for name in HEADERS {
        let value = match name {
            "content-length" => length(request),
            name => request
                .headers()
                .get_optional_string(&HeaderName::from_static(name))
                .unwrap_or_default(),
        };
        text = text + "\n" + value.trim();
    }
    text + "\n" + &headers(request.headers()) + &resource(account, request)
}

/// The length of the body, which the client sends; an empty one counts as none.
fn length(request: &Request) -> String {
    match request.body().len() {
        None | Some(0) => String::new(),
        Some(length) => length.to_string(),
    }
}

fn headers(headers: &Headers) -> String {
    let mut own: Vec<(String, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    own.sort();
    own.into_iter().fold(String::new(), |text, (name, value)| {
        text + &name + ":" + value.trim() + "\n"
    })
}

fn resource(account: &str, request: &Request) -> String {
    let url = request.url();
    let mut pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
        .collect();
    pairs.sort();
    let mut text = format!("/{account}{}", url.path());
    let mut last = None;
    for (name, value) in &pairs {
        // Values of one name stand on one line.
        let written = match last.replace(name) {
            Some(before) if before == name => write!(text, ",{value}"),
            _ => write!(text, "\n{name}:{value}"),
        };
        // Writing to a text cannot fail.
        written.ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;

    use super::*;

    #[test]
    fn the_text_that_is_signed_has_microsofts_form() {
        let url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut request = Request::new(url.parse().unwrap(), Method::Get);
        request.insert_header("x-ms-version", "2015-02-21");
        request.insert_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        // The example of Microsoft's description.
        assert_eq!(
            string_to_sign("myaccount", &request),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn a_body_has_its_length_in_it_and_an_empty_one_none() {
        let url: azure_core::http::Url = "http://127.0.0.1:1/acc/c/b%25".parse().unwrap();
        let mut request = Request::new(url, Method::Put);
        request.insert_header("content-type", "text/plain");
        request.set_body("123");
        let text = string_to_sign("acc", &request);
        assert_eq!(
            text,
            "PUT\n\n\n3\n\ntext/plain\n\n\n\n\n\n\n/acc/acc/c/b%25"
        );
        request.set_body("");
        assert!(string_to_sign("acc", &request).starts_with("PUT\n\n\n\n\n"));
    }

    #[test]
    fn signatures_are_those_of_hmac_and_keys_are_not_shown() {
        // RFC 4231, test case 2.
        let key = STANDARD.encode("Jefe");
        let key = SharedKey::new("acc", &key.into()).unwrap();
        let signature = key.sign("what do ya want for nothing?");
        assert_eq!(signature, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        assert_eq!(format!("{key:?}"), "SharedKey(acc)");
        let error = SharedKey::new("acc", &"not base64!".into()).unwrap_err();
        assert!(!error.to_string().contains("base64!"), "{error}");
    }
}

//! The HTTP client under Azure's own libraries: it trusts whom we trust, and its errors say no address.
//!
//! An address may hold a signature that gives access to a container, and errors are logged.

use std::{error::Error as _, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    Error,
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, Request, Transport},
};
use futures::StreamExt;

use super::{Trust, TrustError};

impl Trust {
    /// For the clients of Azure's libraries.
    pub fn transport(&self) -> Result<Transport, TrustError> {
        let client = Client(self.http()?);
        Ok(Transport::new(Arc::new(client)))
    }
}

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.0.execute_request(request).await.map_err(clean)?;
        let (status, headers, body) = answer.deconstruct();
        let body = body.map(|piece| piece.map_err(clean));
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

/// The same error without the address.
fn clean(error: Error) -> Error {
    let Some(cause) = error.downcast_ref::<reqwest::Error>() else {
        return error;
    };
    let kind = match error.kind() {
        ErrorKind::Connection => ErrorKind::Connection,
        _ => ErrorKind::Io,
    };
    Error::with_message(kind, reason(cause))
}

/// What went wrong, down to the bottom, without the address that the library puts in front.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut words = match error {
        error if error.is_timeout() => "no answer in time".to_owned(),
        error if error.is_connect() => "no connection".to_owned(),
        _ => "the connection failed".to_owned(),
    };
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = source.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = source.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;

    use super::*;

    #[tokio::test]
    async fn errors_do_not_show_what_is_in_an_address() {
        let url = "http://127.0.0.1:1/container?sig=canary".parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let transport = Trust::new(None).unwrap().transport().unwrap();
        let context = azure_core::http::Context::new();
        let error = transport.send(&context, &mut request).await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Connection), "{error:?}");
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert!(error.to_string().starts_with("no connection: "), "{error}");
    }
}

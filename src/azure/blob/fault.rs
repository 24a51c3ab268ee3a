//! What the service answers when it does not do what it was asked.

use std::time::Duration;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{StatusCode, headers::HeaderName},
};

use crate::storage;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    message: String,
    /// The service's own word for it.
    code: String,
    status: Option<u16>,
    /// Whether the service may do it when it is asked again.
    pub(super) transient: bool,
    /// Whether it may have been done all the same.
    pub(super) doubtful: bool,
    /// How long the service wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Fault {
    /// What Azure's library says.
    pub(super) fn new(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::HttpResponse {
                status,
                error_code,
                raw_response,
            } => {
                let headers = raw_response.as_ref().map(|response| response.headers());
                let retry_after = headers.and_then(|headers| {
                    let name = HeaderName::from_static("retry-after");
                    headers.get_optional_str(&name)?.trim().parse().ok()
                });
                let body = raw_response.as_ref().map(|response| response.body());
                let text = body.and_then(|body| message_in(body));
                Self::answer(
                    *status,
                    error_code.as_deref().unwrap_or_default(),
                    &text.unwrap_or_else(|| error.to_string()),
                    retry_after.map(Duration::from_secs),
                )
            }
            ErrorKind::Connection => Self::lost(error.to_string(), false),
            ErrorKind::Io => Self::lost(error.to_string(), true),
            _ => Self {
                message: first_line(&error.to_string()),
                code: String::new(),
                status: None,
                transient: false,
                doubtful: false,
                retry_after: None,
            },
        }
    }

    fn answer(
        status: StatusCode,
        code: &str,
        message: &str,
        retry_after: Option<Duration>,
    ) -> Self {
        let number = u16::from(status);
        let transient = matches!(number, 408 | 429 | 500 | 502 | 503 | 504);
        let busy = matches!(number, 429) || code == "ServerBusy";
        let hint = match number {
            401 | 403 => {
                "; an identity needs the role Storage Blob Data Contributor, and the account must be open to this network"
            }
            _ => "",
        };
        let message = first_line(message);
        Self {
            message: format!("{number} {code}: {message}{hint}"),
            code: code.to_owned(),
            status: Some(number),
            transient,
            doubtful: transient && !busy,
            retry_after,
        }
    }

    /// No answer, or none that is complete.
    pub(super) fn lost(message: String, doubtful: bool) -> Self {
        Self {
            message,
            code: String::new(),
            status: None,
            transient: true,
            doubtful,
            retry_after: None,
        }
    }

    pub(super) fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    /// The container is not there.
    pub(super) fn is_no_place(&self) -> bool {
        self.is(&[
            "ContainerNotFound",
            "ContainerBeingDeleted",
            "ContainerDisabled",
        ])
    }

    /// The object is not there.
    pub(super) fn is_no_object(&self) -> bool {
        self.status == Some(404) && !self.is_no_place()
    }

    /// The lease that the caller claims to have is not, or no longer, that of the object.
    pub(super) fn is_lease_lost(&self) -> bool {
        self.is(&[
            "LeaseLost",
            "LeaseIdMismatchWithBlobOperation",
            "LeaseNotPresentWithBlobOperation",
            "LeaseIdMismatchWithLeaseOperation",
            "LeaseNotPresentWithLeaseOperation",
            "LeaseIsBrokenAndCannotBeRenewed",
            "LeaseIsBreakingAndCannotBeAcquired",
        ])
    }

    /// The condition of a write does not hold.
    pub(super) fn is_condition(&self) -> bool {
        self.is(&[
            "ConditionNotMet",
            "TargetConditionNotMet",
            "BlobAlreadyExists",
        ]) || self.status == Some(304)
    }

    /// The same for whoever uses the storage.
    pub(super) fn into_error(
        self,
        place: &str,
        action: &'static str,
        name: &str,
    ) -> storage::Error {
        let (place, name) = (place.to_owned(), name.to_owned());
        if self.is_no_place() {
            return storage::Error::NoPlace { place };
        }
        if self.is(&["LeaseIdMissing"]) {
            return storage::Error::Leased { place, name };
        }
        if self.is_lease_lost() {
            return storage::Error::LeaseLost { place, name };
        }
        if self.is_condition() {
            return storage::Error::Changed { place, name };
        }
        if self.is(&["InvalidBlobType"]) {
            return storage::Error::OtherKind { place, name };
        }
        storage::Error::Failed {
            place,
            name,
            action,
            source: Box::new(self),
        }
    }
}

/// The service's message, which stands in XML.
fn message_in(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Message>")?;
    let (message, _) = rest.split_once("</Message>")?;
    quick_xml::escape::unescape(message).ok().map(Into::into)
}

/// The service adds the id of the request and the time on further lines.
fn first_line(message: &str) -> String {
    let mut lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.next().unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Fault {
        Fault::answer(status.into(), code, "text\nRequestId: 1", None)
    }

    #[test]
    fn answers_become_the_errors_of_a_storage() {
        let error = |status, code| answer(status, code).into_error("p", "write", "n");
        use storage::Error;
        assert!(matches!(
            error(404, "ContainerNotFound"),
            Error::NoPlace { .. }
        ));
        assert!(matches!(error(412, "LeaseIdMissing"), Error::Leased { .. }));
        assert!(matches!(
            error(412, "LeaseIdMismatchWithBlobOperation"),
            Error::LeaseLost { .. }
        ));
        assert!(matches!(
            error(409, "BlobAlreadyExists"),
            Error::Changed { .. }
        ));
        assert!(matches!(
            error(412, "ConditionNotMet"),
            Error::Changed { .. }
        ));
        let denied = error(403, "AuthorizationPermissionMismatch");
        let Error::Failed { source, .. } = denied else {
            panic!("{denied}");
        };
        let text = source.to_string();
        assert!(
            text.starts_with("403 AuthorizationPermissionMismatch: text;"),
            "{text}"
        );
        assert!(text.contains("Storage Blob Data Contributor"), "{text}");
    }

    #[test]
    fn the_message_is_the_services_own() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>X</Code><Message>It &lt;failed&gt;\nTime: 1</Message></Error>";
        let message = message_in(body).unwrap();
        assert_eq!(first_line(&message), "It <failed>");
        assert_eq!(message_in(b""), None);
        assert_eq!(message_in(b"\xff<Message>"), None);
    }

    #[test]
    fn only_what_passes_is_tried_again_and_a_busy_service_has_done_nothing() {
        for (status, code, transient, doubtful) in [
            (503, "ServerBusy", true, false),
            (429, "", true, false),
            (500, "OperationTimedOut", true, true),
            (502, "", true, true),
            (403, "AuthenticationFailed", false, false),
            (404, "BlobNotFound", false, false),
            (412, "ConditionNotMet", false, false),
        ] {
            let fault = answer(status, code);
            assert_eq!(
                (fault.transient, fault.doubtful),
                (transient, doubtful),
                "{status}"
            );
        }
        assert!(answer(404, "BlobNotFound").is_no_object());
        assert!(!answer(404, "ContainerNotFound").is_no_object());
    }
}

//! Answers and refusals as the service words them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quick_xml::escape::escape;
use uuid::Uuid;

use crate::service_bus::EntityError;

/// Why a request of management is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// No token, one that is not believed, or one without the right; the text says which.
    Unauthorized(String),
    /// The entities refuse it.
    Entity(EntityError),
    /// A body that is none.
    Bad(String),
    /// No such address.
    Unknown,
    /// The address does not take this method.
    Method,
}

impl From<EntityError> for Refusal {
    fn from(error: EntityError) -> Self {
        Self::Entity(error)
    }
}

impl Refusal {
    fn parts(&self) -> (StatusCode, String) {
        match self {
            Self::Unauthorized(text) => (StatusCode::UNAUTHORIZED, text.clone()),
            Self::Entity(error) => (
                entity_status(error),
                format!("SubCode={}. {error}", sub_code(error)),
            ),
            Self::Bad(text) => (
                StatusCode::BAD_REQUEST,
                format!("SubCode=40000. Bad Request. {text}"),
            ),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "SubCode=40400. Not Found. No such resource.".to_owned(),
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "The method is not allowed.".to_owned(),
            ),
        }
    }
}

fn entity_status(error: &EntityError) -> StatusCode {
    match error {
        EntityError::NotFound(_) => StatusCode::NOT_FOUND,
        EntityError::AlreadyExists(_) => StatusCode::CONFLICT,
        EntityError::BadRequest(_) => StatusCode::BAD_REQUEST,
        EntityError::QuotaExceeded(_) => StatusCode::FORBIDDEN,
    }
}

fn sub_code(error: &EntityError) -> u32 {
    u32::from(entity_status(error).as_u16()) * 100
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = self.parts();
        let time = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string();
        let detail = format!(
            "{text} TrackingId:{}, SystemTracker:sandbox, Timestamp:{time}",
            Uuid::new_v4()
        );
        let body = format!(
            "<Error><Code>{}</Code><Detail>{}</Detail></Error>",
            status.as_u16(),
            escape(detail)
        );
        (
            status,
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/xml; charset=utf-8"),
            )],
            body,
        )
            .into_response()
    }
}

/// An entry or a feed.
pub(super) fn atom(status: StatusCode, kind: &'static str, body: String) -> Response {
    let kind = if kind == "feed" {
        "application/atom+xml;type=feed;charset=utf-8"
    } else {
        "application/atom+xml;type=entry;charset=utf-8"
    };
    (
        status,
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        body,
    )
        .into_response()
}

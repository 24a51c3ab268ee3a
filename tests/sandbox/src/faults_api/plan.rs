//! A fault: which requests it is for, and what it does to them.

use serde::{Deserialize, Serialize};

use super::Service;

/// Misbehaviour of an HTTP service. What is not said does not matter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Who misbehaves.
    pub service: Service,
    /// Only on requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only on requests whose path and query contain this.
    #[serde(default)]
    pub contains: Option<String>,
    /// How many requests; without a number all, until the fault is removed.
    #[serde(default)]
    pub times: Option<u64>,
    /// Milliseconds to wait first.
    #[serde(default)]
    pub delay: u64,
    /// The HTTP status to answer with; the service is not asked then.
    #[serde(default)]
    pub status: Option<u16>,
    /// Seconds in the header `Retry-After` of that answer.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The body of that answer, in place of the one that the service would send.
    #[serde(default)]
    pub body: Option<String>,
    /// Cut the connection, before the service is asked or after.
    #[serde(default)]
    pub cut: Option<Cut>,
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The request never arrives.
    Request,
    /// The request is carried out and its answer never arrives.
    Answer,
}

impl Fault {
    /// Whether it is for a request; `target` is path and query.
    pub(super) fn fits(&self, service: Service, method: &str, target: &str) -> bool {
        self.service == service
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .contains
                .as_ref()
                .is_none_or(|piece| target.contains(piece.as_str()))
    }

    /// Counts one use; says whether it is the last one.
    pub(super) fn use_up(&mut self) -> bool {
        let Some(times) = &mut self.times else {
            return false;
        };
        *times = times.saturating_sub(1);
        *times == 0
    }
}

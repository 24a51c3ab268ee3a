//! What stands in front of every HTTP service and lets its faults happen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::{Counters, Cut, Fault, Service};
use crate::web::Cutter;

/// The faults that are planned, and what has been counted.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Planned>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Planned {
    last: u64,
    faults: BTreeMap<u64, Fault>,
}

impl Faults {
    /// Plans a fault; the number removes it again.
    pub fn plan(&self, fault: Fault) -> u64 {
        let mut planned = self.lock();
        planned.last += 1;
        let number = planned.last;
        planned.faults.insert(number, fault);
        number
    }

    /// Removes a fault; says whether it was still there.
    pub fn remove(&self, number: u64) -> bool {
        self.lock().faults.remove(&number).is_some()
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.lock().faults.clear();
    }

    /// The faults that are left, by their numbers.
    #[must_use]
    pub fn planned(&self) -> BTreeMap<u64, Fault> {
        self.lock().faults.clone()
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The routes of a service, with its faults.
    pub fn guard(self: &Arc<Self>, service: Service, routes: Router) -> Router {
        routes.layer(from_fn_with_state((Arc::clone(self), service), misbehave))
    }

    /// The oldest fault that fits.
    fn take(&self, service: Service, method: &str, target: &str) -> Option<Fault> {
        let mut planned = self.lock();
        let (&number, fault) = planned
            .faults
            .iter_mut()
            .find(|(_, fault)| fault.fits(service, method, target))?;
        let taken = fault.clone();
        if fault.use_up() {
            planned.faults.remove(&number);
        }
        Some(taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn misbehave(
    State((faults, service)): State<(Arc<Faults>, Service)>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    faults.counters.add(service.name());
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let Some(fault) = faults.take(service, request.method().as_str(), target) else {
        return next.run(request).await;
    };
    log::info!(
        "{}: {} {target} meets a fault",
        service.name(),
        request.method()
    );
    faults.counters.add(&format!("{}/faults", service.name()));
    tokio::time::sleep(Duration::from_millis(fault.delay)).await;
    let answer = match (fault.status, fault.cut) {
        (_, Some(Cut::Request)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        (Some(status), _) => refusal(&fault, status),
        (None, _) => next.run(request).await,
    };
    if fault.cut.is_some() {
        cutter.cut();
    }
    answer
}

fn refusal(fault: &Fault, status: u16) -> Response {
    let (body, kind) = fault.service.body(status);
    let mut answer = Response::new(Body::from(fault.body.clone().unwrap_or(body)));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(code) = fault.service.error_code(status) {
        headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_fault_is_for_the_requests_that_it_names_and_used_up_by_them() {
        let faults = Faults::default();
        faults.plan(fault(r#"{"service":"blob","method":"put","contains":"comp=appendblock","status":503,"times":2}"#));
        let take = |service, method, target| faults.take(service, method, target).is_some();
        assert!(!take(Service::KeyVault, "PUT", "/x?comp=appendblock"));
        assert!(!take(Service::Blob, "GET", "/x?comp=appendblock"));
        assert!(!take(Service::Blob, "PUT", "/x?comp=block"));
        assert!(take(Service::Blob, "PUT", "/x?comp=appendblock"));
        assert!(take(Service::Blob, "PUT", "/x?comp=appendblock"));
        assert!(!take(Service::Blob, "PUT", "/x?comp=appendblock"));
    }

    #[test]
    fn a_fault_without_a_number_stays_until_it_is_removed() {
        let faults = Faults::default();
        let number = faults.plan(fault(r#"{"service":"imds","status":404}"#));
        for _ in 0..3 {
            assert!(faults.take(Service::Imds, "GET", "/").is_some());
        }
        assert!(faults.remove(number));
        assert!(!faults.remove(number));
        assert!(faults.take(Service::Imds, "GET", "/").is_none());
    }

    #[test]
    fn the_oldest_fault_comes_first() {
        let faults = Faults::default();
        faults.plan(fault(r#"{"service":"imds","status":404,"times":1}"#));
        faults.plan(fault(r#"{"service":"imds","status":500,"times":1}"#));
        let status = || {
            faults
                .take(Service::Imds, "GET", "/")
                .and_then(|fault| fault.status)
        };
        assert_eq!((status(), status(), status()), (Some(404), Some(500), None));
    }
}

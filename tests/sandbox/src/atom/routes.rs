//! From a request to the entities and back.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::address::Address;
use super::answer::{Refusal, atom};
use super::describe::{Entry, empty_feed, feed};
use super::{Doorkeeper, read};
use crate::faults_api::{Faults, Service};
use crate::service_bus::{EntityError, ServiceBus};

/// Bytes that a body may have.
const LARGEST_BODY: usize = 1024 * 1024;
/// Entries of a page when the caller does not say.
const PAGE: usize = 100;

#[derive(Clone, Debug)]
struct Management {
    entities: Arc<ServiceBus>,
    doorkeeper: Doorkeeper,
}

/// The API.
pub fn router(entities: Arc<ServiceBus>, doorkeeper: Doorkeeper, faults: &Arc<Faults>) -> Router {
    let state = Management {
        entities,
        doorkeeper,
    };
    faults.guard(
        Service::Atom,
        Router::new().fallback(answer).with_state(state),
    )
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "$skip", default)]
    skip: usize,
    #[serde(rename = "$top")]
    top: Option<usize>,
}

async fn answer(State(state): State<Management>, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    let address = Address::parse(&path).ok_or(Refusal::Unknown)?;
    state
        .doorkeeper
        .check(request.headers(), path.trim_start_matches('/'))?;
    let page = Query::try_from_uri(request.uri())
        .map(|Query(page)| page)
        .unwrap_or(Page { skip: 0, top: None });
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|error| Refusal::Bad(error.to_string()))?;
    let body = String::from_utf8_lossy(&body);
    let call = Call {
        entities: &state.entities,
        base: base(&head.headers),
        address,
        page,
    };
    match head.method {
        Method::GET => call.get(),
        Method::PUT
            if head
                .headers
                .get(header::IF_MATCH)
                .is_some_and(|value| value == "*") =>
        {
            call.update(&body)
        }
        Method::PUT => call.create(&body),
        Method::DELETE => call.delete(),
        _ => Err(Refusal::Method),
    }
}

/// Addresses in answers are https, as in Azure, however the request has come.
fn base(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("localhost");
    format!("https://{host}")
}

/// One request.
#[derive(Debug)]
struct Call<'a> {
    entities: &'a ServiceBus,
    base: String,
    address: Address,
    page: Page,
}

type Answer = Result<Response, Refusal>;

impl Call<'_> {
    fn get(&self) -> Answer {
        match &self.address {
            Address::Namespace => self.entry(
                StatusCode::OK,
                &Entry::namespace(&self.base, "sandbox", Timestamp::now()),
            ),
            Address::Topics => self.feed(self.entities.topics(), |topic| {
                Entry::topic(&self.base, topic)
            }),
            Address::Topic(name) => match self.entities.topic(name) {
                Err(EntityError::NotFound(_)) => Ok(atom(StatusCode::OK, "feed", empty_feed())),
                topic => self.entry(StatusCode::OK, &Entry::topic(&self.base, &topic?)),
            },
            Address::Subscriptions(topic) => self
                .feed(self.entities.subscriptions(topic)?, |one| {
                    Entry::subscription(&self.base, one)
                }),
            Address::Subscription(topic, name) => self.entry(
                StatusCode::OK,
                &Entry::subscription(&self.base, &self.entities.subscription(topic, name)?),
            ),
            Address::Rules(topic, name) => self.feed(self.entities.rules(topic, name)?, |rule| {
                Entry::rule(&self.base, topic, name, rule)
            }),
            Address::Rule(topic, name, rule) => self.entry(
                StatusCode::OK,
                &Entry::rule(
                    &self.base,
                    topic,
                    name,
                    &self.entities.rule(topic, name, rule)?,
                ),
            ),
        }
    }

    fn create(&self, body: &str) -> Answer {
        let entry = match &self.address {
            Address::Topic(name) => {
                let settings = read::topic(&read::description(body, "TopicDescription")?)?;
                Entry::topic(&self.base, &self.entities.create_topic(name, settings)?)
            }
            Address::Subscription(topic, name) => {
                let given = read::description(body, "SubscriptionDescription")?;
                let (settings, rule) = (read::subscription(&given)?, read::default_rule(&given)?);
                Entry::subscription(
                    &self.base,
                    &self
                        .entities
                        .create_subscription(topic, name, settings, rule)?,
                )
            }
            Address::Rule(topic, name, rule) => {
                let given = read::rule(&read::description(body, "RuleDescription")?, rule)?;
                Entry::rule(
                    &self.base,
                    topic,
                    name,
                    &self.entities.create_rule(topic, name, given)?,
                )
            }
            _ => return Err(Refusal::Method),
        };
        self.entry(StatusCode::CREATED, &entry)
    }

    fn update(&self, body: &str) -> Answer {
        let entry = match &self.address {
            Address::Subscription(topic, name) => {
                let settings =
                    read::subscription(&read::description(body, "SubscriptionDescription")?)?;
                Entry::subscription(
                    &self.base,
                    &self.entities.update_subscription(topic, name, settings)?,
                )
            }
            Address::Rule(topic, name, rule) => {
                let given = read::rule(&read::description(body, "RuleDescription")?, rule)?;
                Entry::rule(
                    &self.base,
                    topic,
                    name,
                    &self.entities.update_rule(topic, name, given)?,
                )
            }
            _ => return Err(Refusal::Method),
        };
        self.entry(StatusCode::OK, &entry)
    }

    fn delete(&self) -> Answer {
        match &self.address {
            Address::Topic(name) => self.entities.delete_topic(name)?,
            Address::Subscription(topic, name) => self.entities.delete_subscription(topic, name)?,
            Address::Rule(topic, name, rule) => self.entities.delete_rule(topic, name, rule)?,
            _ => return Err(Refusal::Method),
        }
        Ok(Response::default())
    }

    fn entry(&self, status: StatusCode, entry: &Entry) -> Answer {
        Ok(atom(status, "entry", entry.document()))
    }

    /// One page, with the address of the next one when there are more.
    fn feed<T>(&self, all: Vec<T>, describe: impl Fn(&T) -> Entry) -> Answer {
        let top = self.page.top.unwrap_or(PAGE).clamp(1, PAGE);
        let end = self.page.skip.saturating_add(top);
        let entries: Vec<_> = all
            .iter()
            .skip(self.page.skip)
            .take(top)
            .map(describe)
            .collect();
        let next = (all.len() > end).then(|| {
            format!(
                "{}/{}?$skip={end}&$top={top}",
                self.base,
                self.address.path()
            )
        });
        Ok(atom(
            StatusCode::OK,
            "feed",
            feed(&self.base, &self.address, &entries, next.as_deref()),
        ))
    }
}

//! Subscriptions, over HTTP: made with their rule in one call, so that no message of another job can get in between.

use std::time::Duration;

use quick_xml::{escape::escape, events::Event, reader::Reader};
use reqwest::{Method, Response, StatusCode, header};
use secrecy::ExposeSecret;
use tokio::time::sleep;

use super::Options;
use crate::azure::amqp::{Client, Error, Kind, OPERATION, pause};

const VERSION: &str = "2021-05";

/// How often a service that has too much to do is asked.
const TRIES: u32 = 8;

/// How long one pause lasts at most that the service asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// The management interface of a namespace.
#[derive(Debug)]
pub(super) struct Management {
    client: Client,
    http: reqwest::Client,
}

/// What is known of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) active: usize,
    pub(super) dead: usize,
    pub(super) has_sessions: bool,
}

impl Management {
    pub(super) fn new(client: Client, http: reqwest::Client) -> Self {
        Self { client, http }
    }

    /// Makes the subscription of a job, unless it is there. Whether it was made.
    pub(super) async fn create(&self, topic: &str, options: &Options) -> Result<bool, Error> {
        let path = path(topic, &options.subscription());
        match self
            .ask(Method::PUT, &path, Some(description(options)))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::Exists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a subscription with everything in it. Not an error when there is none.
    pub(super) async fn remove(&self, topic: &str, subscription: &str) -> Result<(), Error> {
        match self
            .ask(Method::DELETE, &path(topic, subscription), None)
            .await
        {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What is known of a subscription.
    pub(super) async fn get(&self, topic: &str, subscription: &str) -> Result<Description, Error> {
        let text = self
            .ask(Method::GET, &path(topic, subscription), None)
            .await?;
        read(&text).ok_or_else(|| Error::Refused {
            condition: "404".to_owned(),
            description: format!("there is no subscription {subscription} of {topic}"),
        })
    }

    /// Asks until there is an answer other than to come back later.
    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<String, Error> {
        let mut tries = 1;
        loop {
            let answered =
                tokio::time::timeout(OPERATION, self.ask_once(&method, path, body.clone()));
            let (error, wait) = match answered.await {
                Ok(Ok(text)) => return Ok(text),
                Ok(Err(failed)) => failed,
                Err(_) => (Error::timed_out(format!("{method} {path}")), None),
            };
            if tries == TRIES || !matches!(error.kind(), Kind::Busy | Kind::Transient) {
                return Err(error);
            }
            sleep(wait.unwrap_or_else(|| pause(tries)).min(LONGEST)).await;
            tries += 1;
        }
    }

    /// One try; when it fails, with the pause that the service asks for.
    async fn ask_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<String>,
    ) -> Result<String, (Error, Option<Duration>)> {
        let base = self.client.address().management_url();
        let resource = format!("{base}/{path}");
        let authorization = self.client.credential().authorization(&resource).await;
        let authorization = authorization.map_err(|error| (error, None))?;
        let mut request = self
            .http
            .request(method.clone(), format!("{resource}?api-version={VERSION}"))
            .header(header::AUTHORIZATION, authorization.expose_secret());
        if let Some(body) = body {
            let kind = "application/atom+xml;type=entry;charset=utf-8";
            request = request.header(header::CONTENT_TYPE, kind).body(body);
        }
        let unreachable = |error: reqwest::Error| {
            let error = error.without_url();
            let why = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            (
                Error::Unreachable {
                    place: base.clone(),
                    why,
                },
                None,
            )
        };
        let response = request.send().await.map_err(unreachable)?;
        let (status, wait) = (response.status(), retry_after(&response));
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(text);
        }
        Err((refused(status, &text), wait))
    }
}

fn path(topic: &str, subscription: &str) -> String {
    format!("{topic}/subscriptions/{subscription}")
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn refused(status: StatusCode, text: &str) -> Error {
    let detail = element(text, "Detail").unwrap_or_default();
    let description = if detail.is_empty() {
        status.canonical_reason().unwrap_or_default().to_owned()
    } else {
        detail
    };
    Error::Refused {
        condition: status.as_u16().to_string(),
        description,
    }
}

/// The entry of a job's subscription. The service wants the elements in this order.
fn description(options: &Options) -> String {
    let job = escape(&options.job);
    let (lock, idle) = (options.lock.as_secs(), options.idle.as_secs());
    let sessions = options.has_sessions();
    let deliveries = crate::queue::MAX_DELIVERIES;
    format!(
        "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
         <SubscriptionDescription xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <LockDuration>PT{lock}S</LockDuration>\
         <RequiresSession>{sessions}</RequiresSession>\
         <DefaultMessageTimeToLive>PT{idle}S</DefaultMessageTimeToLive>\
         <DeadLetteringOnMessageExpiration>false</DeadLetteringOnMessageExpiration>\
         <DeadLetteringOnFilterEvaluationExceptions>false</DeadLetteringOnFilterEvaluationExceptions>\
         <DefaultRuleDescription><Filter i:type=\"CorrelationFilter\"><Label>{job}</Label></Filter>\
         <Action i:type=\"EmptyRuleAction\"/><Name>{job}</Name></DefaultRuleDescription>\
         <MaxDeliveryCount>{deliveries}</MaxDeliveryCount>\
         <EnableBatchedOperations>true</EnableBatchedOperations>\
         <AutoDeleteOnIdle>PT{idle}S</AutoDeleteOnIdle>\
         </SubscriptionDescription></content></entry>"
    )
}

/// Reads the entry of a subscription; none when it is something else, as the service answers for one that is not there.
fn read(text: &str) -> Option<Description> {
    text.contains("SubscriptionDescription").then_some(())?;
    let number = |name| element(text, name).and_then(|text| text.trim().parse().ok());
    Some(Description {
        active: number("ActiveMessageCount").unwrap_or(0),
        dead: number("DeadLetterMessageCount").unwrap_or(0),
        has_sessions: element(text, "RequiresSession").is_some_and(|text| text.trim() == "true"),
    })
}

/// The text of the first element of this name, whatever its namespace.
fn element(text: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut found = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                found = Some(String::new());
            }
            Event::Text(part) => {
                if let Some(found) = &mut found {
                    found.push_str(&part);
                }
            }
            Event::End(_) if found.is_some() => return found,
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::protocol::{Concurrency, ConcurrencyType, Platform};

    #[test]
    fn counts_are_read_whatever_their_namespace() {
        let text = r#"<entry xmlns="http://www.w3.org/2005/Atom"><content><SubscriptionDescription
            xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">
            <RequiresSession>true</RequiresSession><CountDetails xmlns:d2p1="x">
            <d2p1:ActiveMessageCount>12</d2p1:ActiveMessageCount>
            <d2p1:DeadLetterMessageCount>3</d2p1:DeadLetterMessageCount></CountDetails>
            </SubscriptionDescription></content></entry>"#;
        let expected = Description {
            active: 12,
            dead: 3,
            has_sessions: true,
        };
        assert_eq!(read(text), Some(expected));
        assert_eq!(
            read("<feed xmlns=\"http://www.w3.org/2005/Atom\"></feed>"),
            None
        );
    }

    #[test]
    fn an_answer_is_told_in_the_words_of_the_service() {
        let text = "<Error><Code>409</Code><Detail>it is there already</Detail></Error>";
        let error = refused(StatusCode::CONFLICT, text);
        assert_eq!(error.kind(), Kind::Exists);
        assert_eq!(error.to_string(), "it is there already (409)");
        assert_eq!(
            refused(StatusCode::UNAUTHORIZED, "").kind(),
            Kind::Unauthorized
        );
    }

    #[test]
    fn a_subscription_is_described_with_its_only_rule() {
        let concurrency = Concurrency {
            kind: ConcurrencyType::Server,
            limit: 1,
            max_slots: 1,
        };
        let options = Options::new("A", Uuid::nil(), Platform::SqlServer, concurrency);
        let text = description(&options);
        assert_eq!(element(&text, "Label").as_deref(), Some("a"));
        assert_eq!(element(&text, "Name").as_deref(), Some("a"));
        assert_eq!(element(&text, "RequiresSession").as_deref(), Some("true"));
        assert_eq!(element(&text, "LockDuration").as_deref(), Some("PT60S"));
        assert_eq!(element(&text, "MaxDeliveryCount").as_deref(), Some("1000"));
    }
}

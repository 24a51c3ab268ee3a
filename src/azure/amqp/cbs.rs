//! Rights on a connection: `$cbs` is told a token for each entity, and another one before that ends.

use std::{collections::HashMap, sync::Weak, time::Duration};

use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_amqp::{Value, primitives::Timestamp as Milliseconds};
use tokio::sync::Mutex;

use super::{Connection, Credential, Error, Request, credential::Token, request::Requests};
use crate::clock::{Moment, sleep_until};

/// The pause after a token was refused or not had.
const PAUSE: Duration = Duration::from_secs(5);

/// The shortest pause between two tokens for one entity.
const LEAST: Duration = Duration::from_millis(500);

/// The tokens of one connection.
#[derive(Debug)]
pub(super) struct Cbs {
    credential: Credential,
    lifetime: Option<Duration>,
    /// By entity: when its next token is due. The lock is held while one is told, so that all who wait for it share it.
    due: Mutex<HashMap<String, Moment>>,
    requests: Mutex<Option<Requests>>,
}

impl Cbs {
    /// Nothing is told before it is needed.
    pub(super) fn new(credential: Credential, lifetime: Option<Duration>) -> Self {
        Self {
            credential,
            lifetime,
            due: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    /// Makes sure that the connection has the right to use `entity`. Whether this was its first token.
    pub(super) async fn authorise(
        &self,
        connection: &Connection,
        entity: &str,
    ) -> Result<bool, Error> {
        let mut due = self.due.lock().await;
        if due.contains_key(entity) {
            return Ok(false);
        }
        let next = self.tell(connection, entity).await?;
        let is_first = due.is_empty();
        due.insert(entity.to_owned(), next);
        Ok(is_first)
    }

    /// A token for a resource.
    pub(super) async fn token(&self, resource: &str) -> Result<Token, Error> {
        self.credential.token(resource, self.lifetime).await
    }

    /// When the next token is due, and for which entity.
    async fn next(&self) -> Option<(String, Moment)> {
        let due = self.due.lock().await;
        let next = due.iter().min_by_key(|(_, due)| **due);
        next.map(|(entity, due)| (entity.clone(), *due))
    }

    async fn renew(&self, connection: &Connection, entity: &str) {
        let next = match self.tell(connection, entity).await {
            Ok(next) => next,
            Err(error) => {
                log::warn!("the right to use {entity} is not renewed yet: {error}");
                Moment::now() + PAUSE
            }
        };
        self.due.lock().await.insert(entity.to_owned(), next);
    }

    /// Tells a token; when the next one is due.
    async fn tell(&self, connection: &Connection, entity: &str) -> Result<Moment, Error> {
        let resource = connection.resource(entity);
        let token = self.token(&resource).await?;
        let expires = Milliseconds::from_milliseconds(token.expires.as_millisecond());
        let request = Request::new(
            "put-token",
            Value::String(token.text.expose_secret().to_owned()),
        )
        .with("type", SimpleValue::String(token.kind.to_owned()))
        .with("name", SimpleValue::String(resource))
        .with("expiration", SimpleValue::Timestamp(expires));
        let mut requests = self.requests.lock().await;
        let open = match requests.take().filter(Requests::is_open) {
            Some(open) => open,
            None => Requests::open(connection.session().await?, "$cbs").await?,
        };
        let answered = open.call(request).await;
        *requests = Some(open);
        answered?;
        Ok(Moment::now() + renewal(token.expires))
    }
}

/// After three quarters of a token's time it is renewed.
fn renewal(expires: Timestamp) -> Duration {
    let left = expires.duration_since(Timestamp::now());
    let left = Duration::try_from(left).unwrap_or_default();
    (left * 3 / 4).max(LEAST)
}

/// Renews the tokens of a connection for as long as it is there.
pub(super) async fn keep(connection: Weak<Connection>) {
    loop {
        let Some(next) = next(&connection).await else {
            return;
        };
        sleep_until(next.1).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        connection.cbs().renew(&connection, &next.0).await;
    }
}

async fn next(connection: &Weak<Connection>) -> Option<(String, Moment)> {
    connection.upgrade()?.cbs().next().await
}

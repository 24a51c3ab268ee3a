//! Making a link: to the queue as a whole, or to a session that no other receiver has.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use fe2o3_amqp::Receiver;
use fe2o3_amqp_types::{definitions::Fields, messaging::Source};
use serde_amqp::Value;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Intake, link,
    state::{Begun, Made, Search},
};
use crate::{
    azure::amqp::{Connection, Error, Kind, OPERATION, Session, pause, symbol, text},
    clock::Moment,
};

/// What a receiver asks for a session with.
const SESSION: &str = "com.microsoft:session-filter";
const TIMEOUT: &str = "com.microsoft:timeout";

/// How long the service looks for a session that is free now, and for one that will be.
const QUICK: Duration = Duration::from_millis(200);
const STANDING: Duration = Duration::from_secs(20);

/// How often a link is tried.
const TRIES: u32 = 4;

/// A link with all it needs.
pub(super) struct Attached {
    pub(super) receiver: Receiver,
    pub(super) connection: Arc<Connection>,
    /// The link ends with its session.
    pub(super) _session: Session,
}

/// Makes a link and serves it until it ends.
pub(super) async fn accept(intake: Weak<Intake>, begun: Begun) {
    let Some((bus, source)) = intake
        .upgrade()
        .map(|intake| (Arc::clone(&intake.bus), intake.source.clone()))
    else {
        return;
    };
    let mut failures = 0;
    let attached = loop {
        let asked = Moment::now();
        match attach(&bus.client, &source, begun.search).await {
            Ok(attached) => break Ok((attached, asked)),
            Err(error) => {
                failures += 1;
                let again = matches!(error.kind(), Kind::Transient | Kind::Busy);
                if !again || failures == TRIES || intake.strong_count() == 0 {
                    break Err(error);
                }
                log::debug!("{source}: {error}");
                sleep(pause(failures)).await;
            }
        }
    };
    match attached {
        Ok((attached, asked)) => serve(intake, begun, attached, asked).await,
        Err(error) => {
            let Some(intake) = intake.upgrade() else {
                return;
            };
            let why = (error.kind() != Kind::Nothing).then_some(error);
            intake.state().not_made(&begun, why);
            intake.changed.notify_waiters();
        }
    }
}

async fn serve(intake: Weak<Intake>, begun: Begun, attached: Attached, asked: Moment) {
    let (sender, commands) = mpsc::unbounded_channel();
    let ended = CancellationToken::new();
    let _ends = ended.clone().drop_guard();
    let made = Made {
        session: session_of(&attached.receiver).filter(|_| begun.search != Search::None),
        name: attached.receiver.name().to_owned(),
        connection: Arc::clone(&attached.connection),
        commands: sender,
        ended,
        asked,
    };
    let is_wanted = {
        let Some(intake) = intake.upgrade() else {
            return;
        };
        let is_wanted = intake.state().made(&begun, made);
        intake.changed.notify_waiters();
        is_wanted
    };
    if is_wanted {
        link::run(intake, begun.id, attached, commands).await;
    } else {
        drop(tokio::time::timeout(OPERATION, attached.receiver.close()).await);
    }
}

async fn attach(
    client: &crate::azure::amqp::Client,
    source: &str,
    search: Search,
) -> Result<Attached, Error> {
    let connection = client.connection_for(source).await?;
    let mut session = connection.session().await?;
    let (wait, mut properties) = (wait(search), Fields::default());
    let mut from = Source::builder().address(source);
    if search != Search::None {
        from = from.add_to_filter_using_legacy_format(symbol(SESSION), Value::Null);
        let milliseconds = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        properties.insert(symbol(TIMEOUT), Value::Uint(milliseconds));
    }
    let limit = wait + OPERATION;
    let attached = connection.receiver(&mut session, from.build(), properties, false, limit);
    let receiver = attached.await;
    if matches!(receiver, Err(Error::TimedOut { .. })) {
        connection.give_up();
    }
    Ok(Attached {
        receiver: receiver?,
        connection,
        _session: session,
    })
}

fn wait(search: Search) -> Duration {
    match search {
        Search::None => Duration::ZERO,
        Search::Quick => QUICK,
        Search::Standing => STANDING,
    }
}

/// The session that the service has given.
fn session_of(receiver: &Receiver) -> Option<String> {
    let filter = receiver.source().as_ref()?.filter.as_ref()?;
    match filter.get(&symbol(SESSION))? {
        Value::Described(described) => text(&described.value).map(str::to_owned),
        value => text(value).map(str::to_owned),
    }
}

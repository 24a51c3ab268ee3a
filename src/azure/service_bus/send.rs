//! Handing targets in: batches as big as the service takes, several on their way at once.

use std::{collections::HashMap, time::Duration};

use fe2o3_amqp::{
    Sendable, Sender,
    link::{SendError, delivery::DeliveryFut},
};
use fe2o3_amqp_types::messaging::{Data, Message, Outcome, Properties};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

use super::{Options, ServiceBus, message};
use crate::{
    azure::amqp::{BATCH_FORMAT, Error, Kind, OPERATION, pause},
    protocol::Target,
    queue::Purpose,
};

/// Batches that are on their way at once.
const WINDOW: usize = 8;

/// What a link takes that does not say it.
const USUAL: usize = 256 * 1024;

/// What is left free in a batch for its frame, and for each message in it.
const ENVELOPE: usize = 1_024;
const SECTION: usize = 16;

/// How often a batch is sent that the service has not taken because it has too much to do.
const TRIES: u32 = 12;

/// Which targets of a call are in the queue.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) targets: Vec<Target>,
    pub(super) purpose: Option<Purpose>,
    done: Vec<bool>,
}

/// Targets of one session that are sent together, by number.
struct Batch {
    session: String,
    numbers: Vec<usize>,
    tries: u32,
}

/// What is not sent yet.
struct Rest {
    /// Batches that the service has had no time for.
    again: Vec<Batch>,
    groups: std::vec::IntoIter<(String, Vec<usize>)>,
    group: Option<(String, Vec<usize>)>,
}

impl Rest {
    fn new(groups: Vec<(String, Vec<usize>)>) -> Self {
        Self {
            again: Vec::new(),
            groups: groups.into_iter(),
            group: None,
        }
    }

    /// The session whose turn it is, with the targets that are left of it.
    fn group(&mut self) -> Option<&mut (String, Vec<usize>)> {
        let is_done = |(_, numbers): &(String, Vec<usize>)| numbers.is_empty();
        if self.group.as_ref().is_none_or(is_done) {
            self.group = self.groups.next();
        }
        self.group.as_mut()
    }
}

impl Sent {
    /// Nothing is sent yet.
    pub(super) fn new(targets: Vec<Target>, purpose: Purpose) -> Self {
        Self {
            done: vec![false; targets.len()],
            targets,
            purpose: Some(purpose),
        }
    }

    /// Sends what is not in the queue yet. When it fails, some may be on their way.
    pub(super) async fn go_on(&mut self, bus: &ServiceBus, options: &Options) -> Result<(), Error> {
        let connection = bus.client.connection_for(&bus.topic).await?;
        let mut session = connection.session().await?;
        let mut sender = connection.sender(&mut session, &bus.topic).await?;
        let sent = self.send(&mut sender, options).await;
        if let Err(Error::TimedOut { .. }) = sent {
            connection.give_up();
        } else {
            drop(tokio::time::timeout(OPERATION, sender.close()).await);
        }
        sent
    }

    /// Whatever fails, the answers to all batches that are on their way are heard, so that none of them is sent again without need.
    async fn send(&mut self, sender: &mut Sender, options: &Options) -> Result<(), Error> {
        let limit = limit(sender);
        let mut rest = Rest::new(self.groups(options));
        let mut under_way = FuturesUnordered::new();
        let mut failure: Option<Error> = None;
        loop {
            while failure.is_none() && under_way.len() < WINDOW {
                let (batch, sections) = match self.next(&mut rest, limit, options) {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(error) => {
                        note_failure(&mut failure, error);
                        break;
                    }
                };
                match hand_over(sender, &batch.session, sections).await {
                    Ok(answer) => under_way.push(async move {
                        let answer = tokio::time::timeout(OPERATION, answer).await;
                        (batch, answer.unwrap_or_else(|_| Ok(unanswered())))
                    }),
                    Err(error) => note_failure(&mut failure, error),
                }
            }
            let Some((batch, answer)) = under_way.next().await else {
                return failure.map_or(Ok(()), Err);
            };
            // Of a batch whose link has ended nothing is known.
            match answer.map_err(Error::lost).and_then(refusal) {
                Ok(None) => self.note(&batch),
                Ok(Some(error)) if error.kind() == Kind::Busy && batch.tries < TRIES => {
                    // Nothing is sent meanwhile: the service has said that it is too much.
                    sleep(pause(batch.tries)).await;
                    rest.again.push(Batch {
                        tries: batch.tries + 1,
                        ..batch
                    });
                }
                Ok(Some(error)) | Err(error) => note_failure(&mut failure, error),
            }
        }
    }

    /// The next batch and its messages; none when everything is sent.
    fn next(
        &self,
        rest: &mut Rest,
        limit: usize,
        options: &Options,
    ) -> Result<Option<(Batch, Vec<Data>)>, Error> {
        if let Some(batch) = rest.again.pop() {
            let sections = self.sections(&batch.session, &batch.numbers, usize::MAX, options)?;
            return Ok(Some((batch, sections)));
        }
        let Some((session, numbers)) = rest.group() else {
            return Ok(None);
        };
        let sections = self.sections(session, numbers, limit, options)?;
        let batch = Batch {
            session: session.clone(),
            numbers: numbers.drain(..sections.len()).collect(),
            tries: 1,
        };
        Ok(Some((batch, sections)))
    }

    fn note(&mut self, batch: &Batch) {
        for number in &batch.numbers {
            if let Some(done) = self.done.get_mut(*number) {
                *done = true;
            }
        }
    }

    /// The targets that are not sent by session, since a partitioned topic takes no batch of several.
    fn groups(&self, options: &Options) -> Vec<(String, Vec<usize>)> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let all = self.targets.iter().zip(&self.done).enumerate();
        for (number, (target, _)) in all.filter(|(_, (_, done))| !**done) {
            let session = options.session_of(target);
            let place = *places.entry(session).or_insert_with_key(|session| {
                groups.push((session.clone(), Vec::new()));
                groups.len() - 1
            });
            if let Some((_, numbers)) = groups.get_mut(place) {
                numbers.push(number);
            }
        }
        groups
    }

    /// The messages of the first of these targets, as many as fit; at least one.
    fn sections(
        &self,
        session: &str,
        numbers: &[usize],
        limit: usize,
        options: &Options,
    ) -> Result<Vec<Data>, Error> {
        let purpose = self.purpose.unwrap_or(Purpose::Build);
        let mut sections: Vec<Data> = Vec::new();
        let mut size = ENVELOPE + session.len();
        for target in numbers
            .iter()
            .filter_map(|number| self.targets.get(*number))
        {
            let bytes = message::write(target, purpose, session, options);
            let bytes = bytes.map_err(|error| too_big(target, &error))?;
            size += bytes.len() + SECTION;
            if size > limit {
                if sections.is_empty() {
                    return Err(too_big(target, &format!("it has {} bytes", bytes.len())));
                }
                break;
            }
            sections.push(Data(bytes.into()));
        }
        Ok(sections)
    }
}

/// Gives a batch to the link; the future is its answer.
async fn hand_over(
    sender: &mut Sender,
    session: &str,
    sections: Vec<Data>,
) -> Result<DeliveryFut<Result<Outcome, SendError>>, Error> {
    let sent = sender.send_batchable(envelope(session, sections));
    let sent = tokio::time::timeout(OPERATION, sent).await;
    // A part of it may be there nevertheless.
    sent.map_err(|_| Error::timed_out("a batch"))?
        .map_err(Error::lost)
}

/// Of several failures the first counts, but one after which something may have been done counts more.
fn note_failure(failure: &mut Option<Error>, error: Error) {
    let counts = match failure {
        None => true,
        Some(first) => first.is_definite() && !error.is_definite(),
    };
    if counts {
        *failure = Some(error);
    }
}

fn too_big(target: &Target, why: &dyn std::fmt::Display) -> Error {
    Error::Refused {
        condition: "amqp:link:message-size-exceeded".to_owned(),
        description: format!("the message of {target} cannot be sent: {why}"),
    }
}

fn limit(sender: &Sender) -> usize {
    let told = sender.max_message_size();
    told.and_then(|size| usize::try_from(size).ok())
        .unwrap_or(USUAL)
}

type Envelope = Sendable<fe2o3_amqp_types::messaging::Batch<Data>>;

fn envelope(session: &str, sections: Vec<Data>) -> Envelope {
    let properties = Properties::builder().group_id(session.to_owned()).build();
    let message = Message::builder()
        .properties(properties)
        .data_batch(sections)
        .build();
    Sendable::builder()
        .message(message)
        .message_format(BATCH_FORMAT)
        .build()
}

/// Stands for no answer in time.
fn unanswered() -> Outcome {
    Outcome::Released(fe2o3_amqp_types::messaging::Released {})
}

/// Why the service has not taken a batch; none when it has. Fails when that is not known.
fn refusal(outcome: Outcome) -> Result<Option<Error>, Error> {
    match outcome {
        Outcome::Accepted(_) => Ok(None),
        Outcome::Rejected(rejected) => match rejected.error {
            Some(error) => Ok(Some(error.into())),
            None => Err(Error::lost("a batch was rejected without a word")),
        },
        _ => Err(Error::timed_out("a batch")),
    }
}

/// How long a caller has to wait at most before a part of the targets is known to be sent or not.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

//! Locks that are shared, and what a queue may answer to those who keep them.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;

use super::*;
use crate::{
    protocol::Target,
    queue::{Counts, Dead, Purpose, Received},
};

/// Long enough for the slowest machine: renewals are asked for, not waited for.
const LOCK: Duration = Duration::from_secs(600);

/// Answers renewals of sessions as it is told; all others succeed.
#[derive(Debug, Default)]
struct Answers {
    sessions: HashMap<String, Answer>,
    asked: Mutex<Vec<DeliveryId>>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Lost,
    /// The first delivery of the session is settled meanwhile; the lock itself is not lost.
    LostToTheFirst,
    Gone,
    Fails,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue of a test")
    }
}

#[async_trait]
impl Queue for Answers {
    async fn create(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn send_all(&self, _: Vec<Target>, _: Purpose) -> Result<(), Error> {
        Ok(())
    }

    async fn receive(&self, _: Duration) -> Result<Received, Error> {
        Ok(Received::Nothing)
    }

    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error> {
        let asked = Moment::now();
        let session = delivery.session.clone().unwrap_or_default();
        let is_first = {
            let mut all = self.asked.lock().unwrap();
            all.push(delivery.id);
            all.len() == 1
        };
        let lost = Error::LockLost {
            id: delivery.id,
            target: delivery.target.to_string(),
        };
        match self.sessions.get(&session) {
            Some(Answer::Lost) => Err(lost),
            Some(Answer::LostToTheFirst) if is_first => Err(lost),
            Some(Answer::Gone) => Err(Error::Gone {
                queue: self.to_string(),
            }),
            Some(Answer::Fails) => Err(Error::Other {
                queue: self.to_string(),
                source: "no answer".into(),
            }),
            Some(Answer::LostToTheFirst) | None => Ok(asked + LOCK),
        }
    }

    async fn complete(&self, _: &Delivery) -> Result<(), Error> {
        Ok(())
    }

    async fn abandon(&self, _: &Delivery) -> Result<(), Error> {
        Ok(())
    }

    async fn dead_letter(&self, _: &Delivery, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    async fn counts(&self) -> Result<Counts, Error> {
        Ok(Counts::default())
    }

    async fn dead(&self) -> Result<Vec<Dead>, Error> {
        Ok(Vec::new())
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        Ok(Vec::new())
    }

    async fn remove(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn delivery(id: u128, session: Option<&str>) -> Delivery {
    Delivery {
        id: DeliveryId(id),
        session: session.map(str::to_owned),
        ..Delivery::sample(Moment::now() + LOCK)
    }
}

/// Locks of three deliveries, two of them of the session `s`, all to be renewed at once.
fn three(answer: Option<Answer>) -> (Arc<Answers>, Arc<Locks>, [Held; 3]) {
    let sessions = answer.map(|answer| ("s".to_owned(), answer));
    let queue = Arc::new(Answers {
        sessions: sessions.into_iter().collect(),
        asked: Mutex::default(),
    });
    let locks = Arc::new(Locks::new(queue.clone()));
    let held = [(1, Some("s")), (2, Some("s")), (3, None)].map(|(id, session)| {
        let held = locks.hold(delivery(id, session), &Shutdown::new());
        held.fence().renew_at_once(Moment::now());
        held
    });
    (queue, locks, held)
}

/// Keeps the locks until `done`, or for longer than any test takes.
async fn keep_until(locks: &Arc<Locks>, done: impl Fn() -> bool) {
    let keeper = Arc::clone(locks);
    let keeper = tokio::spawn(async move { keeper.keep().await });
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    keeper.abort();
    waited.expect("what the locks were kept for did not come true");
}

fn asked(queue: &Answers) -> Vec<u128> {
    let mut asked: Vec<u128> = queue.asked.lock().unwrap().iter().map(|id| id.0).collect();
    asked.sort_unstable();
    asked
}

#[tokio::test]
async fn a_session_is_renewed_once_for_all_its_deliveries() {
    let (queue, locks, held) = three(None);
    let renewed = || held.iter().all(|held| !held.fence().is_due(Moment::now()));
    keep_until(&locks, renewed).await;
    let asked = asked(&queue);
    assert!(asked == [1, 3] || asked == [2, 3], "{asked:?}");
    assert!(held.iter().all(|held| !held.is_fenced()));
}

#[tokio::test]
async fn a_lost_session_fences_all_its_builds_and_no_other() {
    let (queue, locks, held) = three(Some(Answer::Lost));
    keep_until(&locks, || held[0].is_fenced() && held[1].is_fenced()).await;
    assert!(!held[2].is_fenced());
    assert!(held[0].stop_token().is_cancelled() && held[1].stop_token().is_cancelled());
    assert!(!held[2].stop_token().is_cancelled());
    let of_session = asked(&queue).into_iter().filter(|id| *id < 3).count();
    assert_eq!(of_session, 1, "one answer is about all of them");
}

#[tokio::test]
async fn a_delivery_that_is_settled_meanwhile_loses_nobody_elses_lock() {
    let (queue, locks, held) = three(Some(Answer::LostToTheFirst));
    let [first, second, third] = held;
    // The queue does not know the delivery any more, and neither does this worker.
    first.settle();
    second.fence().renew_at_once(Moment::now());
    let hold = first.share();
    locks.note(Renewed {
        hold,
        asked: Moment::now(),
        answer: Some(queue.renew(&first.delivery).await),
    });
    drop(first);
    let renewed = || !second.fence().is_due(Moment::now());
    keep_until(&locks, renewed).await;
    assert!(!second.is_fenced() && !third.is_fenced());
}

#[tokio::test]
async fn with_a_queue_that_is_gone_builds_go_on() {
    let (_queue, locks, held) = three(Some(Answer::Gone));
    keep_until(&locks, || {
        !held[0].fence().ends() && !held[1].fence().ends()
    })
    .await;
    assert!(held.iter().all(|held| !held.is_fenced()));
}

#[tokio::test]
async fn a_queue_that_fails_is_asked_again_while_there_is_time() {
    let (queue, locks, held) = three(Some(Answer::Fails));
    let soon = |held: &Held| held.fence().renew_at_once(Moment::now());
    let again = || {
        held[..2].iter().for_each(soon);
        queue.asked.lock().unwrap().len() > 5
    };
    keep_until(&locks, again).await;
    assert!(held.iter().all(|held| !held.is_fenced()));
}

#[test]
fn what_is_settled_is_held_no_longer() {
    let (_queue, locks, held) = three(None);
    assert!(locks.holds_any());
    drop(held);
    assert!(!locks.holds_any());
}

//! What every backend promises: one function per promise, called for each backend in `backends/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sbm::backend::{Backend, WorkerState, WorkerStatus};

/// Beyond this a test is stuck.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the workers of a failing backend log before they fail.
pub(crate) const CAUSE: &str = "the disk is full";

/// The only secret of the run.
pub(crate) const SECRET_NAME: &str = "password";

/// One run without targets, somewhere. Nothing gives back what a dead worker held but the backend.
#[async_trait]
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// Another instance of the run's backend, which has started nothing. Workers outlive it.
    fn backend(&self) -> Arc<dyn Backend>;
    /// One whose workers log [`CAUSE`] and fail, and are replaced without much of a pause.
    fn failing(&self) -> Arc<dyn Backend>;
    /// Ends a worker without any warning.
    fn kill(&self, worker: &str);
    /// By what a worker that runs is found, even when the run is forgotten.
    fn trace(&self, worker: &str) -> String;
    /// Whether what has that trace exists.
    fn exists(&self, trace: &str) -> bool;
    /// Everything that can be changed, with its contents.
    fn everything(&self) -> BTreeMap<String, Vec<u8>>;
    /// What others can see of a worker: variables, arguments, logs.
    fn seen(&self, worker: &str) -> String;
    /// The value of the secret.
    fn secret(&self) -> String;
    /// Queues a target that can be built as soon as [`let_build`](Self::let_build) says so.
    async fn send(&self);
    /// The workers that have begun to build it, in order.
    async fn builders(&self) -> Vec<String>;
    /// Lets builds of the target end.
    fn let_build(&self);
    /// Whether it is built, once.
    async fn is_built(&self) -> bool;
    /// How many targets are in the queue and not in flight.
    async fn pending(&self) -> usize;
}

/// Waits until a condition holds that has to be asked for.
macro_rules! eventually {
    ($what:expr, $condition:expr) => {{
        let started = std::time::Instant::now();
        while !$condition {
            $crate::contract::backend::not_stuck(started, &$what);
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }};
}
pub(crate) use eventually;

pub(crate) fn not_stuck(started: Instant, what: &dyn fmt::Debug) {
    assert!(started.elapsed() < DEADLINE, "never: {what:?}");
}

/// The names of the workers when there are `count`, all of them running.
pub(crate) async fn running(backend: &dyn Backend, count: usize) -> BTreeSet<String> {
    let started = Instant::now();
    loop {
        let status = backend.status().await.unwrap();
        let is_running = |worker: &WorkerStatus| worker.state == WorkerState::Running;
        if status.len() == count && status.iter().all(is_running) {
            return status.into_iter().map(|worker| worker.name).collect();
        }
        not_stuck(started, &status);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The names of the workers when all have shown that they work.
pub(crate) async fn working(place: &dyn Place, count: usize) -> BTreeSet<String> {
    // Whoever has started nothing knows only of those.
    running(&*place.backend(), count).await
}

pub(crate) async fn what_is_deployed_is_filled_up_and_not_doubled(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(2).await.unwrap();
    let two = running(&*backend, 2).await;
    backend.deploy(2).await.unwrap();
    assert_eq!(running(&*backend, 2).await, two);
    backend.deploy(1).await.unwrap();
    assert_eq!(running(&*backend, 2).await, two);
    backend.deploy(3).await.unwrap();
    let three = running(&*backend, 3).await;
    assert!(two.is_subset(&three), "{two:?} {three:?}");
    assert_eq!(working(place, 3).await, three);
    backend.remove().await.unwrap();
}

pub(crate) async fn another_instance_fills_up_what_runs(place: &dyn Place) {
    place.backend().deploy(2).await.unwrap();
    let two = working(place, 2).await;
    let backend = place.backend();
    backend.deploy(2).await.unwrap();
    assert_eq!(running(&*backend, 2).await, two);
    backend.deploy(3).await.unwrap();
    let three = working(place, 3).await;
    assert!(two.is_subset(&three), "{two:?} {three:?}");
    assert_eq!(running(&*backend, 3).await, three);
    backend.remove().await.unwrap();
}

pub(crate) async fn looking_ahead_changes_nothing(place: &dyn Place) {
    let backend = place.backend();
    let before = place.everything();
    assert_eq!(backend.preflight(2).await.unwrap(), Vec::<String>::new());
    assert_eq!(place.everything(), before);
    assert_eq!(backend.status().await.unwrap(), []);
    assert_eq!(backend.leftovers().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn what_is_going_to_be_made_is_told_before(place: &dyn Place) {
    let backend = place.backend();
    let objects = backend.objects(3);
    assert!(!objects.is_empty());
    let distinct: BTreeSet<_> = objects
        .iter()
        .map(|object| (&object.kind, &object.name))
        .collect();
    assert_eq!(distinct.len(), objects.len());
    // Whoever removes what is noted down has made other instances, for other numbers.
    assert_eq!(place.backend().objects(3), objects);
    for object in place.backend().objects(2) {
        assert!(objects.contains(&object), "{object:?}");
    }
    let nothing = backend.status().await.unwrap();
    assert_eq!(nothing, []);
}

pub(crate) async fn everybody_sees_every_worker(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(3).await.unwrap();
    let names = running(&*backend, 3).await;
    assert_eq!(working(place, 3).await, names);
    let left = backend.leftovers().await.unwrap();
    eventually!("all say the same", {
        place.backend().leftovers().await.unwrap() == left
    });
    for name in &names {
        assert!(left.iter().any(|left| left.contains(name)), "{left:?}");
    }
    backend.remove().await.unwrap();
}

pub(crate) async fn a_worker_that_dies_is_replaced_and_gives_back_what_it_held(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(1).await.unwrap();
    dies_and_is_replaced(place, &*backend).await;
}

pub(crate) async fn a_worker_that_others_have_started_is_replaced_when_it_dies(place: &dyn Place) {
    place.backend().deploy(1).await.unwrap();
    working(place, 1).await;
    let backend = place.backend();
    backend.deploy(1).await.unwrap();
    dies_and_is_replaced(place, &*backend).await;
}

async fn dies_and_is_replaced(place: &dyn Place, backend: &dyn Backend) {
    let first = working(place, 1).await.pop_first().unwrap();
    place.send().await;
    eventually!("it is begun", place.builders().await == [first.clone()]);
    place.kill(&first);
    eventually!("another begins", place.builders().await.len() == 2);
    let second = running(backend, 1).await.pop_first().unwrap();
    assert_ne!(first, second);
    assert_eq!(place.builders().await, [first, second]);
    place.let_build();
    eventually!("it is built", place.is_built().await);
    backend.remove().await.unwrap();
}

pub(crate) async fn workers_that_always_die_are_given_up_with_the_reason(place: &dyn Place) {
    let backend = place.failing();
    backend.deploy(2).await.unwrap();
    let failed = |worker: &WorkerStatus| matches!(worker.state, WorkerState::Failed { .. });
    eventually!("both are given up", {
        let status = backend.status().await.unwrap();
        status.len() == 2 && status.iter().all(failed)
    });
    for worker in backend.status().await.unwrap() {
        let WorkerState::Failed { reason } = worker.state else {
            panic!("{worker:?}");
        };
        assert!(reason.contains(CAUSE), "{reason}");
        let log = backend.logs(&worker.name).await.unwrap();
        assert!(log.iter().any(|line| line.contains(CAUSE)), "{log:?}");
        // Everybody may read it.
        assert_eq!(place.backend().logs(&worker.name).await.unwrap(), log);
    }
    backend.remove().await.unwrap();
    assert_eq!(backend.status().await.unwrap(), []);
}

pub(crate) async fn a_worker_that_nobody_knows_has_no_log(place: &dyn Place) {
    for name in ["nobody", "", "../../job.json", "w/0", "a\nb"] {
        let log = place.backend().logs(name).await.unwrap();
        assert_eq!(log, Vec::<String>::new(), "{name:?}");
    }
}

pub(crate) async fn what_is_removed_is_gone_and_stays_away(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(2).await.unwrap();
    let traces: Vec<String> = working(place, 2)
        .await
        .iter()
        .map(|name| place.trace(name))
        .collect();
    assert!(traces.iter().all(|trace| place.exists(trace)));
    backend.remove().await.unwrap();
    for again in [false, true] {
        assert!(!traces.iter().any(|trace| place.exists(trace)), "{again}");
        assert_eq!(backend.leftovers().await.unwrap(), Vec::<String>::new());
        assert_eq!(backend.status().await.unwrap(), []);
        assert_eq!(place.backend().status().await.unwrap(), []);
        backend.remove().await.unwrap();
    }
}

pub(crate) async fn whoever_has_started_nothing_can_remove_everything(place: &dyn Place) {
    place.backend().deploy(2).await.unwrap();
    let names = working(place, 2).await;
    let traces: Vec<String> = names.iter().map(|name| place.trace(name)).collect();
    let backend = place.backend();
    backend.remove().await.unwrap();
    assert!(!traces.iter().any(|trace| place.exists(trace)));
    assert_eq!(backend.leftovers().await.unwrap(), Vec::<String>::new());
    assert_eq!(backend.status().await.unwrap(), []);
    backend.remove().await.unwrap();
    place.backend().remove().await.unwrap();
}

pub(crate) async fn workers_can_be_started_again_after_they_were_removed(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(1).await.unwrap();
    let first = running(&*backend, 1).await;
    backend.remove().await.unwrap();
    backend.deploy(1).await.unwrap();
    let second = running(&*backend, 1).await;
    assert_ne!(first, second);
    assert_eq!(working(place, 1).await, second);
    backend.remove().await.unwrap();
}

pub(crate) async fn what_a_removed_worker_held_is_free(place: &dyn Place) {
    place.backend().deploy(1).await.unwrap();
    place.send().await;
    eventually!("it is begun", place.builders().await.len() == 1);
    assert_eq!(place.pending().await, 0);
    place.backend().remove().await.unwrap();
    assert_eq!(place.pending().await, 1);
}

pub(crate) async fn secrets_reach_workers_and_nobody_else(place: &dyn Place) {
    let backend = place.backend();
    backend.deploy(1).await.unwrap();
    let name = working(place, 1).await.pop_first().unwrap();
    let secret = place.secret();
    assert!(!place.seen(&name).contains(&secret));
    place.send().await;
    place.let_build();
    // A worker without what the job names builds nothing.
    eventually!("it is built", place.is_built().await);
    assert!(!place.seen(&name).contains(&secret));
    assert!(!format!("{backend:?} {backend}").contains(&secret));
    backend.remove().await.unwrap();
    for (name, bytes) in place.everything() {
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{name}");
    }
}

macro_rules! backend_contract {
    ($place:expr) => {
        $crate::contract::backend::backend_contract! { @each $place;
            what_is_deployed_is_filled_up_and_not_doubled
            another_instance_fills_up_what_runs
            looking_ahead_changes_nothing
            what_is_going_to_be_made_is_told_before
            everybody_sees_every_worker
            a_worker_that_dies_is_replaced_and_gives_back_what_it_held
            a_worker_that_others_have_started_is_replaced_when_it_dies
            workers_that_always_die_are_given_up_with_the_reason
            a_worker_that_nobody_knows_has_no_log
            what_is_removed_is_gone_and_stays_away
            whoever_has_started_nothing_can_remove_everything
            workers_can_be_started_again_after_they_were_removed
            what_a_removed_worker_held_is_free
            secrets_reach_workers_and_nobody_else
        }
    };
    (@each $place:expr; $($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                let place = $place();
                $crate::support::postgres::runtime()
                    .block_on($crate::contract::backend::$promise(&place));
            }
        )+
    };
}
pub(crate) use backend_contract;

//! What is allowed when the control document says this or that, and when nobody knows what it says.

use bytes::Bytes;
use futures::FutureExt;
use tempfile::TempDir;

use super::*;
use crate::storage::{Condition, LocalFolder};

const RUN: Uuid = Uuid::from_u128(7);

/// A gate and the folder that it looks into.
struct World {
    _folder: TempDir,
    storage: Arc<dyn Storage>,
    control: Control,
    gate: Gate,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(folder.path()));
        storage.create().await.unwrap();
        let control = Control::new(RUN);
        put(&*storage, &control).await;
        let gate = Gate::open(Arc::clone(&storage), &RunPaths::new(RUN), RUN)
            .await
            .unwrap();
        Self {
            _folder: folder,
            storage,
            control,
            gate,
        }
    }

    async fn phase(&mut self, phase: Phase) {
        self.control.phase = phase;
        put(&*self.storage, &self.control).await;
    }

    fn watched(&self) -> &Watched {
        self.gate.0.as_ref().unwrap()
    }

    /// Lets the last answer be so old.
    fn age(&self, age: Duration) {
        let asked = Moment::now() - age;
        self.watched().seen.send_modify(|seen| seen.asked = asked);
    }
}

async fn put(storage: &dyn Storage, control: &Control) {
    let (name, bytes) = (RunPaths::new(RUN).control(), Bytes::from(control.to_json()));
    storage.put(&name, bytes, Condition::Any).await.unwrap();
}

#[tokio::test]
async fn a_target_starts_only_on_a_fresh_answer() {
    let mut world = World::new().await;
    let hold = Hold::sample();
    // On a machine that sleeps between two lines an answer is old at once.
    world.age(Duration::ZERO);
    assert!(world.gate.start(&hold).now_or_never().is_some());
    world.age(Control::FRESH);
    assert!(!world.gate.is_open());
    assert!(world.gate.start(&hold).now_or_never().is_none());
    // Whoever waits has asked for another answer.
    assert!(world.watched().ask.notified().now_or_never().is_some());
    world.phase(Phase::Draining).await;
    world.watched().look().await.unwrap();
    assert_eq!(world.gate.start(&hold).await, Start::Never);
    assert!(world.gate.is_draining() && world.gate.is_open());
}

#[tokio::test]
async fn an_answer_that_comes_late_lets_who_waits_go_on() {
    let mut world = World::new().await;
    let hold = Hold::sample();
    world.age(Control::FRESH);
    world.control.doubled = true;
    world.phase(Phase::Open).await;
    let builds = Shutdown::new();
    let watch = world.gate.watch(&builds, Duration::ZERO);
    let start = world.gate.start(&hold);
    let started = tokio::select! {
        started = start => started,
        ended = watch => panic!("{ended:?}"),
    };
    assert_eq!(started, Start::Now { untouched: false });
}

#[tokio::test]
async fn who_is_told_to_end_does_not_wait_for_an_answer() {
    let world = World::new().await;
    let hold = Hold::sample();
    world.age(Control::FRESH);
    hold.end();
    assert_eq!(world.gate.start(&hold).await, Start::Never);
}

#[tokio::test]
async fn a_run_that_is_closed_or_removed_ends_the_watch() {
    let mut world = World::new().await;
    world.phase(Phase::Closed).await;
    let builds = Shutdown::new();
    world.gate.watch(&builds, Duration::ZERO).await.unwrap();
    assert!(!world.gate.is_open());

    let world = World::new().await;
    let name = RunPaths::new(RUN).control();
    world.storage.delete(&name, None).await.unwrap();
    world.gate.watch(&builds, Duration::ZERO).await.unwrap();
    assert!(!world.gate.is_open());
}

#[tokio::test]
async fn a_run_that_drains_gives_builds_their_time_and_then_stops_them() {
    let mut world = World::new().await;
    world.phase(Phase::Draining).await;
    let builds = Shutdown::new();
    let watch = world.gate.watch(&builds, Duration::from_millis(1));
    let stopped = builds.stop_token().cancelled();
    tokio::select! {
        () = stopped => {}
        ended = watch => panic!("{ended:?}"),
    }
    assert!(builds.is_draining());
}

#[tokio::test]
async fn a_document_of_another_version_or_run_is_refused_at_any_time() {
    let world = World::new().await;
    let name = RunPaths::new(RUN).control();
    for (text, part) in [
        (r#"{"version": 2}"#.to_owned(), "version 2"),
        (
            String::from_utf8(Control::new(Uuid::from_u128(8)).to_json()).unwrap(),
            "not of",
        ),
    ] {
        let put = world.storage.put(&name, text.into(), Condition::Any);
        put.await.unwrap();
        let error = world.gate.watch(&Shutdown::new(), Duration::ZERO).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_storage_that_stays_away_is_given_up_after_ten_minutes() {
    let world = World::new().await;
    std::fs::remove_dir_all(world._folder.path()).unwrap();
    assert!(world.watched().look().await.is_ok());
    world.age(Control::ABANDONED + Duration::from_secs(1));
    let error = world.watched().look().await.unwrap_err();
    assert!(matches!(error, ControlError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_conductor_that_is_silent_for_ten_minutes_has_abandoned_the_run() {
    let world = World::new().await;
    assert!(!world.gate.is_abandoned());
    let age = Control::ABANDONED + Duration::from_secs(1);
    world.watched().seen.send_modify(|seen| seen.age = age);
    assert!(world.gate.is_abandoned());
}

#[tokio::test]
async fn without_a_document_everything_may_start() {
    let (gate, hold) = (Gate::default(), Hold::sample());
    assert!(gate.is_open() && !gate.is_draining() && !gate.is_abandoned());
    assert_eq!(gate.start(&hold).await, Start::Now { untouched: true });
    hold.end();
    assert_eq!(gate.start(&hold).await, Start::Never);
}

//! Processes that share a queue and are killed. A process is this test program once more, which runs one test that does what its
//! variables say.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use sbm::{
    protocol::{Concurrency, ConcurrencyType},
    queue::{Counts, Delivery, LocalQueue, Options, Queue, Received},
};

use super::{made, open, options};
use crate::{
    contract::queue::{PATIENCE, concurrency, next, targets},
    support::postgres::runtime,
};

/// The folder that a process works in; it is no process of another test without it.
const FOLDER: &str = "SBM_TEST_QUEUE_FOLDER";

/// The concurrency type.
const KIND: &str = "SBM_TEST_QUEUE_KIND";

/// `holds` or `works`.
const TASK: &str = "SBM_TEST_QUEUE_TASK";

/// What a process says when it has a delivery.
const HAS: &str = "has ";

/// How many of one session may be built at once.
const LIMIT: usize = 2;

/// How long everything may take together, on a slow machine with much else to do.
const ALL: Duration = Duration::from_secs(600);

fn limits(kind: ConcurrencyType) -> Concurrency {
    concurrency(kind, LIMIT, 4)
}

/// A process of this test; killed when the test ends.
#[derive(Debug)]
struct Process {
    child: Child,
    /// After so many deliveries it is killed.
    lives: usize,
}

impl Process {
    /// Starts it; what it says comes with `name`.
    fn start(
        folder: &Path,
        kind: ConcurrencyType,
        task: &str,
        name: usize,
        said: &mpsc::Sender<(usize, String)>,
    ) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("queues_processes::children::is_a_process_of_another_test")
            .env(FOLDER, folder)
            .env(KIND, kind.to_string())
            .env(TASK, task)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let said = said.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if said.send((name, line)).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lives: usize::MAX,
        }
    }

    /// Kills it, and returns its number when it has ended.
    fn kill(&mut self) -> u32 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// Does nothing unless another test has started it.
#[test]
fn is_a_process_of_another_test() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let kind: ConcurrencyType = std::env::var(KIND).unwrap().parse().unwrap();
    let queue = open(&folder.join("queue.db"), options(limits(kind)));
    runtime().block_on(async {
        if std::env::var(TASK).unwrap() == "holds" {
            say(&next(&queue).await);
            // Until it is killed.
            tokio::time::sleep(ALL).await;
        } else {
            work(&folder, &queue).await;
        }
    });
}

fn say(delivery: &Delivery) {
    let mut output = std::io::stdout();
    // The test program has begun a line of its own.
    writeln!(output, "\n{HAS}{}", delivery.target).unwrap();
    output.flush().unwrap();
}

/// Takes targets until it is killed or the queue is closed: some at once, as a worker does.
async fn work(folder: &Path, queue: &LocalQueue) {
    let done = folder.join(format!("done-{}", std::process::id()));
    let task = async |seed: u64| {
        let mut random = fastrand::Rng::with_seed(seed);
        loop {
            let delivery = match queue.receive(PATIENCE).await.unwrap() {
                Received::Delivery(delivery) => *delivery,
                Received::Nothing => continue,
                Received::Closed | Received::Gone => return,
            };
            let slot = Slot::take(folder, delivery.session.as_deref());
            say(&delivery);
            tokio::time::sleep(Duration::from_micros(random.u64(0..3_000))).await;
            append(&done, &delivery.target.to_string());
            drop(slot);
            if random.usize(0..20) == 0 {
                queue.abandon(&delivery).await.unwrap();
            } else {
                queue.complete(&delivery).await.unwrap();
            }
        }
    };
    tokio::join!(task(1), task(2), task(3), task(4), task(5));
}

/// A place in a session, which the operating system takes back when the process ends however it ends.
struct Slot {
    _file: Option<fs::File>,
}

impl Slot {
    fn take(folder: &Path, session: Option<&str>) -> Self {
        let Some(session) = session else {
            return Self { _file: None };
        };
        for place in 0..LIMIT {
            let path = folder.join(format!("slot-{session}-{place}"));
            let file = fs::File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            if file.try_lock().is_ok() {
                return Self { _file: Some(file) };
            }
        }
        append(&folder.join("too-many"), session);
        Self { _file: None }
    }
}

fn append(path: &Path, line: &str) {
    let mut file = fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn what_a_dead_receiver_held_is_released_at_once() {
    for kind in [ConcurrencyType::Count, ConcurrencyType::MaxPerServer] {
        let folder = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let queue = made(&folder.path().join("queue.db"), options(limits(kind))).await;
            queue
                .send_all(targets("s:a"), sbm::queue::Purpose::Build)
                .await
                .unwrap();
            let (said, hear) = mpsc::channel();
            let mut process = Process::start(folder.path(), kind, "holds", 0, &said);
            wait_until_it_has(&hear);
            assert_eq!(
                queue.receive(Duration::ZERO).await.unwrap(),
                Received::Nothing
            );
            let id = process.kill();
            assert_eq!(queue.release_of(id).await.unwrap(), 1);
            // Its lock would have lasted an hour.
            let delivery = next(&queue).await;
            assert_eq!(
                (delivery.target.to_string(), delivery.count),
                ("s:a".into(), 2)
            );
            queue.complete(&delivery).await.unwrap();
            assert_eq!(queue.release_of(id).await.unwrap(), 0);
            assert_eq!(queue.counts().await.unwrap(), Counts::default());
        });
    }
}

fn wait_until_it_has(hear: &mpsc::Receiver<(usize, String)>) {
    loop {
        let (_, line) = hear
            .recv_timeout(PATIENCE)
            .expect("the process gets its delivery");
        if line.starts_with(HAS) {
            return;
        }
    }
}

#[test]
fn processes_are_killed_and_nothing_is_lost() {
    for kind in [ConcurrencyType::Count, ConcurrencyType::MaxPerServer] {
        let seed = fastrand::u64(..);
        let lost = chaos(kind, seed);
        assert!(lost.is_empty(), "{kind}, seed {seed}: {lost:?}");
    }
}

/// Kills processes while they work; what is wrong afterwards.
fn chaos(kind: ConcurrencyType, seed: u64) -> Vec<String> {
    const PROCESSES: usize = 4;
    const KILLS: usize = 12;
    const TARGETS: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..TARGETS).map(|n| format!("s{}:d{n} ", n % 7)).collect();
    let runtime = runtime();
    let options = Options {
        sessions: 2,
        ..options(limits(kind))
    };
    let queue = runtime.block_on(async {
        let queue = made(&folder.path().join("queue.db"), options).await;
        queue
            .send_all(targets(&text), sbm::queue::Purpose::Build)
            .await
            .unwrap();
        queue
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let (said, hear) = mpsc::channel();
    let mut processes: Vec<Process> = Vec::new();
    let mut kills = 0;
    let begun = Instant::now();
    let mut start = |name: usize, kills: usize| {
        let mut process = Process::start(folder.path(), kind, "works", name, &said);
        if kills + PROCESSES <= KILLS {
            process.lives = random.usize(1..20);
        }
        process
    };
    for name in 0..PROCESSES {
        processes.push(start(name, 0));
    }
    loop {
        assert!(begun.elapsed() < ALL, "{kind}, seed {seed}: no end");
        if let Ok((name, line)) = hear.recv_timeout(Duration::from_millis(200)) {
            let process = &mut processes[name];
            if line.starts_with(HAS) {
                process.lives = process.lives.saturating_sub(1);
            }
            if process.lives == 0 {
                kills += 1;
                let id = process.kill();
                runtime.block_on(queue.release_of(id)).unwrap();
                processes.push(start(processes.len(), kills));
                processes[name].lives = usize::MAX;
            }
        } else if runtime.block_on(queue.counts()).unwrap() == Counts::default() {
            break;
        } else {
            for process in &mut processes {
                let status = process.child.try_wait().unwrap();
                let by_itself = status.and_then(|status| status.code());
                assert_eq!(by_itself, None, "{kind}, seed {seed}: a process broke down");
            }
        }
    }
    let mut wrong = Vec::new();
    let expected: BTreeSet<String> = text.split_whitespace().map(str::to_owned).collect();
    let done = done(folder.path());
    wrong.extend(
        expected
            .difference(&done)
            .map(|lost| format!("{lost} is lost")),
    );
    if let Ok(sessions) = fs::read_to_string(folder.path().join("too-many")) {
        wrong.extend(
            sessions
                .lines()
                .map(|session| format!("too many of {session}")),
        );
    }
    wrong
}

fn done(folder: &Path) -> BTreeSet<String> {
    let mut done = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("done-") {
            let text = fs::read_to_string(entry.path()).unwrap();
            done.extend(text.lines().map(str::to_owned));
        }
    }
    done
}

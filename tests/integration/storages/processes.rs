//! The test program as another process that uses a store, and the disks on which it does.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use sbm::storage::{Condition, Error, LocalFolder, Storage};

use crate::{
    contract::storage::{LONG, add_one, names, text},
    support::{postgres::runtime, skip},
};

/// What the test program does when it is started as another process.
const TASK: &str = "SBM_TEST_STORAGE_TASK";

const FOLDER: &str = "SBM_TEST_STORAGE_FOLDER";

/// Said when a task is where it is waited for.
const READY: &str = "the task is ready";

pub(super) const MEGABYTE: usize = 1024 * 1024;

/// The test program as another process that performs a task.
pub(super) fn process(task: &str, folder: &Path) -> Command {
    inside(Command::new(std::env::current_exe().unwrap()), task, folder)
}

/// The same, after a shell has run `script` with the folder as `$0`.
pub(super) fn process_after(script: &str, task: &str, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{script} && exec \"$@\"")]);
    shell.arg(folder).arg(std::env::current_exe().unwrap());
    inside(shell, task, folder)
}

/// The same, where mounts are nobody else's; `None` when this machine does not let us.
pub(super) fn process_with_mounts(
    script: &str,
    task: &str,
    folder: &Path,
    test: &str,
) -> Option<Command> {
    const UNSHARE: [&str; 3] = ["--user", "--map-root-user", "--mount"];
    let tried = Command::new("unshare")
        .args(UNSHARE)
        .args(["sh", "-c", &format!("{script} && true")])
        .arg(folder)
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        skip(
            "a kernel that lets users mount file systems of their own",
            test,
        );
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(UNSHARE);
    unshare.args(["sh", "-c", &format!("{script} && exec \"$@\"")]);
    unshare.arg(folder).arg(std::env::current_exe().unwrap());
    Some(inside(unshare, task, folder))
}

fn inside(mut command: Command, task: &str, folder: &Path) -> Command {
    command
        .args([
            "--exact",
            "--nocapture",
            "storages::local_folder::as_a_process",
        ])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

pub(super) fn start_and_wait_until_ready(mut command: Command) -> Ended {
    let mut child = Ended(command.spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains(READY)));
    child
}

pub(super) fn succeed(mut command: Command) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A process that is killed when it is dropped, and has ended then.
#[derive(Debug)]
pub(super) struct Ended(pub(super) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Does what the program that started this one wants; nothing when that is none of ours.
pub(super) fn perform_task() {
    let (Ok(task), Ok(folder)) = (std::env::var(TASK), std::env::var(FOLDER)) else {
        return;
    };
    let folder = Path::new(&folder);
    let storage = LocalFolder::new(&folder.join("store"));
    runtime().block_on(async {
        match task.as_str() {
            "lease" => {
                let lease = storage.lease("a", LONG).await.unwrap();
                assert!(lease.is_some());
                ready_until_killed();
            }
            "write" => {
                for index in 0..2_000_u32 {
                    let bytes = Bytes::from(vec![index.to_le_bytes()[0]; 4 * MEGABYTE]);
                    storage.put("a", bytes, Condition::Any).await.unwrap();
                }
            }
            "add" => {
                for _ in 0..20 {
                    add_one(&storage, "a").await;
                    let piece = Bytes::from_static(b"1\n");
                    storage.append("b", piece).await.unwrap();
                }
            }
            "large" => large(&storage, folder).await,
            "full" => full(&storage).await,
            "read-only" => read_only(&storage).await,
            other => panic!("no task {other}"),
        }
    });
}

fn ready_until_killed() {
    let mut out = std::io::stdout();
    out.write_all(format!("\n{READY}\n").as_bytes()).unwrap();
    out.flush().unwrap();
    // Ends when its parent has ended, too.
    std::io::stdin().lock().read_line(&mut String::new()).ok();
}

async fn large(storage: &LocalFolder, folder: &Path) {
    let before = peak_of_memory();
    let (from, to) = (folder.join("from"), folder.join("to"));
    storage.put_file("a", &from, Condition::Any).await.unwrap();
    storage.get_file("a", &to).await.unwrap();
    let more = peak_of_memory().saturating_sub(before);
    assert!(more < 32 * MEGABYTE, "{more} bytes more");
}

/// In bytes; 0 where the system does not say it.
fn peak_of_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// On a disk that takes a few megabytes.
async fn full(storage: &LocalFolder) {
    storage.create().await.unwrap();
    let old = Bytes::from_static(b"old");
    storage.put("a", old, Condition::Any).await.unwrap();
    let large = || Bytes::from(vec![b'x'; 4 * MEGABYTE]);
    for _ in 0..2 {
        for name in ["a", "new/b"] {
            let error = storage
                .put(name, large(), Condition::Any)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Failed { .. }), "{error:?}");
            let message = error.to_string();
            let place = storage.to_string();
            assert!(
                message.contains(&place) && message.contains(name),
                "{message}"
            );
        }
    }
    // Not a part of any limit, so that the last piece does not fit.
    let piece = Bytes::from(vec![b'y'; 300_001]);
    let mut pieces = 0;
    while storage.append("c", piece.clone()).await.is_ok() {
        pieces += 1;
        assert!(pieces < 100);
    }
    let grown = storage.get("c").await.unwrap().unwrap().bytes.len();
    assert_eq!(grown, pieces * piece.len());
    assert_eq!(text(storage, "a").await.unwrap(), "old");
    storage.delete("c", None).await.unwrap();
    let new = Bytes::from_static(b"new");
    storage.put("a", new, Condition::Any).await.unwrap();
    assert_eq!(text(storage, "a").await.unwrap(), "new");
    assert_eq!(names(storage, "").await, ["a"]);
}

async fn read_only(storage: &LocalFolder) {
    assert!(storage.exists().await.unwrap());
    assert_eq!(text(storage, "a").await.unwrap(), "1");
    assert_eq!(names(storage, "").await, ["a"]);
    let bytes = || Bytes::from_static(b"2");
    let faults = [
        storage.put("a", bytes(), Condition::Any).await.err(),
        storage.append("a", bytes()).await.err(),
        storage.begin("b").await.err(),
        storage.delete("a", None).await.map(|_| ()).err(),
        storage.lease("a", LONG).await.map(|_| ()).err(),
    ];
    for fault in faults {
        let Some(Error::Failed { .. }) = fault else {
            panic!("{fault:?}");
        };
        let message = fault.unwrap().to_string();
        assert!(message.contains(&storage.to_string()), "{message}");
    }
    assert_eq!(text(storage, "a").await.unwrap(), "1");
}

//! How a worker shows that it lives, to the other processes of its machine: it holds a lock of the operating system.
//!
//! The lock ends with the process, however that ends. The file says which process it is, and counts only while the lock is held.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{processes::started, protocol::RunPaths};

/// Whoever looks whether a lock is held has it for a moment. A lock that is not free so many tries is another worker's.
const TRIES: u32 = 250;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// No file is longer.
const LONGEST: u64 = 1024;

/// Why a worker cannot show that it lives.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// There is one of that name.
    #[error(
        "a worker named {worker} works for this run already; give each a name of its own in SBM_WORKER"
    )]
    Taken {
        /// The name.
        worker: String,
    },
    /// The file cannot be used.
    #[error("cannot use {} to show that the worker lives: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A worker that lives, for as long as this is held.
#[derive(Debug)]
pub struct Presence {
    #[expect(dead_code, reason = "the open file is the lock")]
    file: File,
}

impl Presence {
    /// Shows in the folder of a job, which must have the run, that this process is the worker of that name.
    pub async fn take(
        container: &Path,
        paths: &RunPaths,
        worker: &str,
    ) -> Result<Self, PresenceError> {
        let path = container.join(paths.worker(worker));
        for _ in 0..TRIES {
            match try_take(&path) {
                Ok(Some(file)) => return Ok(Self { file }),
                Ok(None) => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(source) => return Err(PresenceError::File { path, source }),
            }
        }
        Err(PresenceError::Taken {
            worker: worker.to_owned(),
        })
    }
}

fn try_take(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        // Only this one: a run that is gone does not come back.
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever tidies up may have removed the file before it was locked.
    if !is_at(&file, path) {
        return Ok(None);
    }
    file.set_len(0)?;
    file.write_all(text_of(std::process::id()).as_bytes())?;
    Ok(Some(file))
}

/// What the file of a process that lives says: its number, where that means something, and when it was started, so that no other
/// process that gets the number is taken for it.
fn text_of(process: u32) -> String {
    format!("{process}\n{}\n{}\n", scope(), start_of(process))
}

/// Empty for a process that has ended, and where nobody knows.
fn start_of(process: u32) -> String {
    started(process).map_or_else(String::new, |ticks| ticks.to_string())
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Within which numbers of processes mean the same: this machine since it was started, and this container.
fn scope() -> String {
    let machine = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", machine.trim(), container.display())
}

/// What the file of a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The name of the worker, as a part of file names.
    pub worker: String,
    /// The file.
    pub path: PathBuf,
    /// Whether the worker lives.
    pub life: Life,
}

/// Whether a worker lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does, as this process.
    Here(u32),
    /// It does, but in another container or on another machine, or it has just begun and not yet said which process it is, or is
    /// about to end.
    Somewhere,
    /// It does not any more.
    Over,
}

impl Shown {
    /// Whether the worker lives.
    pub fn lives(&self) -> bool {
        self.life != Life::Over
    }

    /// The process of the worker, where its number means something here.
    pub fn process(&self) -> Option<u32> {
        match self.life {
            Life::Here(process) => Some(process),
            _ => None,
        }
    }

    /// All workers of a run that have shown themselves and are not tidied up, by name.
    pub fn all(container: &Path, paths: &RunPaths) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(container.join(paths.workers())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let worker = path.file_name().map(|name| name.to_string_lossy());
            let Some(worker) = worker.map(std::borrow::Cow::into_owned) else {
                continue;
            };
            if let Some(life) = Life::of(&path)? {
                all.push(Self { worker, path, life });
            }
        }
        all.sort_by(|one, other| one.worker.cmp(&other.worker));
        Ok(all)
    }

    /// Removes the file of a worker that does not live; whether it is gone.
    pub fn tidy(&self) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            file => file?,
        };
        match file.try_lock() {
            // Another one was faster, and what is there now is not the file that is locked.
            Ok(()) if !is_at(&file, &self.path) => Ok(!self.path.exists()),
            // Removed while it is locked: a worker that begins now notices that its file is no longer there.
            Ok(()) => match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(true),
            },
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Life {
    /// What the file at `path` shows; none when there is none any more.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // Shared: several may look at once.
        match file.try_lock_shared() {
            Ok(()) => return Ok(Some(Self::Over)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = String::new();
        // What cannot be read, as a locked file in some systems, says nothing; the lock does.
        if (&mut file).take(LONGEST).read_to_string(&mut text).is_err() {
            return Ok(Some(Self::Somewhere));
        }
        Ok(Some(Self::from_text(&text)))
    }

    fn from_text(text: &str) -> Self {
        let mut lines = text.lines();
        let process = lines.next().and_then(|line| line.parse().ok());
        match (process, lines.next(), lines.next()) {
            (Some(process), Some(written), Some(start))
                if written == scope() && start == start_of(process) =>
            {
                Self::Here(process)
            }
            _ => Self::Somewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Run {
        folder: tempfile::TempDir,
        paths: RunPaths,
    }

    impl Run {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let paths = RunPaths::new(Uuid::from_u128(7));
            fs::create_dir_all(folder.path().join(paths.folder())).unwrap();
            Self { folder, paths }
        }

        async fn take(&self, worker: &str) -> Result<Presence, PresenceError> {
            Presence::take(self.folder.path(), &self.paths, worker).await
        }

        fn all(&self) -> Vec<(String, Life)> {
            let all = Shown::all(self.folder.path(), &self.paths).unwrap();
            all.into_iter()
                .map(|shown| (shown.worker, shown.life))
                .collect()
        }
    }

    #[tokio::test]
    async fn a_worker_lives_as_long_as_it_holds_its_lock_and_its_name_is_its_own() {
        let run = Run::new();
        assert_eq!(run.all(), []);
        let held = run.take("w/1").await.unwrap();
        let here = Life::Here(std::process::id());
        assert_eq!(run.all(), [("w-1".to_owned(), here)]);
        let refused = run.take("w/1").await.unwrap_err().to_string();
        assert!(refused.contains("a worker named w/1 works"), "{refused}");
        assert_eq!(run.all(), [("w-1".to_owned(), here)]);
        drop(held);
        // A child that some other test starts has the lock until it runs its program.
        let started = std::time::Instant::now();
        while run.all() != [("w-1".to_owned(), Life::Over)] {
            assert!(started.elapsed() < Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
        run.take("w/1").await.unwrap();
    }

    #[tokio::test]
    async fn only_what_does_not_live_is_tidied_up() {
        let run = Run::new();
        let held = run.take("w1").await.unwrap();
        let shown = &Shown::all(run.folder.path(), &run.paths).unwrap()[0];
        assert!(!shown.tidy().unwrap() && shown.path.exists());
        drop(held);
        let started = std::time::Instant::now();
        while !shown.tidy().unwrap() {
            assert!(started.elapsed() < Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
        assert_eq!(run.all(), []);
        assert!(shown.tidy().unwrap());
    }

    #[tokio::test]
    async fn a_run_that_is_gone_does_not_come_back() {
        let run = Run::new();
        fs::remove_dir_all(run.folder.path().join("runs")).unwrap();
        let error = run.take("w1").await.unwrap_err();
        assert!(matches!(error, PresenceError::File { .. }), "{error}");
        assert!(!run.folder.path().join("runs").exists());
    }

    #[test]
    fn a_process_of_another_machine_is_none_of_ours() {
        let own = std::process::id();
        assert_eq!(Life::from_text(&text_of(own)), Life::Here(own));
        let (scope, start) = (scope(), start_of(own));
        for text in [
            String::new(),
            format!("{own}"),
            format!("{own}\nother\n{start}\n"),
            format!("{own}\n{scope}\n"),
            format!("x\n{scope}\n{start}\n"),
        ] {
            assert_eq!(Life::from_text(&text), Life::Somewhere, "{text}");
        }
    }

    #[test]
    fn a_process_that_has_got_the_number_of_another_is_not_taken_for_it() {
        let own = std::process::id();
        let text = format!("{own}\n{}\n-1\n", scope());
        assert_eq!(Life::from_text(&text), Life::Somewhere);
    }
}

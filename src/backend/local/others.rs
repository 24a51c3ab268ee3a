//! Workers of the run that other processes have started: they are known by the locks that they hold.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::time::{Instant, sleep};

use super::{LocalOptions, process, slot::KILLED};
use crate::{
    queue::Error as QueueError,
    worker::presence::{Life, Shown},
};

/// How often it is looked whether those have ended that were told to.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether others still live.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// How long a process may go on that has let go of its lock.
const AFTER_LOCK: Duration = Duration::from_secs(2);

/// How often the queue is told that a process has ended when it does not listen, and a file removed that is in use.
const TRIES: u32 = 3;

/// Ends the workers that this process has not started.
#[derive(Debug)]
pub(super) struct Others<'a> {
    options: &'a LocalOptions,
    /// Those that were told to end, with the numbers of their processes.
    told: BTreeMap<String, u32>,
}

impl<'a> Others<'a> {
    pub(super) fn new(options: &'a LocalOptions) -> Self {
        Self {
            options,
            told: BTreeMap::new(),
        }
    }

    /// Ends all but `own`, and removes the files of all that have ended; what is left nevertheless is the answer.
    pub(super) async fn end(mut self, own: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let begun = Instant::now();
        loop {
            let mut living = Vec::new();
            for shown in self.options.shown()? {
                if own(&shown.worker) {
                    continue;
                }
                if shown.lives() {
                    living.push(shown);
                } else {
                    self.tidy(&shown).await?;
                }
            }
            let waited = begun.elapsed();
            if living.is_empty() || waited > self.options.grace + KILLED {
                return Ok(living.iter().filter_map(describe).collect());
            }
            for shown in &living {
                self.tell(shown, waited > self.options.grace)?;
            }
            sleep(LOOK).await;
        }
    }

    fn tell(&mut self, shown: &Shown, kill: bool) -> io::Result<()> {
        // Read again: between the look and the signal as little time as possible.
        let Some(Life::Here(id)) = Life::of(&shown.path)? else {
            return Ok(());
        };
        let told = self.told.insert(shown.worker.clone(), id) == Some(id);
        if kill {
            process::kill(id)?;
        } else if !told {
            log::info!("worker {}, process {id}, is told to end", shown.worker);
            process::terminate(id)?;
        }
        Ok(())
    }

    /// What a worker held that has ended is free, and nothing is left of it.
    async fn tidy(&mut self, shown: &Shown) -> io::Result<()> {
        if let Some(id) = self.told.remove(&shown.worker) {
            until_it_is_gone(id).await;
            tell_queue(self.options, id).await;
        }
        shown.tidy().map(|_| ())
    }
}

/// Waits until a worker does not live any more; the number of its process, where it means something here.
pub(super) async fn until_it_ends(shown: &Shown) -> Option<u32> {
    let mut id = shown.process();
    loop {
        match Life::of(&shown.path) {
            Ok(Some(Life::Here(process))) => id = Some(process),
            Ok(Some(Life::Somewhere)) => {}
            Ok(Some(Life::Over) | None) => return id,
            Err(error) => log::debug!("cannot look after worker {}: {error}", shown.worker),
        }
        sleep(LOOK_AFTER).await;
    }
}

/// A process lets go of its lock a moment before it is gone, and the queue believes only those to have ended that are.
pub(super) async fn until_it_is_gone(id: u32) {
    let begun = Instant::now();
    while !process::has_ended(id) && begun.elapsed() < AFTER_LOCK {
        sleep(LOOK).await;
    }
}

/// Lets go of what a worker held that was waited for, and removes the file by which it was known.
pub(super) async fn release(options: &LocalOptions, worker: &str, id: u32) {
    tell_queue(options, id).await;
    let shown = Shown {
        path: options.container().join(options.paths().worker(worker)),
        worker: worker.to_owned(),
        life: Life::Over,
    };
    for _ in 0..TRIES {
        match shown.tidy() {
            Ok(true) => return,
            // Somebody looks at it just now.
            Ok(false) => sleep(LOOK).await,
            Err(error) => return log::debug!("cannot remove {}: {error}", shown.path.display()),
        }
    }
}

async fn tell_queue(options: &LocalOptions, id: u32) {
    for _ in 0..TRIES {
        match options.queue.release_of(id).await {
            Ok(0) => return,
            Ok(count) => {
                log::info!("{count} targets of process {id}, which has ended, are free again");
                return;
            }
            // A queue that is removed holds nothing.
            Err(QueueError::Closed { .. } | QueueError::Gone { .. }) => return,
            Err(error) => log::warn!("process {id} has ended, and {error}"),
        }
    }
}

/// Removes the files of all that have ended.
pub(super) fn tidy(options: &LocalOptions) -> io::Result<()> {
    for shown in options.shown()?.iter().filter(|shown| !shown.lives()) {
        shown.tidy()?;
    }
    Ok(())
}

/// A worker that lives, in words.
pub(super) fn describe(shown: &Shown) -> Option<String> {
    match shown.life {
        Life::Here(id) => Some(words(&shown.worker, Some(id))),
        Life::Somewhere => Some(words(&shown.worker, None)),
        Life::Over => None,
    }
}

pub(super) fn words(worker: &str, process: Option<u32>) -> String {
    match process {
        Some(id) => format!("process {id}: worker {worker}"),
        None => format!("worker {worker}: it has just begun, or runs in another container"),
    }
}

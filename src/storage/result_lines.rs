//! Result lines of one worker on their way into the storage of the run.
//!
//! Lines are written in groups: the first at once, and those that come while it is being written all together after it. So a
//! busy worker writes a few times a second, and a single line waits for nobody.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{FULL, Journal, Storage};
use crate::protocol::{ErrorReport, ResultLine, RunPaths};

/// The bytes of a group.
const GROUP: usize = 256 * 1024;

/// A line that is longer loses details.
const LONGEST_LINE: usize = 1024 * 1024;

/// One attempt at writing takes this long at most.
const ONE_TRY: Duration = Duration::from_secs(60);

/// How lines are written.
#[derive(Clone, Debug)]
pub struct LinesSettings {
    /// How long a storage that fails is tried again.
    pub patience: Duration,
    /// The pause after the first failure; it doubles with each.
    pub first_pause: Duration,
    /// The pauses grow no longer than this.
    pub longest_pause: Duration,
    /// Another object is begun after this many appends, failed ones included.
    pub appends_per_object: u32,
}

impl Default for LinesSettings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(600),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            appends_per_object: FULL,
        }
    }
}

/// Result lines cannot be stored, and no other will be tried.
#[derive(Clone, Debug, thiserror::Error)]
#[error("result lines cannot be stored: {0}")]
pub struct LinesError(Arc<str>);

/// Takes result lines; they are stored in the order in which they are handed in.
pub struct ResultLines {
    queue: mpsc::UnboundedSender<Waiting>,
    trouble: watch::Receiver<Option<Arc<str>>>,
    writer: tokio::task::JoinHandle<()>,
}

/// A line that is not yet stored.
struct Waiting {
    text: Vec<u8>,
    stored: oneshot::Sender<Result<(), LinesError>>,
}

impl ResultLines {
    /// Begins with an object that no other worker writes, also when one of the same name works or has worked for the run.
    /// Nothing is stored before the first line. A task of the present runtime does the work.
    pub fn new(
        storage: Arc<dyn Storage>,
        paths: &RunPaths,
        worker: &str,
        settings: LinesSettings,
    ) -> Self {
        let journal = Journal::new(
            storage,
            paths.results_of(worker),
            settings.appends_per_object,
        );
        let (queue, receiver) = mpsc::unbounded_channel();
        let (tell, trouble) = watch::channel(None);
        let writer = Writer {
            journal,
            settings,
            trouble: tell,
        };
        Self {
            queue,
            trouble,
            writer: tokio::spawn(writer.run(receiver)),
        }
    }

    /// Hands a line in at once. The future is ready when the line is stored; dropping it does not take the line back.
    ///
    /// A line of more than a megabyte loses details of its errors.
    pub fn append(
        &self,
        line: &ResultLine,
    ) -> impl Future<Output = Result<(), LinesError>> + Send + use<> {
        let (stored, answer) = oneshot::channel();
        let handed_in = text(line).and_then(|text| {
            let waiting = Waiting { text, stored };
            self.queue.send(waiting).map_err(|_| ended())
        });
        async move {
            handed_in?;
            answer.await.unwrap_or_else(|_| Err(ended()))
        }
    }

    /// Why lines wait at the moment; none while they are stored as they come.
    ///
    /// Whoever takes targets should take none while they do. The sender is gone when patience is over.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.trouble.clone()
    }

    /// Returns when everything that was handed in is stored, or has failed.
    pub async fn close(self) {
        drop(self.queue);
        if let Err(error) = self.writer.await {
            log::error!("result lines may be missing: {error}");
        }
    }
}

impl fmt::Debug for ResultLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultLines")
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

fn ended() -> LinesError {
    LinesError("nothing writes them any more".into())
}

/// One line of JSON.
fn text(line: &ResultLine) -> Result<Vec<u8>, LinesError> {
    let json = |line: &ResultLine| {
        serde_json::to_vec(line).map_err(|error| LinesError(error.to_string().into()))
    };
    let mut text = json(line)?;
    if text.len() > LONGEST_LINE {
        text = json(&shortened(line))?;
    }
    text.push(b'\n');
    Ok(text)
}

/// The state and the targets stay, and the beginning of the rest.
fn shortened(line: &ResultLine) -> ResultLine {
    const MOST: usize = 20;
    let mut short = line.clone();
    short.warnings =
        vec!["details of this result are left out, because there were too many".into()];
    short.errors.truncate(MOST);
    for ErrorReport {
        message, statement, ..
    } in &mut short.errors
    {
        cut(message);
        if let Some(statement) = statement {
            cut(statement);
        }
    }
    short
}

fn cut(text: &mut String) {
    const LONGEST: usize = 4_096;
    text.truncate(text.floor_char_boundary(LONGEST));
}

struct Writer {
    journal: Journal,
    settings: LinesSettings,
    trouble: watch::Sender<Option<Arc<str>>>,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Waiting>) {
        let mut first = queue.recv().await;
        while let Some(waiting) = first.take() {
            let (group, next) = group(waiting, &mut queue);
            let lines: Vec<&[u8]> = group.iter().map(|waiting| &*waiting.text).collect();
            let result = self.store(&lines.concat()).await;
            for waiting in group {
                // Perhaps nobody wants to know.
                waiting.stored.send(result.clone()).ok();
            }
            if let Err(error) = result {
                // Whoever watches for trouble learns that it does not end.
                drop(self);
                return refuse(next, &mut queue, &error).await;
            }
            first = match next {
                Some(next) => Some(next),
                None => queue.recv().await,
            };
        }
    }

    /// Tries until it is done, or until patience is over.
    async fn store(&mut self, lines: &[u8]) -> Result<(), LinesError> {
        let began = Instant::now();
        let mut pause = self.settings.first_pause;
        loop {
            let why: Arc<str> = match timeout(ONE_TRY, self.journal.append(lines)).await {
                Ok(Ok(())) => {
                    self.recovered();
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string().into(),
                Err(_) => format!("{} does not answer", self.journal).into(),
            };
            if self.trouble.borrow().is_none() {
                log::warn!("result lines wait: {why}");
            }
            self.trouble.send_replace(Some(Arc::clone(&why)));
            let tried = began.elapsed();
            if tried >= self.settings.patience {
                let tried = tried.as_secs();
                return Err(LinesError(format!("{why} (tried for {tried} s)").into()));
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    fn recovered(&self) {
        let recovered = self
            .trouble
            .send_if_modified(|trouble| trouble.take().is_some());
        if recovered {
            log::info!("result lines are stored again");
        }
    }
}

/// Everything that waits, as far as it may be written at once; and the first that has to wait for the next time.
fn group(
    first: Waiting,
    queue: &mut mpsc::UnboundedReceiver<Waiting>,
) -> (Vec<Waiting>, Option<Waiting>) {
    let mut bytes = first.text.len();
    let mut group = vec![first];
    while let Ok(waiting) = queue.try_recv() {
        bytes += waiting.text.len();
        if bytes > GROUP {
            return (group, Some(waiting));
        }
        group.push(waiting);
    }
    (group, None)
}

/// A line that is not stored must not be followed by one that is: somebody else may already work on its target.
async fn refuse(
    first: Option<Waiting>,
    queue: &mut mpsc::UnboundedReceiver<Waiting>,
    error: &LinesError,
) {
    let mut next = first;
    loop {
        let waiting = match next.take() {
            Some(waiting) => waiting,
            None => match queue.recv().await {
                Some(waiting) => waiting,
                None => return,
            },
        };
        waiting.stored.send(Err(error.clone())).ok();
    }
}

//! A query from this process, one line per stage.

use std::{fs, io::Write, path::Path, sync::Arc};

use jiff::Timestamp;

use super::inputs;
use crate::{
    Error, ExitCode, engine,
    query::{self, Asked, Asking, Gathered, Gathering, Outcome, ResultFile, Summary},
    queue::InProcess,
    report::{Command, List, Output, write_whole},
    settings::QuerySettings,
};

/// The folder of lists and outcome below the root: those of the last build stay.
const FOLDER: &str = "query";

/// Asks every database, and tells what came of it: on `out` when the rows go to a file, else on `messages`, which also gets the
/// progress. `command` is what a user types to do it again.
pub async fn query(
    settings: QuerySettings,
    command: Command,
    out: &mut dyn Write,
    messages: &mut dyn Write,
) -> Result<ExitCode, Error> {
    let started = Timestamp::now();
    let engine = engine::connect(
        settings.platform,
        &settings.connection,
        settings.password.clone(),
        None,
    )
    .map_err(Error::engine)?;
    let (asked, warnings) = inputs::asked(&settings, &*engine).await?;
    let asked = Arc::new(asked);
    for line in &warnings {
        tell(messages, line);
    }
    let result = match &settings.output_file {
        Some(path) => {
            ResultFile::create(path, settings.replace).map_err(|error| Error::file(path, error))?
        }
        None => ResultFile::stdout(),
    };
    let gathering = Gathering {
        engine,
        asking: Arc::new(Asking {
            question: settings.question.clone(),
            timeout: settings.timeout,
            timeout_retries: settings.timeout_retries,
        }),
        asked: Arc::clone(&asked),
        queue: InProcess::new(settings.platform, settings.concurrency),
        format: settings.format,
    };
    let mut gathered = query::gather(gathering, result, |line| tell(messages, line))
        .await
        .map_err(Error::service)?;

    let folder = settings.root_logging_path.join(FOLDER);
    let shown = |path: &Path| path.display().to_string();
    let summary = Summary {
        run_id: uuid::Uuid::new_v4(),
        query: settings.question.name.clone(),
        platform: settings.platform,
        started,
        finished: Timestamp::now(),
        format: settings.format,
        output_file: settings.output_file.as_deref().map(shown),
        folder: shown(&folder),
        command,
    };
    let mut outcome = Outcome::new(summary.clone(), &asked, &gathered);
    if let Err(error) = write(&folder, &outcome, &asked, &gathered) {
        // What became of the databases is told even where it cannot be written down.
        let reasons = gathered.failed.into_iter().chain([error.chain()]);
        gathered.failed = Some(reasons.collect::<Vec<_>>().join("; "));
        outcome = Outcome::new(summary, &asked, &gathered);
    }
    let text = match settings.output {
        Output::Json => outcome.to_json(),
        Output::Text => outcome.to_text(),
    };
    match settings.output_file {
        Some(_) => out
            .write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .or_else(super::ignore_closed)
            .map_err(Error::Output)?,
        None => tell(messages, text.trim_end()),
    }
    Ok(outcome.ended)
}

fn write(
    folder: &Path,
    outcome: &Outcome,
    asked: &[Asked],
    gathered: &Gathered,
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
    let lists = [List::Success, List::Failure];
    let lists = lists.map(|list| (list.file_name(), query::list(list, asked, gathered)));
    let document = (Outcome::FILE_NAME, outcome.to_json());
    for (name, text) in lists.into_iter().chain([document]) {
        let path = folder.join(name);
        write_whole(&path, text.as_bytes()).map_err(|error| Error::file(&path, error))?;
    }
    Ok(())
}

/// A reader that went away must not stop the query.
fn tell(messages: &mut dyn Write, line: &str) {
    if let Err(error) = writeln!(messages, "{line}").and_then(|()| messages.flush()) {
        log::debug!("cannot write a message: {error}");
    }
}

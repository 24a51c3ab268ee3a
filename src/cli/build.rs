//! `build`: one database, or the few of a short list.

use super::{rerun, vault};
use crate::{
    Error, ExitCode, run as runs,
    settings::{BuildArguments, RunSettings, VaultQuestion, process_environment},
};

pub(super) async fn run(typed: &BuildArguments) -> Result<ExitCode, Error> {
    let environment = &process_environment;
    let question = VaultQuestion::of_run(&typed.run, environment);
    let answers = vault::answers(question, None).await?;
    let settings = RunSettings::build_with(typed, environment, &answers)?;
    runs::threaded(settings, rerun::command()).await
}

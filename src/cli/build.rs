//! `build`: one database, or the few of a short list.

use super::rerun;
use crate::{
    Error, ExitCode, run as runs,
    settings::{BuildArguments, RunSettings, process_environment},
};

pub(super) async fn run(typed: &BuildArguments) -> Result<ExitCode, Error> {
    runs::threaded(
        RunSettings::build(typed, &process_environment)?,
        rerun::command(),
    )
    .await
}

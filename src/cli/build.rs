//! `build`: one database, or the few of a short list.

use super::stand_in::run;
use crate::{
    Error, ExitCode,
    settings::{BuildArguments, RunSettings, process_environment},
};

pub(super) async fn run(typed: &BuildArguments) -> Result<ExitCode, Error> {
    run::threaded(RunSettings::build(typed, &process_environment)?).await
}

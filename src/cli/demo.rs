//! `demo`: a run on databases made for it.

use super::stand_in::run;
use crate::{
    Error, ExitCode,
    settings::{DemoArguments, DemoSettings, process_environment},
};

pub(super) async fn run(typed: &DemoArguments) -> Result<ExitCode, Error> {
    run::demo(DemoSettings::new(typed, &process_environment)?).await
}

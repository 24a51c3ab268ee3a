//! `demo`: a run on databases made for it.

use super::rerun;
use crate::{
    Error, ExitCode, run as runs,
    settings::{DemoArguments, DemoSettings, process_environment},
};

pub(super) async fn run(typed: &DemoArguments) -> Result<ExitCode, Error> {
    runs::demo(
        DemoSettings::new(typed, &process_environment)?,
        &rerun::program(),
    )
    .await
}

//! What became of a run, told and written down.

use jiff::Timestamp;

use super::{
    super::{ignore_closed, record},
    Place,
};
use crate::{
    Error,
    conductor::Ended,
    protocol::{Early, EndedBy, JobSpec, RunPaths},
    report::{Command, Report, Reporter, Run},
};

/// What is known of a run beside its end.
pub(super) struct Outcome<'a> {
    pub(super) place: &'a Place,
    pub(super) job: JobSpec,
    pub(super) command: Option<Command>,
}

impl Outcome<'_> {
    /// Writes the report into the store, which only the one does that has conducted the run to its end, and shows it.
    pub(super) async fn tell(
        self,
        ended: Ended,
        reporter: &mut dyn Reporter,
    ) -> Result<Report, Error> {
        let container = self.place.container();
        let folder = container.join(RunPaths::new(self.job.run_id).folder());
        let writes = ended.keeper.is_some();
        let mut run = self.run(ended.early.as_ref(), ended.left_over);
        let mut report = Report::new(run.clone(), &ended.verdict);
        if writes && let Err(error) = record::end(&container, &folder, &ended.verdict, &report) {
            // What became of the databases is told even where it cannot be written down.
            let reasons = run.service_failed.into_iter().chain([error.chain()]);
            run.service_failed = Some(reasons.collect::<Vec<_>>().join("; "));
            run.folder = None;
            report = Report::new(run, &ended.verdict);
        }
        if let Some(keeper) = ended.keeper {
            keeper.release().await;
        }
        reporter
            .finish(&report)
            .or_else(ignore_closed)
            .map_err(Error::Output)?;
        Ok(report)
    }

    fn run(self, early: Option<&Early>, left_over: Vec<String>) -> Run {
        let by = |wanted: &[EndedBy]| {
            let early = early.filter(|early| wanted.contains(&early.by));
            early.map(|early| early.why.clone())
        };
        let container = self.place.container();
        let paths = RunPaths::new(self.job.run_id);
        Run {
            run_id: self.job.run_id,
            package: self.job.package,
            platform: self.job.platform,
            trial: self.job.build.trial,
            started: self.job.created,
            finished: Timestamp::now(),
            refused: None,
            cancelled: by(&[EndedBy::Cancelled]),
            service_failed: by(&[EndedBy::Service]),
            halted: by(&[EndedBy::Halted, EndedBy::Deadline]),
            left_over,
            database_logs: Some(container.join(paths.logs())),
            folder: Some(container),
            command: self.command,
        }
    }
}

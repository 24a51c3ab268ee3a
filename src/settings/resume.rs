//! Whether a run is a new one or goes on with an earlier one.

use uuid::Uuid;

use super::{RunOptionArguments, reader::Reader};
use crate::protocol::BuildOptions;

/// Whether a run is a new one or goes on with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// A new run.
    No,
    /// The last run of the logging folder.
    Last,
    /// This run.
    Run(Uuid),
}

/// What else a resumed run does again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) finish_partial: bool,
    pub(super) interrupted: bool,
    pub(super) failed: bool,
}

impl Again {
    /// The same build, which does these again.
    pub(super) fn put_into(self, build: BuildOptions) -> BuildOptions {
        BuildOptions {
            finish_partial: self.finish_partial,
            redo_interrupted: self.interrupted,
            redo_failed: self.failed,
            ..build
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, typed: &RunOptionArguments) -> (Resume, Again) {
    reader.note("--resume", typed.resume.as_deref(), "");
    reader.note("--redo", typed.redo.as_deref(), "");
    let resume = resume(reader, typed.resume.as_deref());
    let mut again = redo(reader, typed.redo.as_deref());
    again.finish_partial = reader.flag("--finish-partial", typed.finish_partial.as_deref(), false);
    if resume == Resume::No {
        let problem = "used only with --resume, which names the run to go on with";
        if typed.redo.is_some() {
            reader.fault("--redo", typed.redo.as_deref(), problem);
        }
        if again.finish_partial {
            reader.fault("--finish-partial", None, problem);
        }
    }
    (resume, again)
}

fn resume(reader: &mut Reader<'_>, given: Option<&str>) -> Resume {
    let Some(text) = given else {
        return Resume::No;
    };
    if text.trim().eq_ignore_ascii_case("last") {
        return Resume::Last;
    }
    match Uuid::try_parse(text.trim()) {
        Ok(run) => Resume::Run(run),
        Err(_) => {
            let problem = "accepted is the id of a run, or no value for the last run";
            reader.fault("--resume", given, problem);
            Resume::Last
        }
    }
}

fn redo(reader: &mut Reader<'_>, given: Option<&str>) -> Again {
    let mut again = Again::default();
    for word in given.into_iter().flat_map(|text| text.split(',')) {
        match word.trim().to_ascii_lowercase().as_str() {
            "interrupted" => again.interrupted = true,
            "failed" => again.failed = true,
            _ => {
                let problem = "accepted are interrupted and failed, with a comma between them";
                reader.fault("--redo", given, problem);
                break;
            }
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(
        resume: Option<&str>,
        redo: Option<&str>,
        finish: Option<&str>,
    ) -> Result<(Resume, Again), String> {
        let mut reader = Reader::new(&|_| None);
        let typed = RunOptionArguments {
            resume: resume.map(str::to_owned),
            redo: redo.map(str::to_owned),
            finish_partial: finish.map(str::to_owned),
            ..RunOptionArguments::default()
        };
        let read = read(&mut reader, &typed);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(read)
    }

    #[test]
    fn a_run_is_new_the_last_or_a_named_one() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let run = Resume::Run(Uuid::try_parse(id).unwrap());
        assert_eq!(all(None, None, None).unwrap().0, Resume::No);
        assert_eq!(all(Some("last"), None, None).unwrap().0, Resume::Last);
        assert_eq!(all(Some(id), None, None).unwrap().0, run);
        assert_eq!(all(Some(&id.replace('-', "")), None, None).unwrap().0, run);
        assert!(all(Some("yesterday"), None, None).is_err());
    }

    #[test]
    fn what_is_done_again_needs_a_resumed_run() {
        let (_, again) = all(Some("last"), Some("Failed, interrupted"), Some("true")).unwrap();
        assert!(again.failed && again.interrupted && again.finish_partial);
        let (_, again) = all(Some("last"), Some("failed"), None).unwrap();
        assert!(again.failed && !again.interrupted && !again.finish_partial);
        for redo in ["", "crashed", "failed,", "failed interrupted"] {
            assert!(all(Some("last"), Some(redo), None).is_err(), "{redo}");
        }
        let fault = all(None, Some("failed"), Some("true")).unwrap_err();
        assert_eq!(fault.matches("--resume").count(), 2, "{fault}");
        assert!(all(None, None, Some("false")).is_ok());
    }
}

//! The files of a run, each of which is either old or new but never half written.

use std::{
    fs::{self, Permissions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{List, Log, Report, json::write_json, write_junit, write_list, write_log};
use crate::monitor::Verdict;

const RESULT: &str = "result.json";
const JUNIT: &str = "junit.xml";

/// The paths that [`write_all`] writes in `folder`.
pub fn paths(folder: &Path) -> Vec<PathBuf> {
    let lists = List::ALL.map(List::file_name);
    let logs = Log::ALL.map(Log::file_name);
    let names = [RESULT, JUNIT].into_iter().chain(lists).chain(logs);
    names.map(|name| folder.join(name)).collect()
}

/// Writes result, JUnit file, target lists and logs into `folder`, which is made when missing.
///
/// Files of an earlier run are replaced. Every file is attempted; the first fault is reported, with the path.
pub fn write_all(folder: &Path, verdict: &Verdict, report: &Report) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    let lines = verdict.lines();
    let mut results = vec![
        replace(folder, RESULT, |to| write_json(to, report)),
        replace(folder, JUNIT, |to| {
            write_junit(to, &report.package.name, lines)
        }),
    ];
    results.extend(
        List::ALL.map(|list| replace(folder, list.file_name(), |to| write_list(to, list, lines))),
    );
    results.extend(Log::ALL.map(|log| {
        replace(folder, log.file_name(), |to| {
            write_log(to, log, lines, report.finished)
        })
    }));
    results.into_iter().collect()
}

/// Writes a file whole or not at all, as readable as the user's umask allows.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    write_and_persist(folder, path, |to| to.write_all(bytes))
}

/// A file for what is to be given its name later, as readable as the user's umask allows.
pub fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    if let Some(permissions) = ordinary_permissions() {
        builder.permissions(permissions);
    }
    builder.prefix(".sbm-").tempfile_in(folder)
}

fn replace(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let path = folder.join(name);
    write_and_persist(folder, &path, write).map_err(|error| named(&path, &error))?;
    Ok(path)
}

fn write_and_persist(
    folder: &Path,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = temporary_in(folder)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    // Without it a power cut after the rename can leave an empty file.
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What the user's umask leaves of read and write for all: a temporary file's own 0600 would hide the results from the
/// next step of a pipeline, which may be another user.
#[cfg(unix)]
fn ordinary_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn ordinary_permissions() -> Option<Permissions> {
    None
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot write {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        monitor::fixtures::{failed, line},
        protocol::State,
        report::document::tests::run,
    };

    fn outcome(states: &[State]) -> (Verdict, Report) {
        let lines = states
            .iter()
            .map(|state| line("s", &state.to_string(), *state));
        let verdict = Verdict::new(lines.collect());
        let report = Report::new(run(), &verdict);
        (verdict, report)
    }

    #[test]
    fn everything_is_written_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("runs").join("1");
        let (verdict, report) = outcome(&State::ALL);
        let written = write_all(&inside, &verdict, &report).unwrap();
        assert_eq!(written, paths(&inside));
        let mut found: Vec<PathBuf> = fs::read_dir(&inside)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let mut expected = written;
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let list = fs::read_to_string(inside.join("unresolveddatabases.cfg")).unwrap();
        assert_eq!(list, "s:PartlyCommitted\ns:Interrupted\ns:Unknown\n");
        let result = fs::read_to_string(inside.join("result.json")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        assert_eq!(result["totals"]["targets"], 11);
    }

    #[test]
    fn a_second_run_replaces_what_the_first_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let (verdict, report) = outcome(&[State::RolledBack]);
        write_all(folder.path(), &verdict, &report).unwrap();
        let (verdict, report) = outcome(&[State::Committed]);
        write_all(folder.path(), &verdict, &report).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("failuredatabases.cfg"), "");
        assert_eq!(read("successdatabases.cfg"), "s:Committed\n");
        assert_eq!(read("errors.log"), "");
    }

    #[test]
    fn a_fault_names_the_path_and_the_other_files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("junit.xml")).unwrap();
        let (verdict, report) = outcome(&[State::Committed]);
        let error = write_all(folder.path(), &verdict, &report)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert!(error.contains("junit.xml"), "{error}");
        assert!(folder.path().join("commits.log").is_file());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, paths(folder.path()).len());
    }

    #[cfg(unix)]
    #[test]
    fn files_are_as_readable_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let ordinary = folder.path().join("ordinary");
        fs::write(&ordinary, "").unwrap();
        let (verdict, report) = outcome(&[State::Committed]);
        let written = write_all(folder.path(), &verdict, &report).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&written[0]), mode(&ordinary));
    }

    #[test]
    fn a_large_fleet_makes_a_small_result() {
        let lines =
            (0..20_000).map(|number| failed(&format!("s{}", number % 7), "d", "a.sql", "no"));
        let verdict = Verdict::new(lines.collect());
        let report = Report::new(run(), &verdict);
        let mut json = Vec::new();
        write_json(&mut json, &report).unwrap();
        assert!(json.len() < 1_000_000, "{}", json.len());
    }
}

//! The name of a job, and the folder of all jobs.

use std::path::PathBuf;

use crate::settings::reader::Reader;

const NAME_OPTION: &str = "--jobname";
const STORE_OPTION: &str = "--store";
const STORE: &str = "sbm-store";

/// The folders of a store that are no jobs.
const TAKEN: [&str; 1] = ["queues"];

const NEEDED: &str = "needed: the name of the job, as `local run` or `local prep` got it";

/// The name of a job, when there is one. Like the reference program, makes all letters small.
pub(super) fn job_name(reader: &mut Reader<'_>, given: Option<&str>) -> Option<String> {
    let name = reader.text(NAME_OPTION, given)?.to_ascii_lowercase();
    if let Some(problem) = problem(&name) {
        reader.fault(NAME_OPTION, given, problem);
        return None;
    }
    Some(name)
}

/// The name of a job that is there already.
pub(super) fn known_job_name(reader: &mut Reader<'_>, given: Option<&str>) -> String {
    if given.is_none() {
        reader.fault(NAME_OPTION, None, NEEDED);
    }
    job_name(reader, given).unwrap_or_default()
}

/// Names become names of files and folders.
fn problem(name: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !begins_well || name.len() > 63 || !name.bytes().all(is_plain) {
        return Some(
            "accepted are 1 to 63 letters, digits, `-` and `_`, with a letter or digit at the beginning",
        );
    }
    TAKEN
        .contains(&name)
        .then_some("the store has a folder of this name for itself; accepted is any other name")
}

/// The folder of all jobs, with the environment variables in it replaced.
pub(super) fn store(reader: &mut Reader<'_>, given: Option<&str>) -> PathBuf {
    let Some(path) = reader.path(STORE_OPTION, given) else {
        if !reader.is_refused(STORE_OPTION) {
            reader.note(STORE_OPTION, None, STORE);
        }
        return PathBuf::from(STORE);
    };
    if path.is_file() {
        let problem = "this is a file; accepted is a folder, which need not exist";
        reader.fault(STORE_OPTION, path.to_str(), problem);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, String> {
        let mut reader = Reader::new(&|name| (name == "ROOT").then(|| "/var".to_owned()));
        let value = read(&mut reader);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(value)
    }

    #[test]
    fn names_are_those_of_files_and_folders() {
        let longest = "a".repeat(63);
        for (name, expected) in [
            ("a", "a"),
            ("7", "7"),
            (" Shop-Update_3 ", "shop-update_3"),
            (&longest, &longest),
            ("queues-2", "queues-2"),
        ] {
            let read = read(|reader| job_name(reader, Some(name)));
            assert_eq!(read, Ok(Some(expected.to_owned())));
        }
        assert_eq!(read(|reader| job_name(reader, None)), Ok(None));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let too_long = "a".repeat(64);
        for (name, reason) in [
            ("", "needs some text"),
            (" ", "needs some text"),
            ("-a", "1 to 63 letters"),
            ("_a", "1 to 63 letters"),
            (".", "1 to 63 letters"),
            ("..", "1 to 63 letters"),
            ("a/b", "1 to 63 letters"),
            ("a\\b", "1 to 63 letters"),
            ("a.queue", "1 to 63 letters"),
            ("a b", "1 to 63 letters"),
            ("käse", "1 to 63 letters"),
            ("a\n", "a"),
            (&too_long, "1 to 63 letters"),
            (".sbm-store", "1 to 63 letters"),
            ("queues", "for itself"),
            ("Queues", "for itself"),
        ] {
            let read = read(|reader| job_name(reader, Some(name)));
            match name {
                // Blanks around a name do not count.
                "a\n" => assert_eq!(read, Ok(Some("a".to_owned()))),
                _ => {
                    let fault = read.unwrap_err();
                    assert!(fault.contains(reason), "{fault}");
                }
            }
        }
        let fault = read(|reader| known_job_name(reader, None)).unwrap_err();
        assert!(fault.starts_with("--jobname: needed"), "{fault}");
    }

    #[test]
    fn a_store_is_a_folder_and_may_name_variables() {
        let path = |given| read(|reader| store(reader, given));
        assert_eq!(path(None), Ok(PathBuf::from("sbm-store")));
        assert_eq!(path(Some("%ROOT%/jobs")), Ok(PathBuf::from("/var/jobs")));
        assert!(path(Some("%NONE%")).unwrap_err().contains("NONE"));
        assert!(path(Some(" ")).unwrap_err().contains("needs some text"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let fault = path(file.path().to_str()).unwrap_err();
        assert!(fault.contains("this is a file"), "{fault}");
    }
}

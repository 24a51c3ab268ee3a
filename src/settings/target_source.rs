//! Which databases are meant.

use std::path::{Path, PathBuf};

use super::{TargetArguments, package_source::has_extension, reader::Reader};

/// Which databases are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSource {
    /// A target list: an existing `.cfg` or `.multiDb` file.
    File(PathBuf),
    /// One pair, typed on the command line.
    Inline {
        /// The server, when it was given by itself; it wins over one in the text.
        server: Option<String>,
        /// `[server:]default,database[#tag]`.
        text: String,
    },
    /// The databases that the package's scripts name.
    Inferred {
        /// Their server.
        server: String,
        /// The real database that stands for the one which the scripts name.
        database: Option<String>,
    },
}

impl TargetSource {
    /// The extensions of the reference program's target lists; users may write them in any case.
    pub const EXTENSIONS: [&str; 4] = ["cfg", "multiDb", "multiDbQ", "sql"];

    /// Whether `path` means a file, even one that this version cannot read, rather than a pair.
    fn is_list(path: &Path) -> bool {
        Self::EXTENSIONS
            .iter()
            .any(|extension| has_extension(path, extension))
    }
}

/// Stands for a target source where a fault was met.
fn nothing() -> TargetSource {
    TargetSource::File(PathBuf::new())
}

const ACCEPTED: &str = "accepted are .cfg and .multiDb files";

/// The targets of `threaded run`: always a file.
pub(super) fn read_list(reader: &mut Reader<'_>, typed: &TargetArguments) -> TargetSource {
    let given = typed.r#override.as_deref();
    if given.is_none() {
        reader.fault("--override", None, format!("needed; {ACCEPTED}"));
        return nothing();
    }
    let Some(text) = reader.text("--override", given) else {
        return nothing();
    };
    list(reader, &text)
}

/// The targets of `build`: a file, one pair, or the databases that the package names.
pub(super) fn read_any(
    reader: &mut Reader<'_>,
    typed: &TargetArguments,
    server: Option<&str>,
    database: Option<&str>,
) -> TargetSource {
    let server = reader.text("--server", server);
    let database = reader.text("--database", database);
    reader.note("--override", typed.r#override.as_deref(), "");
    let Some(text) = typed.r#override.as_deref() else {
        return inferred(reader, server, database);
    };
    let Some(text) = reader.text("--override", Some(text)) else {
        return nothing();
    };
    let refused = "not used with --override, which names it; leave one of the two out";
    if let Some(database) = &database {
        reader.fault("--database", Some(database), refused);
    }
    if TargetSource::is_list(Path::new(&text)) {
        if let Some(server) = &server {
            reader.fault("--server", Some(server), refused);
        }
        return list(reader, &text);
    }
    inline(reader, server, text)
}

fn list(reader: &mut Reader<'_>, text: &str) -> TargetSource {
    let path = PathBuf::from(text);
    let problem = if has_extension(&path, "cfg") || has_extension(&path, "multiDb") {
        (!path.is_file()).then_some("no such file")
    } else if TargetSource::is_list(&path) {
        Some("this version cannot read such a list yet")
    } else {
        Some("no target list")
    };
    if let Some(problem) = problem {
        reader.fault("--override", Some(text), format!("{problem}; {ACCEPTED}"));
    }
    TargetSource::File(path)
}

fn inferred(
    reader: &mut Reader<'_>,
    server: Option<String>,
    database: Option<String>,
) -> TargetSource {
    if server.is_none() {
        let problem = "needed, because there is no --override to name the targets";
        reader.fault("--server", None, problem);
    }
    TargetSource::Inferred {
        server: server.unwrap_or_default(),
        database,
    }
}

fn inline(reader: &mut Reader<'_>, server: Option<String>, text: String) -> TargetSource {
    let Some((before, _)) = text.split_once(',') else {
        let problem = format!("{ACCEPTED}, or one pair `default,database`");
        reader.fault("--override", Some(&text), problem);
        return nothing();
    };
    if server.is_none() && !before.contains(':') {
        let problem = "needed, because --override is a pair without a server";
        reader.fault("--server", None, problem);
    }
    TargetSource::Inline { server, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(
        given: Option<&str>,
        server: Option<&str>,
        database: Option<&str>,
    ) -> Result<TargetSource, String> {
        let mut reader = Reader::new(&|_| None);
        let typed = TargetArguments {
            r#override: given.map(str::to_owned),
            ..TargetArguments::default()
        };
        let source = read_any(&mut reader, &typed, server, database);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(source)
    }

    fn only_list(given: Option<&str>) -> Result<TargetSource, String> {
        let mut reader = Reader::new(&|_| None);
        let typed = TargetArguments {
            r#override: given.map(str::to_owned),
            ..TargetArguments::default()
        };
        let source = read_list(&mut reader, &typed);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(source)
    }

    #[test]
    fn build_takes_a_file_a_pair_or_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.CFG");
        std::fs::write(&file, "").unwrap();
        let text = file.to_str().unwrap();
        assert_eq!(
            any(Some(text), None, None),
            Ok(TargetSource::File(file.clone()))
        );
        assert_eq!(only_list(Some(text)), Ok(TargetSource::File(file.clone())));
        assert_eq!(
            any(Some("s:a,b"), None, None),
            Ok(TargetSource::Inline {
                server: None,
                text: "s:a,b".into()
            })
        );
        assert_eq!(
            any(Some("a,b"), Some("s"), None),
            Ok(TargetSource::Inline {
                server: Some("s".into()),
                text: "a,b".into()
            })
        );
        assert_eq!(
            any(None, Some("s"), Some("d")),
            Ok(TargetSource::Inferred {
                server: "s".into(),
                database: Some("d".into())
            })
        );
    }

    #[test]
    fn targets_that_are_not_clear_are_refused_with_the_reason() {
        for (given, server, database, reason) in [
            (None, None, Some("d"), "--server: needed"),
            (Some("a,b"), None, None, "--server: needed"),
            (Some("ab"), Some("s"), None, "one pair"),
            (Some("none.cfg"), None, None, "no such file"),
            (Some("none.cfg"), Some("s"), None, "--server `s`: not used"),
            (
                Some("a,b"),
                Some("s"),
                Some("d"),
                "--database `d`: not used",
            ),
            (Some(""), None, None, "needs some text"),
        ] {
            let fault = any(given, server, database).unwrap_err();
            assert!(fault.contains(reason), "{fault}");
        }
        for (given, reason) in [
            (None, "needed"),
            (Some("a,b"), "no target list"),
            (Some("a.multidb"), "no such file"),
            (Some("a.multidbq"), "cannot read such a list yet"),
            (Some("a.sql"), "cannot read such a list yet"),
        ] {
            let fault = only_list(given).unwrap_err();
            assert!(fault.contains(reason), "{fault}");
        }
    }
}

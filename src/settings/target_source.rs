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
    /// What a query finds: the text of a `.sql` file on a server, or a `.multiDbQ` file, which says where.
    Query {
        /// The file.
        path: PathBuf,
        /// Server and database for a `.sql` file.
        place: Option<(String, String)>,
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

    /// Whether `path` means a file rather than a pair.
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

const ACCEPTED: &str = "accepted are .cfg, .multiDb, .multiDbQ and .sql files";

const UNUSED: &str = "not used with --override, which names it; leave one of the two out";

/// The targets of `threaded run`: always a file.
pub(super) fn read_list(reader: &mut Reader<'_>, typed: &TargetArguments) -> TargetSource {
    let given = typed.r#override.as_deref();
    if given.is_none() {
        reader.fault("--override", None, format!("needed; {ACCEPTED}"));
        return nothing();
    }
    let (server, database) = place(reader, typed);
    let Some(text) = reader.text("--override", given) else {
        return nothing();
    };
    list(reader, &text, server, database)
}

fn place(reader: &mut Reader<'_>, typed: &TargetArguments) -> (Option<String>, Option<String>) {
    let server = reader.text("--server", typed.server.as_deref());
    let database = reader.text("--database", typed.database.as_deref());
    (server, database)
}

/// The targets of `build`: a file, one pair, or the databases that the package names.
pub(super) fn read_any(reader: &mut Reader<'_>, typed: &TargetArguments) -> TargetSource {
    let (server, database) = place(reader, typed);
    reader.note("--override", typed.r#override.as_deref(), "");
    let Some(text) = typed.r#override.as_deref() else {
        return inferred(reader, server, database);
    };
    let Some(text) = reader.text("--override", Some(text)) else {
        return nothing();
    };
    if TargetSource::is_list(Path::new(&text)) {
        return list(reader, &text, server, database);
    }
    if let Some(database) = &database {
        reader.fault("--database", Some(database), UNUSED);
    }
    inline(reader, server, text)
}

fn list(
    reader: &mut Reader<'_>,
    text: &str,
    server: Option<String>,
    database: Option<String>,
) -> TargetSource {
    let path = PathBuf::from(text);
    if has_extension(&path, "sql") {
        return text_of_query(reader, path, server, database);
    }
    for (option, given) in [("--server", &server), ("--database", &database)] {
        if given.is_some() {
            reader.fault(option, given.as_deref(), UNUSED);
        }
    }
    let is_query = has_extension(&path, "multiDbQ");
    let problem = if TargetSource::is_list(&path) {
        (!path.is_file()).then_some("no such file")
    } else {
        Some("no target list")
    };
    if let Some(problem) = problem {
        reader.fault("--override", Some(text), format!("{problem}; {ACCEPTED}"));
    }
    match is_query {
        true => TargetSource::Query { path, place: None },
        false => TargetSource::File(path),
    }
}

/// A `.sql` file, which does not say where it is to be asked.
fn text_of_query(
    reader: &mut Reader<'_>,
    path: PathBuf,
    server: Option<String>,
    database: Option<String>,
) -> TargetSource {
    if !path.is_file() {
        let problem = format!("no such file; {ACCEPTED}");
        reader.fault("--override", path.to_str(), problem);
    }
    for (option, given) in [("--server", &server), ("--database", &database)] {
        if given.is_none() && !reader.is_refused(option) {
            let problem = "needed, because --override is a query that finds the targets there";
            reader.fault(option, None, problem);
        }
    }
    TargetSource::Query {
        path,
        place: server.zip(database),
    }
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
            server: server.map(str::to_owned),
            database: database.map(str::to_owned),
            ..TargetArguments::default()
        };
        let source = read_any(&mut reader, &typed);
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
            (Some("a.multidbq"), "no such file"),
            (Some("a.sql"), "no such file"),
        ] {
            let fault = only_list(given).unwrap_err();
            assert!(fault.contains(reason), "{fault}");
        }
    }

    #[test]
    fn a_query_that_finds_targets_needs_a_place_unless_it_says_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (text, config, list) = (file("a.SQL"), file("a.multiDbQ"), file("a.cfg"));
        assert_eq!(
            any(Some(&text), Some("s"), Some("d")),
            Ok(TargetSource::Query {
                path: (&text).into(),
                place: Some(("s".into(), "d".into()))
            })
        );
        assert_eq!(
            any(Some(&config), None, None),
            Ok(TargetSource::Query {
                path: (&config).into(),
                place: None
            })
        );
        let fault = any(Some(&text), None, None).unwrap_err();
        assert!(fault.contains("--server: needed") && fault.contains("--database: needed"));
        for list in [&config, &list] {
            let fault = any(Some(list), Some("s"), Some("d")).unwrap_err();
            assert!(fault.starts_with("2 things"), "{fault}");
        }
    }
}

//! `.multiDbQ` files: the query that finds the targets, and where it is to be run. Nothing here connects to anything.

use std::path::Path;

use super::{
    Error, Fault, Faults,
    load::read_markup,
    xml::{self, Element},
};

/// The query that finds the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiDbQuery {
    /// The server on which the query runs.
    pub source_server: String,
    /// The database in which it runs.
    pub database: String,
    /// Its text. Each row that it gives is one target with one pair.
    pub query: String,
}

/// Reads the text of a `.multiDbQ` file, or says everything that is wrong with it.
pub fn parse_multi_db_query(text: &str) -> Result<MultiDbQuery, Faults> {
    read("the query file", text)
}

/// Reads the `.multiDbQ` file `path`.
pub fn load_multi_db_query(path: &Path) -> Result<MultiDbQuery, Error> {
    let text = read_markup(path)?;
    read(&path.display().to_string(), &text).map_err(Error::Content)
}

fn read(name: &str, text: &str) -> Result<MultiDbQuery, Faults> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parts: Vec<Element> = Vec::new();
    let mut faults = Vec::new();
    match xml::read(text, "MultiDbQueryConfig", |part| parts.push(part)) {
        Ok(()) => {}
        // What stands behind the fault was not seen, so nothing is known to be missing.
        Err(fault) => faults.push(fault),
    }
    let is_whole = faults.is_empty();
    let mut part = |name: &str, accepted: &str| {
        let found = parts.iter().find(|part| part.name == name);
        let text = found.map_or("", |part| part.text.as_str());
        if text.trim().is_empty() && is_whole {
            let lines = found.map(|part| part.line).into_iter().collect();
            let problem = format!("`{name}` is missing or empty; accepted is {accepted}");
            faults.push(Fault::in_lines(lines, problem));
        }
        text.to_owned()
    };
    let query = MultiDbQuery {
        source_server: part("SourceServer", "the server on which the query runs"),
        database: part("Database", "the database in which the query runs"),
        query: part("Query", "the text of the query"),
    };
    match faults.is_empty() {
        true => Ok(query),
        false => Err(Faults {
            list: name.to_owned(),
            faults,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        parse_multi_db_query(text).unwrap_err().to_string()
    }

    #[test]
    fn the_sample_of_the_reference_program_is_read() {
        let path = "tests/fixtures/targets/multi-query.MultiDbQ";
        let query = load_multi_db_query(Path::new(path)).unwrap();
        let expected = MultiDbQuery {
            source_server: "(local)\\SQLEXPRESS".into(),
            database: "SqlBuildTest".into(),
            query: "SELECT '(local)\\SQLEXPRESS','default', 'override'".into(),
        };
        assert_eq!(query, expected);
    }

    #[test]
    fn a_query_may_hold_anything_that_xml_can() {
        let text = "<MultiDbQueryConfig><Query><![CDATA[SELECT a\r\nFROM t WHERE b < 1]]></Query>\
                    <Database>d</Database><Colour/><SourceServer>s&amp;t</SourceServer></MultiDbQueryConfig>";
        let query = parse_multi_db_query(text).unwrap();
        assert_eq!(query.query, "SELECT a\nFROM t WHERE b < 1");
        assert_eq!(query.source_server, "s&t");
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let text = "<MultiDbQueryConfig>\n<Query> </Query>\n</MultiDbQueryConfig>";
        assert_eq!(
            faults(text),
            "3 faults in the query file\n  \
             `SourceServer` is missing or empty; accepted is the server on which the query runs\n  \
             `Database` is missing or empty; accepted is the database in which the query runs\n  \
             line 2: `Query` is missing or empty; accepted is the text of the query"
        );
    }

    #[test]
    fn a_damaged_file_has_one_fault() {
        for text in [
            "",
            "SELECT 1",
            "<MultiDbQueryConfig>\n<Query>",
            "<ArrayOfServerData/>",
        ] {
            assert!(
                faults(text).starts_with("1 fault in the query file\n  line "),
                "{text}"
            );
        }
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let error = load_multi_db_query(Path::new("/no/such.multiDbQ")).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.multiDbQ");
        std::fs::write(&path, "<x/>").unwrap();
        let error = load_multi_db_query(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("1 fault in {}", path.display())),
            "{error}"
        );
    }
}

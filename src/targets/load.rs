//! Reads target lists from files, by their extension.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Faults, TargetList, cfg::read_cfg, multi_db::read_multi_db};
use crate::package::decode_text;

/// Extensions of queries that find a list.
const QUERIES: [&str; 2] = ["multidbq", "sql"];

/// Why a target list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("target list {path} does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("cannot read target list {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes are no UTF-8.
    #[error("target list {path} is not UTF-8 from line {line} on; save it as UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line with the first wrong byte.
        line: usize,
    },
    /// The file is no list, but says how to find one; this is what is wrong in it.
    #[error(transparent)]
    Content(#[from] Faults),
    /// The extension says that the file is a query, which [`find`](super::find()) asks.
    #[error(
        "target list {path} is a query, which has to be asked; accepted are .cfg and .multiDb files"
    )]
    IsQuery {
        /// The file.
        path: PathBuf,
    },
    /// The extension says nothing.
    #[error(
        "target list {path} has no known extension; accepted are .cfg, .multiDb, .multiDbQ and .sql, in any case"
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the target list in the file `path`; faults of its lines are left to [`check()`](super::check()).
pub fn load(path: &Path) -> Result<TargetList, Error> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let extension = extension.to_lowercase();
    if QUERIES.contains(&extension.as_str()) {
        return Err(Error::IsQuery { path: path.into() });
    }
    let (targets, faults) = match extension.as_str() {
        "cfg" => read_cfg(&read_text(path)?),
        "multidb" => read_multi_db(&read_markup(path)?),
        _ => return Err(Error::Extension { path: path.into() }),
    };
    Ok(TargetList {
        name: path.display().to_string(),
        targets,
        faults,
    })
}

/// A text in UTF-8.
fn read_text(path: &Path) -> Result<String, Error> {
    utf8(path, read_bytes(path)?)
}

/// A text in UTF-8 or, with a byte order mark, in UTF-16, as XML may be.
pub(super) fn read_markup(path: &Path) -> Result<String, Error> {
    let bytes = read_bytes(path)?;
    if !bytes.starts_with(&[0xFF, 0xFE]) && !bytes.starts_with(&[0xFE, 0xFF]) {
        return utf8(path, bytes);
    }
    let text = decode_text(&bytes);
    // That is what undecodable bytes have become, and they may have been part of a name.
    match text.split_once(char::REPLACEMENT_CHARACTER) {
        None => Ok(text),
        Some((good, _)) => Err(Error::NotUtf8 {
            path: path.into(),
            line: good.matches('\n').count() + 1,
        }),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: path.into() },
        _ => Error::Unreadable {
            path: path.into(),
            source,
        },
    })
}

fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line_feeds = error
            .as_bytes()
            .iter()
            .take(good)
            .filter(|byte| **byte == b'\n');
        Error::NotUtf8 {
            path: path.into(),
            line: line_feeds.count() + 1,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_bytes(name: &str, bytes: &[u8]) -> Result<TargetList, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let whole = path.display().to_string();
        load(&path).map_err(|error| error.to_string().replace(&whole, name))
    }

    #[test]
    fn a_cfg_file_is_read_whatever_the_case_of_its_extension() {
        let list = load_bytes("list.CFG", b"\xef\xbb\xbfs:a\r\n\r\ns:b").unwrap();
        assert!(list.name.ends_with("list.CFG"));
        let lines: Vec<u32> = list.targets.iter().map(|listed| listed.line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn faults_of_lines_go_on_to_the_check() {
        let list = load_bytes("a.cfg", b"a\ns:b\n").unwrap();
        assert_eq!((list.targets.len(), list.faults.len()), (1, 1));
    }

    #[test]
    fn a_multi_db_file_is_read_in_both_encodings_of_xml() {
        let text = "<ArrayOfServerData><ServerData><ServerName>s</ServerName><Overrides><DatabaseOverride>\
                    <OverrideDbTarget>d\u{e9}</OverrideDbTarget></DatabaseOverride></Overrides></ServerData>\
                    </ArrayOfServerData>";
        let utf_16: Vec<u8> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [text.as_bytes(), &utf_16] {
            let list = load_bytes("list.MULTIDB", bytes).unwrap();
            assert_eq!(list.targets[0].target.to_string(), "s:d\u{e9}");
        }
        let list = load_bytes("a.multiDb", b"").unwrap();
        assert_eq!((list.targets.len(), list.faults.len()), (0, 1));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        for (name, bytes, message) in [
            (
                "b.cfg",
                &b"s:a\ns:\xff"[..],
                "target list b.cfg is not UTF-8 from line 2 on",
            ),
            (
                "c.cfg",
                b"\xff\xfes\0:\0a\0",
                "target list c.cfg is not UTF-8 from line 1 on",
            ),
            (
                "d.multiDb",
                b"<a>\n\xff</a>",
                "target list d.multiDb is not UTF-8 from line 2 on",
            ),
            (
                "d.multiDb",
                b"\xff\xfe\n\0\0\xd8",
                "target list d.multiDb is not UTF-8 from line 2 on",
            ),
            (
                "e.MULTIDBQ",
                b"",
                "target list e.MULTIDBQ is a query, which has to be asked",
            ),
            (
                "f.sql",
                b"",
                "target list f.sql is a query, which has to be asked",
            ),
            (
                "g.txt",
                b"s:a",
                "target list g.txt has no known extension; accepted are .cfg, ",
            ),
            ("cfg", b"s:a", "target list cfg has no known extension"),
        ] {
            let error = load_bytes(name, bytes).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        let missing = load(Path::new("/no/such/list.cfg")).unwrap_err();
        assert!(matches!(missing, Error::Missing { .. }));
        let folder = tempfile::Builder::new().suffix(".cfg").tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(Error::Unreadable { .. })));
    }
}

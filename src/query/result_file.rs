//! Where the result goes: standard output, or a file that is there whole or not at all.

use std::{
    io::{self, BufWriter, Stdout, Write},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempDir};

use super::Fate;
use crate::report;

/// How much of the result there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What every database that was asked has answered.
    Whole,
    /// It was ended before all had answered.
    Part,
    /// It was ended before any had answered.
    Nothing,
}

impl Content {
    pub(super) fn of(fates: &[Fate]) -> Self {
        let is_short = fates.contains(&Fate::Skipped);
        let has_answers = fates.iter().any(|fate| matches!(fate, Fate::Answered(_)));
        match (is_short, has_answers) {
            (false, _) => Self::Whole,
            (true, true) => Self::Part,
            (true, false) => Self::Nothing,
        }
    }
}

/// The result on its way. What goes to a file is under its name only after [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) enum ResultFile {
    File {
        temporary: BufWriter<NamedTempFile>,
        path: PathBuf,
        replaces: bool,
    },
    Stdout(BufWriter<Stdout>),
}

impl ResultFile {
    /// The file `path`, which takes the place of an older one only when it `replaces`.
    pub(crate) fn create(path: &Path, replaces: bool) -> io::Result<Self> {
        let temporary = report::temporary_in(folder_of(path))?;
        Ok(Self::File {
            temporary: BufWriter::new(temporary),
            path: path.to_owned(),
            replaces,
        })
    }

    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// A folder for answers that wait, beside the result, which is on a disk that has room for them.
    pub(crate) fn waiting_room(&self) -> io::Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sbm-query-");
        match self {
            Self::File { path, .. } => builder.tempdir_in(folder_of(path)),
            Self::Stdout(_) => builder.tempdir(),
        }
    }

    /// Everything is written, as much as there is; the file that has it.
    ///
    /// A part never takes the place of an older result: it gets a name of its own beside that.
    pub(super) fn finish(self, content: Content) -> io::Result<Option<PathBuf>> {
        match self {
            Self::Stdout(mut to) => to.flush().map(|()| None),
            Self::File {
                temporary,
                path,
                replaces,
            } => {
                let path = match content {
                    Content::Nothing => return Ok(None),
                    Content::Part if path.exists() => part_of(&path),
                    Content::Part | Content::Whole => path,
                };
                let file = temporary.into_inner().map_err(|error| error.into_error())?;
                // Without it a power cut after the rename can leave an empty file.
                file.as_file().sync_all()?;
                match replaces {
                    true => file.persist(&path)?,
                    false => file.persist_noclobber(&path)?,
                };
                Ok(Some(path))
            }
        }
    }
}

/// The name of a part beside an older result.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new("."));
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}

impl Write for ResultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { temporary, .. } => temporary.write(bytes),
            Self::Stdout(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { temporary, .. } => temporary.flush(),
            Self::Stdout(to) => to.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = ResultFile::create(&path, false).unwrap();
        file.write_all(b"x").unwrap();
        assert!(!path.exists());
        let place = file.finish(Content::Whole).unwrap();
        assert_eq!(place.as_ref(), Some(&path));
        assert_eq!(std::fs::read(&path).unwrap(), b"x");

        drop(ResultFile::create(&path, true).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        let late = ResultFile::create(&path, false).unwrap();
        assert!(late.finish(Content::Whole).is_err());
        let empty = ResultFile::create(&path, true).unwrap();
        empty.finish(Content::Whole).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_part_takes_the_place_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let finish = |content| {
            let mut file = ResultFile::create(&path, true).unwrap();
            file.write_all(b"part").unwrap();
            file.finish(content).unwrap()
        };
        assert_eq!(finish(Content::Nothing), None);
        assert!(!path.exists());
        assert_eq!(finish(Content::Part), Some(path.clone()));
        std::fs::write(&path, "old").unwrap();
        assert_eq!(finish(Content::Nothing), None);
        let beside = folder.path().join("a.csv.part");
        assert!(!beside.exists());
        assert_eq!(finish(Content::Part), Some(beside.clone()));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read(&beside).unwrap(), b"part");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_skipped_is_missing() {
        let failed = Fate::Failed(Box::default());
        assert_eq!(
            Content::of(&[Fate::Answered(0), failed.clone()]),
            Content::Whole
        );
        assert_eq!(
            Content::of(&[failed.clone(), failed.clone()]),
            Content::Whole
        );
        assert_eq!(
            Content::of(&[Fate::Answered(0), Fate::Skipped]),
            Content::Part
        );
        assert_eq!(Content::of(&[failed, Fate::Skipped]), Content::Nothing);
    }
}

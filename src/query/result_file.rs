//! Where the result goes: standard output, or a file that is there whole or not at all.

use std::{
    io::{self, BufWriter, Stdout, Write},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempDir};

use crate::report;

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

    /// Everything is written.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut to) => to.flush(),
            Self::File {
                temporary,
                path,
                replaces,
            } => {
                let file = temporary.into_inner().map_err(|error| error.into_error())?;
                // Without it a power cut after the rename can leave an empty file.
                file.as_file().sync_all()?;
                match replaces {
                    true => file.persist(path)?,
                    false => file.persist_noclobber(path)?,
                };
                Ok(())
            }
        }
    }
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
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");

        drop(ResultFile::create(&path, true).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        let late = ResultFile::create(&path, false).unwrap();
        assert!(late.finish().is_err());
        ResultFile::create(&path, true).unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

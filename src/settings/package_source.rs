//! Where the scripts come from.

use std::path::{Path, PathBuf};

use super::{PackageArguments, reader::Reader};

/// Where the scripts come from; it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSource {
    /// An `.sbm` or `.sbx` file, or a folder that is a package.
    Package(PathBuf),
    /// The `.sql` scripts that lie in a folder itself, without any settings.
    ScriptFolder(PathBuf),
}

impl PackageSource {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Package(path) | Self::ScriptFolder(path) => path,
        }
    }
}

/// The script folder when one is given, as in the reference program, whose users have to give a package with it.
pub(super) fn read(reader: &mut Reader<'_>, typed: &PackageArguments) -> PackageSource {
    let folder = typed.scriptsrcdir.as_deref();
    let package = typed.packagename.as_deref();
    reader.note("--packagename", package, "");
    reader.note("--scriptsrcdir", folder, "");
    match (folder, package) {
        (Some(_), _) => {
            if package.is_some() {
                log::warn!("--packagename is not used, because --scriptsrcdir is given");
            }
            script_folder(reader, folder)
        }
        (None, Some(_)) => package_path(reader, package),
        (None, None) => {
            let problem = "needed: an .sbm or .sbx file, or a folder of .sql scripts";
            reader.fault("--packagename", None, problem);
            PackageSource::Package(PathBuf::new())
        }
    }
}

fn script_folder(reader: &mut Reader<'_>, given: Option<&str>) -> PackageSource {
    let option = "--scriptsrcdir";
    let path = PathBuf::from(reader.text(option, given).unwrap_or_default());
    if !path.is_dir() && !path.as_os_str().is_empty() {
        reader.fault(
            option,
            given,
            "no such folder; a folder of .sql scripts is accepted",
        );
    }
    PackageSource::ScriptFolder(path)
}

fn package_path(reader: &mut Reader<'_>, given: Option<&str>) -> PackageSource {
    let option = "--packagename";
    let Some(text) = reader.text(option, given) else {
        return PackageSource::Package(PathBuf::new());
    };
    let path = PathBuf::from(text);
    if path.is_dir() {
        return PackageSource::Package(path);
    }
    let accepted = "accepted are an .sbm or .sbx file, and a folder of .sql scripts";
    if has_extension(&path, "dacpac") {
        let problem = format!("a DACPAC cannot be built by this version yet; {accepted}");
        reader.fault(option, given, problem);
    } else if !has_extension(&path, "sbm") && !has_extension(&path, "sbx") {
        reader.fault(
            option,
            given,
            format!("neither a package nor a folder; {accepted}"),
        );
    } else if !path.is_file() {
        reader.fault(option, given, format!("no such file; {accepted}"));
    }
    PackageSource::Package(path)
}

/// Whether the file name ends in `.extension`, in any case.
pub(super) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(package: Option<&str>, folder: Option<&str>) -> Result<PackageSource, String> {
        let mut reader = Reader::new(&|_| None);
        let typed = PackageArguments {
            packagename: package.map(str::to_owned),
            scriptsrcdir: folder.map(str::to_owned),
        };
        let source = read(&mut reader, &typed);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(source)
    }

    #[test]
    fn files_and_folders_are_told_apart_and_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.SBM");
        std::fs::write(&file, "").unwrap();
        let (folder, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());

        assert_eq!(
            source(Some(file), None),
            Ok(PackageSource::Package(file.into()))
        );
        let package = Ok(PackageSource::Package(folder.into()));
        assert_eq!(source(Some(folder), None), package);
        let scripts = Ok(PackageSource::ScriptFolder(folder.into()));
        assert_eq!(source(None, Some(folder)), scripts);
        assert_eq!(source(Some("dummy"), Some(folder)), scripts);
    }

    #[test]
    fn whatever_cannot_be_a_package_is_refused_with_the_reason() {
        for (package, folder, reason) in [
            (None, None, "needed"),
            (Some("none.sbm"), None, "no such file"),
            (Some("none.zip"), None, "neither a package nor a folder"),
            (Some("x.dacpac"), None, "DACPAC"),
            (Some(" "), None, "needs some text"),
            (None, Some("/none/at/all"), "no such folder"),
            (None, Some(""), "needs some text"),
        ] {
            let fault = source(package, folder).unwrap_err();
            assert!(fault.contains(reason), "{fault}");
        }
    }
}

//! `sbm demo`: a whole run on a fleet made for it, so that a newcomer sees one within minutes.

mod fleet;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::{
    Error, ExitCode,
    monitor::Totals,
    settings::{DemoSettings, PackageSource, RunSettings, TargetSource},
    targets,
};

/// The package of the demo: the files of `examples/quickstart`, so that the installed program has them too.
const PACKAGE: &[(&str, &str)] = &[
    ("sbm.yaml", include_str!("../../examples/quickstart/sbm.yaml")),
];

/// How the folders of demos begin.
const PREFIX: &str = "sbm-demo-";

/// Marks the folder of a demo that the next demo removes, and is locked while a demo uses it.
const MARKER: &str = "removed-by-the-next-demo";

/// Makes a fleet, builds it, and succeeds when exactly the one database that is meant to fail has failed.
pub async fn demo(settings: DemoSettings) -> Result<ExitCode, Error> {
    let folder = Folder::new(settings.keep)?;
    let root = folder.path.clone();
    let package = root.join("quickstart");
    write_package(&package).map_err(|error| Error::file(&package, error))?;
    let fleet = fleet::Fleet::new(&settings, &root).await?;
    let list = root.join("targets.cfg");
    fs::write(&list, targets::format_cfg(fleet.targets())).map_err(|error| Error::file(&list, error))?;
    explain(&settings, &fleet, &package, &list);

    let run = RunSettings {
        package: PackageSource::Package(package),
        targets: TargetSource::File(list),
        root_logging_path: root.join("logs"),
        ..settings.run
    };
    let result = super::run(run).await;
    fleet.remove(settings.keep).await;
    let (report, _) = result?;
    Ok(if as_planned(&report.totals) { ExitCode::Succeeded } else { report.code() })
}

fn as_planned(totals: &Totals) -> bool {
    totals.committed + 1 == totals.targets && totals.rolled_back == 1
}

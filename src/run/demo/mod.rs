//! `sbm demo`: a whole run on a fleet made for it, so that a newcomer sees one within minutes.

mod fleet;
mod folder;

use std::{fs, io, path::Path};

use fleet::Fleet;
use folder::Folder;

use crate::{
    Error, ExitCode,
    monitor::Totals,
    report::Command,
    settings::{
        DemoSettings, PackageArguments, RunArguments, RunOptionArguments, RunSettings,
        TargetArguments, process_environment,
    },
    targets,
};

/// The package of the demo: `examples/quickstart`, carried along so that the installed program has it, too.
const PACKAGE: [(&str, &str); 5] = [
    (
        "sbm.yaml",
        include_str!("../../../examples/quickstart/sbm.yaml"),
    ),
    (
        "001-create-customers.sql",
        include_str!("../../../examples/quickstart/001-create-customers.sql"),
    ),
    (
        "010-insert-customers.sql",
        include_str!("../../../examples/quickstart/010-insert-customers.sql"),
    ),
    (
        "020-views/customer-totals.sql",
        include_str!("../../../examples/quickstart/020-views/customer-totals.sql"),
    ),
    (
        "030-mark-done.sql",
        include_str!("../../../examples/quickstart/030-mark-done.sql"),
    ),
];

/// Makes a fleet, builds it, and succeeds when exactly the one database that is meant to fail has failed.
pub async fn demo(settings: DemoSettings, program: &str) -> Result<ExitCode, Error> {
    let folder = Folder::new(settings.keep)?;
    let root = folder.path();
    let (package, list, logs) = (
        root.join("quickstart"),
        root.join("targets.cfg"),
        root.join("logs"),
    );
    write_package(&package).map_err(|error| Error::file(&package, error))?;
    let fleet = Fleet::new(&settings, root).await?;
    fs::write(&list, targets::format_cfg(&fleet.targets))
        .map_err(|error| Error::file(&list, error))?;

    let typed = RunArguments {
        package: PackageArguments {
            packagename: Some(text(&package)),
            ..PackageArguments::default()
        },
        targets: TargetArguments {
            r#override: Some(text(&list)),
            platform: Some(settings.platform.to_string()),
            ..TargetArguments::default()
        },
        login: settings.login.clone(),
        run: RunOptionArguments {
            rootloggingpath: Some(text(&logs)),
            output: settings.output.clone(),
            ..RunOptionArguments::default()
        },
        ..RunArguments::default()
    };
    let command = command(&settings, program, &package, &list, &logs);
    let result = super::run(
        RunSettings::threaded(&typed, &process_environment)?,
        command,
        explain(&settings, root),
    )
    .await;
    let planned = result
        .as_ref()
        .is_ok_and(|report| as_planned(&report.totals));
    fleet.remove(&settings).await;
    let report = result?;
    Ok(if planned {
        ExitCode::Succeeded
    } else {
        report.ended
    })
}

/// The one database that was made to fail is rolled back, and all others are committed.
fn as_planned(totals: &Totals) -> bool {
    totals.rolled_back == 1 && totals.committed + 1 == totals.targets
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn write_package(folder: &Path) -> io::Result<()> {
    for (name, content) in PACKAGE {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, content)?;
    }
    Ok(())
}

/// What a newcomer is told before it begins.
fn explain(settings: &DemoSettings, root: &Path) -> Vec<String> {
    let kept = if settings.keep {
        "it stays"
    } else {
        "the next demo removes it; --keep keeps it"
    };
    vec![
        format!(
            "{} {} databases in {}; one of them is made such that its last script fails",
            settings.targets,
            settings.platform,
            root.display()
        ),
        format!("the folder also holds the package, the target list and the logs; {kept}"),
    ]
}

/// The command that a user would have typed for the same run.
fn command(
    settings: &DemoSettings,
    program: &str,
    package: &Path,
    list: &Path,
    logs: &Path,
) -> Command {
    let mut base = format!(
        "{program} threaded run --platform {} --packagename {} --rootloggingpath {}",
        settings.platform,
        package.display(),
        logs.display()
    );
    if let Some(user) = &settings.login.username {
        base += &format!(" --username {user}");
    }
    Command {
        base,
        targets: format!("--override {}", list.display()),
    }
}

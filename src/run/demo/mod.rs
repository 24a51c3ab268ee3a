//! `sbm demo`: a whole run on a fleet made for it, so that a newcomer sees one within minutes.

mod fleet;
mod folder;
mod words;

use std::{fs, io, path::Path};

use tokio_util::sync::CancellationToken;

use fleet::Fleet;
use folder::Folder;

use crate::{
    Error, ExitCode,
    monitor::Totals,
    report::{self, Report, Reporter},
    settings::{
        DemoSettings, JobArguments, LocalRunArguments, LocalRunSettings, PackageArguments,
        RunArguments, TargetArguments, process_environment,
    },
    targets,
    worker::Signals,
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
    let mut reporter = report::reporter(settings.output);
    for line in words::greeting(&settings, folder.path()) {
        reporter.message(&line);
    }
    let fleet = Fleet::new(&settings, folder.path())?;
    let result = match make(&fleet, &settings).await {
        Ok(()) => run(&settings, program, folder.path(), &fleet, &mut *reporter).await,
        Err(error) => Err(error),
    };
    let left = fleet.remove(&settings).await;
    for name in &left {
        reporter.message(&format!("not removed: {name}"));
    }
    let report = result?;
    let planned = as_planned(&report.totals);
    for line in words::farewell(&settings, &report, planned) {
        reporter.message(&line);
    }
    Ok(match planned {
        true if left.is_empty() => ExitCode::Succeeded,
        true => ExitCode::LeftOver,
        false => report.ended,
    })
}

/// Makes the databases; Ctrl-C ends that early.
async fn make(fleet: &Fleet, settings: &DemoSettings) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(Error::service)?;
    let cancelled = CancellationToken::new();
    let making = fleet.make(settings, &cancelled);
    tokio::pin!(making);
    tokio::select! {
        made = &mut making => made,
        _ = signals.next() => {
            cancelled.cancel();
            making.await
        }
    }
}

/// Builds the fleet just as `local run` does, by four worker processes.
async fn run(
    settings: &DemoSettings,
    program: &str,
    root: &Path,
    fleet: &Fleet,
    reporter: &mut dyn Reporter,
) -> Result<Report, Error> {
    let [package, list, store] = ["quickstart", "targets.cfg", "store"].map(|name| root.join(name));
    write_package(&package).map_err(|error| Error::file(&package, error))?;
    fs::write(&list, targets::format_cfg(&fleet.targets))
        .map_err(|error| Error::file(&list, error))?;
    let command = words::command(settings, program, &package, &list, &store);
    let typed = typed(settings, &package, &list, &store);
    let settings = LocalRunSettings::new(&typed, &environment)?;
    super::local::execute(settings, command, reporter).await
}

/// The demo is the same everywhere: of the variables for settings it has those of the login alone.
fn environment(name: &str) -> Option<String> {
    let of_login = ["SBM_USERNAME", "SBM_PASSWORD", "SBM_ACCESS_TOKEN"].contains(&name);
    if name.starts_with("SBM_") && !of_login {
        return None;
    }
    process_environment(name)
}

fn typed(settings: &DemoSettings, package: &Path, list: &Path, store: &Path) -> LocalRunArguments {
    let text = |path: &Path| Some(path.display().to_string());
    let run = RunArguments {
        package: PackageArguments {
            packagename: text(package),
            ..PackageArguments::default()
        },
        targets: TargetArguments {
            r#override: text(list),
            platform: Some(settings.platform.to_string()),
            ..TargetArguments::default()
        },
        login: settings.login.clone(),
        ..RunArguments::default()
    };
    LocalRunArguments {
        run,
        job: JobArguments {
            jobname: Some(words::JOB.to_owned()),
            store: text(store),
        },
        ..LocalRunArguments::default()
    }
}

/// The one database that was made to fail is rolled back, and all others are committed.
fn as_planned(totals: &Totals) -> bool {
    totals.rolled_back == 1 && totals.committed + 1 == totals.targets
}

fn write_package(folder: &Path) -> io::Result<()> {
    for (name, content) in PACKAGE {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, content)?;
    }
    Ok(())
}

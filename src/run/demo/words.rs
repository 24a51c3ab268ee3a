//! What a demo says beside the report of its run.

use std::path::Path;

use crate::{
    protocol::State,
    report::{Command, Report, shell_word},
    settings::DemoSettings,
};

/// The name of the demo's job.
pub(super) const JOB: &str = "demo";

/// What a newcomer is told before it begins.
pub(super) fn greeting(settings: &DemoSettings, root: &Path) -> Vec<String> {
    let fleet = match (settings.targets, &settings.server) {
        (1, None) => "A SQLite database is made".to_owned(),
        (1, Some(server)) => format!("A database is made on {server}"),
        (count, None) => format!("{count} SQLite databases are made"),
        (count, Some(server)) => format!("{count} databases are made on {server}"),
    };
    let which = match settings.targets {
        1 => "such",
        _ => "one of them such",
    };
    let kept = if settings.keep {
        "it stays"
    } else {
        "the next demo removes it, --keep keeps it"
    };
    vec![
        format!("{fleet}, {which} that the package's last script fails in it."),
        format!("Everything is in {} ({kept}).", root.display()),
    ]
}

/// What a newcomer is told at the end; `planned` says that everything came as it should.
pub(super) fn farewell(settings: &DemoSettings, report: &Report, planned: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    if !planned {
        lines.push("This is not what the demo was to show.".to_owned());
        return lines;
    }
    let others = match settings.targets {
        1 => "",
        _ => ", and all others are committed",
    };
    lines.push(format!(
        "This is what was to be seen: one database failed and is as it was before{others}. The demo ends with exit code \
         0; a run of yours would have ended with 1."
    ));
    let failed = report.failed.listed.iter();
    let failed = failed.filter(|target| target.state == State::RolledBack);
    for log in failed.filter_map(|target| target.log.as_ref()) {
        lines.push(format!("What happened there, batch by batch: {log}"));
    }
    lines.push(match (&settings.server, settings.keep) {
        (Some(_), false) => {
            "The databases are removed again. With --keep they stay, so that you can go on with the step above.".to_owned()
        }
        _ => {
            "To go on: delete the row 'quickstart' from the table settings of that database, then run the command above."
                .to_owned()
        }
    });
    lines
}

/// The command that a user would have typed for the same run.
pub(super) fn command(
    settings: &DemoSettings,
    program: &str,
    package: &Path,
    list: &Path,
    store: &Path,
) -> Command {
    let login = &settings.login;
    let options = [
        ("--platform", Some(settings.platform.to_string())),
        ("--packagename", Some(package.display().to_string())),
        ("--jobname", Some(JOB.to_owned())),
        ("--store", Some(store.display().to_string())),
        ("--username", login.username.clone()),
        ("--authtype", login.authtype.clone()),
        ("--sslmode", login.sslmode.clone()),
        ("--sslrootcert", login.sslrootcert.clone()),
        (
            "--trustservercertificate",
            login.trustservercertificate.clone(),
        ),
        ("--connecttimeout", login.connecttimeout.clone()),
    ];
    let mut base = format!("{program} local run");
    for (name, value) in options {
        if let Some(value) = value {
            base += &format!(" {name} {}", shell_word(&value));
        }
    }
    Command {
        base,
        targets: format!("--override {}", shell_word(&list.display().to_string())),
        ..Command::default()
    }
}

//! How each target is built.

use std::time::Duration;

use super::{BuildOptionArguments, reader::Reader};
use crate::protocol::{BuildOptions, Platform};

/// The variables that may name who asked for a build, the most telling first: GitHub's, Azure DevOps', the system's.
const REQUESTER_VARIABLES: [&str; 5] = [
    "GITHUB_ACTOR",
    "BUILD_REQUESTEDFOR",
    "USER",
    "LOGNAME",
    "USERNAME",
];

/// The options, and apart from them the lock wait, whose default depends on the package.
pub(super) fn read(
    reader: &mut Reader<'_>,
    typed: &BuildOptionArguments,
    platform: Platform,
) -> (BuildOptions, Option<Duration>) {
    let trial = reader.flag("--trial", typed.trial.as_deref(), false);
    let transactional = reader.flag("--transactional", typed.transactional.as_deref(), true);
    let log_to = typed.logtodatabasename.as_deref();
    let script_timeout = typed.defaultscripttimeout.as_deref();
    let retries = typed.timeoutretrycount.as_deref();
    let build = BuildOptions {
        transactional,
        trial,
        description: text(reader, "--description", typed.description.as_deref())
            .unwrap_or_default(),
        build_revision: text(reader, "--buildrevision", typed.buildrevision.as_deref()),
        log_to_database: text(reader, "--logtodatabasename", log_to),
        timeout_retry_count: reader.number("--timeoutretrycount", retries, 0, 0..=1_000),
        default_script_timeout: reader.seconds(
            "--defaultscripttimeout",
            script_timeout,
            500,
            1..=604_800,
        ),
        ledger_schema: ledger_schema(reader, typed.ledgerschema.as_deref(), platform),
        ledger_keep_days: reader.number(
            "--ledgerkeep",
            typed.ledgerkeep.as_deref(),
            90,
            1..=36_500,
        ),
        requested_by: requested_by(reader),
        lock_wait: Duration::ZERO,
        finish_partial: false,
        redo_interrupted: false,
        redo_failed: false,
    };
    check_without_transaction(reader, &build);
    let wait = lock_wait(reader, typed.lockwait.as_deref());
    let build = BuildOptions {
        lock_wait: wait.unwrap_or_default(),
        ..build
    };
    (build, wait)
}

/// A text that may as well be empty, as variables of a pipeline are when there is nothing to say.
fn text(reader: &mut Reader<'_>, option: &str, given: Option<&str>) -> Option<String> {
    let given = given.filter(|text| !text.trim().is_empty());
    reader.text(option, given)
}

/// Checks a schema for the platform it is used on; also for `ledger script`.
pub(super) fn ledger_schema(
    reader: &mut Reader<'_>,
    given: Option<&str>,
    platform: Platform,
) -> Option<String> {
    let option = "--ledgerschema";
    if given.is_some() && matches!(platform, Platform::Sqlite | Platform::MySql) {
        reader.fault(
            option,
            given,
            format!("{platform} has no schemas; leave it out"),
        );
    }
    reader.text(option, given)
}

fn requested_by(reader: &Reader<'_>) -> String {
    REQUESTER_VARIABLES
        .into_iter()
        .find_map(|name| reader.variable(name))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Without a transaction nothing can be rolled back, so what rests on a rollback is refused.
fn check_without_transaction(reader: &mut Reader<'_>, build: &BuildOptions) {
    if build.transactional {
        return;
    }
    if build.trial {
        let problem = "a trial is rolled back, which --transactional false rules out; \
                       leave one of the two out";
        reader.fault("--trial", Some("true"), problem);
    }
    if build.timeout_retry_count > 0 {
        let problem = "a build is tried again only after a rollback, which --transactional false \
                       rules out; accepted with it is 0";
        let given = build.timeout_retry_count.to_string();
        reader.fault("--timeoutretrycount", Some(&given), problem);
    }
}

fn lock_wait(reader: &mut Reader<'_>, given: Option<&str>) -> Option<Duration> {
    reader.note("--lockwait", given, "");
    given?;
    Some(reader.seconds("--lockwait", given, 0, 0..=604_800))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(
        typed: &BuildOptionArguments,
        environment: &[(&str, &str)],
    ) -> Result<(BuildOptions, Option<Duration>), String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut reader = Reader::new(&variable);
        let options = read(&mut reader, typed, Platform::PostgreSql);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(options)
    }

    #[test]
    fn nothing_typed_means_the_documented_defaults() {
        let (build, wait) = options(&BuildOptionArguments::default(), &[]).unwrap();
        assert!(build.transactional && !build.trial);
        assert_eq!(build.default_script_timeout, Duration::from_secs(500));
        assert_eq!((build.timeout_retry_count, build.ledger_keep_days), (0, 90));
        assert_eq!((wait, build.requested_by.as_str()), (None, "unknown"));
    }

    #[test]
    fn what_needs_a_rollback_is_refused_without_a_transaction() {
        let typed = BuildOptionArguments {
            trial: Some("true".into()),
            transactional: Some("false".into()),
            timeoutretrycount: Some("2".into()),
            ..BuildOptionArguments::default()
        };
        let faults = options(&typed, &[]).unwrap_err();
        assert!(faults.starts_with("2 things"), "{faults}");
        assert!(faults.contains("--trial `true`"), "{faults}");
        assert!(faults.contains("--timeoutretrycount `2`"), "{faults}");
    }

    #[test]
    fn the_most_telling_variable_names_the_requester() {
        let environment = [("USER", "runner"), ("GITHUB_ACTOR", "octocat")];
        let typed = BuildOptionArguments::default();
        let (build, _) = options(&typed, &environment).unwrap();
        assert_eq!(build.requested_by, "octocat");
        let (build, _) = options(&typed, &[("USER", "me"), ("GITHUB_ACTOR", "")]).unwrap();
        assert_eq!(build.requested_by, "me");
    }

    #[test]
    fn a_lock_wait_is_kept_apart_from_its_default() {
        let typed = BuildOptionArguments {
            lockwait: Some("0".into()),
            ..BuildOptionArguments::default()
        };
        assert_eq!(options(&typed, &[]).unwrap().1, Some(Duration::ZERO));
    }

    #[test]
    fn files_and_mysql_have_no_schema() {
        for platform in [Platform::Sqlite, Platform::MySql] {
            let mut reader = Reader::new(&|_| None);
            ledger_schema(&mut reader, Some("x"), platform);
            assert!(reader.finish().is_err());
        }
    }
}

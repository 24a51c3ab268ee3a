//! Package and targets, read and held against each other before anything else happens.

use std::{collections::BTreeSet, path::Path};

use crate::{
    Error,
    engine::{self, Engine},
    package::Package,
    protocol::{Pair, Platform, Target, TargetKey},
    query::Asked,
    settings::{PackageSource, QuerySettings, RunSettings, TargetSource},
    targets::{self, Checked, Listed, Rules, TargetList},
};

/// What a run works with.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) package: Package,
    pub(super) targets: Vec<Target>,
    /// What the user should know before it begins.
    pub(super) warnings: Vec<String>,
}

/// Reads both; the faults of both are reported together.
pub(super) async fn read(settings: &RunSettings) -> Result<Inputs, Error> {
    let package = match &settings.package {
        PackageSource::Package(path) => Package::open(path, &settings.limits),
        PackageSource::ScriptFolder(path) => Package::from_script_folder(path, &settings.limits),
    }
    .map_err(Error::package);
    let listed = list(settings, package.as_ref().ok()).await;
    let (package, list) = match (package, listed) {
        (Ok(package), Ok(list)) => (package, list),
        (Err(package), Err(targets)) => return Err(Error::Several(vec![package, targets])),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let rules = Rules {
        platform: settings.platform,
        concurrency: settings.concurrency.kind,
        allow_duplicates: settings.allow_duplicates,
        package: Some(&package),
    };
    let checked = targets::check(list, &rules).map_err(Error::targets)?;
    Ok(Inputs {
        package,
        targets: checked.targets,
        warnings: checked.warnings,
    })
}

/// The databases that are asked, each by itself, and what the user should know before.
pub(super) async fn asked(
    settings: &QuerySettings,
    engine: &dyn Engine,
) -> Result<(Vec<Asked>, Vec<String>), Error> {
    let list = match &settings.targets {
        TargetSource::Query { path, place } => find(path, place.as_ref(), engine).await?,
        TargetSource::File(path) => targets::load(path).map_err(Error::targets)?,
        TargetSource::Inline { .. } | TargetSource::Inferred { .. } => {
            return Err(Error::input("--override: needed"));
        }
    };
    let rules = Rules {
        platform: settings.platform,
        concurrency: settings.concurrency.kind,
        allow_duplicates: settings.allow_duplicates,
        package: None,
    };
    let checked = targets::check(list, &rules).map_err(Error::targets)?;
    let warnings = checked.warnings.clone();
    Ok((one_by_one(checked, settings.platform), warnings))
}

/// A target of several databases becomes several of one; a database that stands for several names is asked once.
fn one_by_one(checked: Checked, platform: Platform) -> Vec<Asked> {
    let mut all = Vec::new();
    for (target, row_data) in checked.targets.into_iter().zip(checked.row_data) {
        let mut seen = BTreeSet::new();
        for (index, pair) in target.pairs.iter().enumerate() {
            if !seen.insert(TargetKey::fold(platform, &pair.database)) {
                continue;
            }
            let items = row_data.of_pair(index).iter();
            all.push(Asked {
                target: Target {
                    server: target.server.clone(),
                    pairs: vec![pair.clone()],
                    tag: target.tag.clone(),
                },
                row_data: items
                    .map(|item| (item.column.clone(), item.value.clone()))
                    .collect(),
            });
        }
    }
    all
}

async fn find(
    path: &Path,
    place: Option<&(String, String)>,
    engine: &dyn Engine,
) -> Result<TargetList, Error> {
    targets::find(path, place, engine)
        .await
        .map_err(Error::targets)
}

async fn list(settings: &RunSettings, package: Option<&Package>) -> Result<TargetList, Error> {
    match &settings.targets {
        TargetSource::File(path) => targets::load(path).map_err(Error::targets),
        TargetSource::Query { path, place } => {
            let engine = engine::connect(
                settings.platform,
                &settings.connection,
                settings.password.clone(),
                None,
            )
            .map_err(Error::engine)?;
            find(path, place.as_ref(), &*engine).await
        }
        TargetSource::Inline { server, text } => {
            targets::parse_inline(text, server.as_deref()).map_err(Error::targets)
        }
        TargetSource::Inferred { server, database } => infer(server, database.as_deref(), package),
    }
}

/// One target that maps each name of the package to `database`, or to itself.
fn infer(
    server: &str,
    database: Option<&str>,
    package: Option<&Package>,
) -> Result<TargetList, Error> {
    let scripts = package.into_iter().flat_map(|package| &package.scripts);
    let names: BTreeSet<&str> = scripts.map(|script| script.database.as_str()).collect();
    if database.is_none() && names.contains("") {
        return Err(Error::input(
            "--database: needed, because scripts of the package name no database",
        ));
    }
    let pairs = names
        .into_iter()
        .map(|name| Pair {
            default: name.to_owned(),
            database: database.unwrap_or(name).to_owned(),
        })
        .collect();
    let target = Target {
        server: server.to_owned(),
        pairs,
        tag: None,
    };
    Ok(TargetList {
        name: "--server and --database".to_owned(),
        targets: vec![Listed::new(target, 1)],
        faults: Vec::new(),
    })
}

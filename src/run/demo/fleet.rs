//! The databases of a demo.

use std::{fs, path::Path, sync::Arc};

use futures::{StreamExt, stream};

use crate::{
    Error,
    engine::{self, Engine},
    protocol::{Pair, Target},
    settings::DemoSettings,
};

/// The folders that play servers.
const SERVERS: usize = 5;

/// Databases made or removed at once.
const AT_ONCE: usize = 8;

/// What every database of the fleet has before the build.
const TABLE: &str = "CREATE TABLE settings (name text PRIMARY KEY, value text NOT NULL)";

/// A row that every database has.
const ROW: &str = "INSERT INTO settings (name, value) VALUES ('schema_version', '1')";

/// A row that the package inserts, too: the database that has it already refuses the package's last script.
const FAULT: &str = "INSERT INTO settings (name, value) VALUES ('quickstart', 'done by hand')";

/// Databases made for a demo.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) targets: Vec<Target>,
    engine: Arc<dyn Engine>,
}

impl Fleet {
    /// Makes the databases; the last but one is the one that fails.
    pub(super) async fn new(settings: &DemoSettings, root: &Path) -> Result<Self, Error> {
        let password = settings.password.clone();
        let engine = engine::connect(settings.platform, &settings.connection, password, None)
            .map_err(Error::engine)?;
        let targets = match &settings.server {
            None => folders(settings.targets, root)?,
            Some(server) => databases(&*engine, settings.targets, server).await?,
        };
        let fleet = Self { targets, engine };
        let bad = fleet.targets.len().saturating_sub(2);
        let mut work = stream::iter(fleet.targets.iter().enumerate())
            .map(|(index, target)| fill(&*fleet.engine, target, index == bad))
            .buffer_unordered(AT_ONCE);
        while let Some(result) = work.next().await {
            result.map_err(Error::service)?;
        }
        drop(work);
        Ok(fleet)
    }

    /// Removes databases from a server, unless they are kept.
    pub(super) async fn remove(&self, settings: &DemoSettings) {
        let Some(server) = settings.server.as_ref().filter(|_| !settings.keep) else {
            return;
        };
        let Ok(mut session) = self.engine.connect(server, "postgres").await else {
            log::warn!("the demo's databases stay on {server}: it does not answer");
            return;
        };
        for target in &self.targets {
            for name in target.databases() {
                if let Err(error) = session.execute(&format!("DROP DATABASE {name}"), &[]).await {
                    log::warn!("{name} stays on {server}: {error}");
                }
            }
        }
    }
}

/// Empty SQLite files in folders.
fn folders(number: usize, root: &Path) -> Result<Vec<Target>, Error> {
    let make = |index: usize| {
        let folder = root.join(format!("server-{}", index % SERVERS + 1));
        let name = format!("shop-{:03}.db", index + 1);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(&name), ""))
            .map_err(|error| Error::file(&folder, error))?;
        Ok(target(&folder.display().to_string(), name))
    };
    (0..number).map(make).collect()
}

/// Databases on a server, with names that nobody else has.
async fn databases(engine: &dyn Engine, number: usize, server: &str) -> Result<Vec<Target>, Error> {
    let prefix = format!("sbm_demo_{:06x}", fastrand::u32(..0x0100_0000));
    let mut session = engine
        .connect(server, "postgres")
        .await
        .map_err(Error::service)?;
    let mut targets = Vec::with_capacity(number);
    for index in 0..number {
        let name = format!("{prefix}_{:03}", index + 1);
        let sql = format!("CREATE DATABASE {name}");
        session.execute(&sql, &[]).await.map_err(Error::service)?;
        targets.push(target(server, name));
    }
    Ok(targets)
}

fn target(server: &str, database: String) -> Target {
    let pair = Pair {
        default: String::new(),
        database,
    };
    Target {
        server: server.to_owned(),
        pairs: vec![pair],
        tag: None,
    }
}

async fn fill(engine: &dyn Engine, target: &Target, bad: bool) -> Result<(), engine::Error> {
    for database in target.databases() {
        let mut session = engine.connect(&target.server, database).await?;
        session.execute(TABLE, &[]).await?;
        session.execute(ROW, &[]).await?;
        if bad {
            session.execute(FAULT, &[]).await?;
        }
    }
    Ok(())
}

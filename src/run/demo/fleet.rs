//! The databases of a demo.

use std::{fs, path::Path, sync::Arc};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

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

/// The databases of a demo.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) targets: Vec<Target>,
    engine: Arc<dyn Engine>,
}

impl Fleet {
    /// Names that nobody else has; nothing is made yet.
    pub(super) fn new(settings: &DemoSettings, root: &Path) -> Result<Self, Error> {
        let password = settings.password.clone();
        let engine = engine::connect(settings.platform, &settings.connection, password, None)
            .map_err(Error::engine)?;
        let prefix = format!("sbm_demo_{:06x}", fastrand::u32(..0x0100_0000));
        let target = |index: usize| match &settings.server {
            None => {
                let folder = root.join(format!("server-{}", index % SERVERS + 1));
                let database = format!("shop-{:03}.db", index + 1);
                target(&folder.display().to_string(), database)
            }
            Some(server) => target(server, format!("{prefix}_{:03}", index + 1)),
        };
        let targets = (0..settings.targets).map(target).collect();
        Ok(Self { targets, engine })
    }

    /// Makes the databases, unless `cancelled` comes first; the last but one is the one that fails.
    pub(super) async fn make(
        &self,
        settings: &DemoSettings,
        cancelled: &CancellationToken,
    ) -> Result<(), Error> {
        let bad = self.targets.len().saturating_sub(2);
        let one = |(index, target): (usize, _)| async move {
            // What was begun is ended, so that it can be removed.
            if cancelled.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match &settings.server {
                None => make_file(target)?,
                Some(_) => self.create(target).await.map_err(Error::service)?,
            }
            let filled = fill(&*self.engine, target, index == bad).await;
            filled.map_err(Error::service)
        };
        let results: Vec<Result<(), Error>> = stream::iter(self.targets.iter().enumerate())
            .map(one)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        results.into_iter().collect()
    }

    /// Removes databases from a server, unless they are kept; what stays there, and why.
    pub(super) async fn remove(&self, settings: &DemoSettings) -> Vec<String> {
        if settings.server.is_none() || settings.keep {
            return Vec::new();
        }
        let one = |target| async move {
            let dropped = self.on_server(target, "DROP DATABASE IF EXISTS").await;
            dropped.err().map(|error| format!("{target}: {error}"))
        };
        let left: Vec<Option<String>> = stream::iter(&self.targets)
            .map(one)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        left.into_iter().flatten().collect()
    }

    async fn create(&self, target: &Target) -> Result<(), engine::Error> {
        self.on_server(target, "CREATE DATABASE").await
    }

    /// `statement` with the name of each database of the target.
    async fn on_server(&self, target: &Target, statement: &str) -> Result<(), engine::Error> {
        let mut session = self.engine.connect(&target.server, "postgres").await?;
        for database in target.databases() {
            let sql = format!("{statement} {database}");
            session.execute(&sql, &[]).await?;
        }
        Ok(())
    }
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

/// An empty SQLite file in a folder that plays a server.
fn make_file(target: &Target) -> Result<(), Error> {
    let folder = Path::new(&target.server);
    for database in target.databases() {
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(folder.join(database), ""))
            .map_err(|error| Error::file(folder, error))?;
    }
    Ok(())
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

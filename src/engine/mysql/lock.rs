//! The build lock of a MySQL database, and what is learned of its server with it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use mysql_async::{Conn, Row, Value as Cell, prelude::Queryable};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    super::{Error, Value, schema::quote_back_ticks},
    convert,
    dial::CANCEL,
    session::{Guarded, MySqlSession},
};

/// How often an idle connection says that it is still there, so that the server keeps it.
const KEEP_ALIVE: Duration = Duration::from_secs(40);

/// Names of locks belong to the whole server, and not every server takes more than 64 characters.
pub(super) fn lock_name(database: &str) -> String {
    let digest = Sha256::digest(database.as_bytes());
    let hex: String = digest
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sbm-{hex}")
}

/// The one name of a database: where the server compares names without regard to case, in lower case.
fn folded_name(database: &str, lower_case_table_names: &str) -> String {
    if lower_case_table_names == "0" {
        database.to_owned()
    } else {
        database.to_lowercase()
    }
}

const FACTS: &str = "SELECT DATABASE(), @@lower_case_table_names, @@max_allowed_packet";

/// Whether the server can be written to, and whether the database has a table that no rollback reaches.
const WRITABLE: &str = "SELECT @@global.read_only, EXISTS (SELECT 1 FROM information_schema.TABLES t \
    LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
    WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' \
    AND t.ENGINE IS NOT NULL AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES')";

impl MySqlSession {
    /// Asks the server what its database is called, and how much it takes.
    pub(super) async fn learn(&mut self) -> Result<(), Error> {
        let rows = self.query_text(FACTS).await?;
        let cells = rows.into_iter().next().unwrap_or_default();
        let [Value::Text(database), case, packet] = cells.as_slice() else {
            return Err(Error::Lost(
                "the server does not say which database this is".into(),
            ));
        };
        let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
        self.database.clone_from(database);
        self.folded_name = folded_name(database, &text(case));
        self.lock_name = lock_name(&self.folded_name);
        self.max_packet = text(packet).parse().unwrap_or(usize::MAX);
        Ok(())
    }

    /// A build has no place on a replica, and has to know what it could not take back.
    async fn check_writable(&mut self) -> Result<(), Error> {
        let rows = self.query_text(WRITABLE).await?;
        let cells = rows.into_iter().next().unwrap_or_default();
        let text = |index: usize| {
            let cell = cells.get(index).and_then(Value::as_text);
            cell.unwrap_or_default().to_uppercase()
        };
        if !matches!(text(0).as_str(), "0" | "OFF") {
            // During a failover the next login may reach the primary.
            self.drop_connection().await;
            return Err(Error::Lost(
                "the server is read-only, as a replica is".into(),
            ));
        }
        self.has_lasting_tables = text(1) != "0";
        Ok(())
    }

    pub(super) async fn take_lock(
        &mut self,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.check_writable().await?;
        let seconds = wait.as_millis().div_ceil(1_000).min(31_536_000);
        let sql = format!("SELECT GET_LOCK('{}', {seconds})", self.lock_name);
        let limit = wait.saturating_add(Duration::from_secs(30));
        let mut link = self.link.clone().lock_owned().await;
        let Some(connection) = link.as_mut() else {
            return Err(self.lost());
        };
        let id = connection.id();
        let work = connection.query_first::<Option<i64>, _>(sql);
        let answer = match self.guarded(id, limit, stop, work).await {
            Guarded::Done(answer) => answer,
            Guarded::Cancelled { done, stopped } => {
                if done.is_none() {
                    link.take();
                }
                return Err(if stopped {
                    Error::Stopped
                } else {
                    Error::Busy { wait }
                });
            }
        };
        match answer {
            Ok(Some(Some(1))) => {}
            Ok(Some(Some(0))) => return Err(Error::Busy { wait }),
            Ok(_) => return Err(Error::Lost("the server could not give the lock".into())),
            Err(error) => return Err(convert::statement_error(&error)),
        }
        drop(link);
        self.start_keep_alive();
        Ok(())
    }

    /// Whether the lock is still this connection's: a script can give up all locks.
    pub(super) async fn check_lock(&mut self) -> Result<(), Error> {
        let sql = format!(
            "SELECT IS_USED_LOCK('{}') = CONNECTION_ID()",
            self.lock_name
        );
        let rows = self.query_text(&sql).await?;
        if rows.first().and_then(|row| row.first()?.as_text()) == Some("1") {
            return Ok(());
        }
        self.drop_connection().await;
        Err(Error::Lost(
            "the session has lost its lock: a script gave it up".into(),
        ))
    }

    fn start_keep_alive(&mut self) {
        if self.keep_alive.is_none() {
            let link = Arc::downgrade(&self.link);
            self.keep_alive = Some(tokio::spawn(keep_alive(link)));
        }
    }

    /// The name of the build's database in a statement.
    pub(super) fn quoted_database(&self) -> String {
        quote_back_ticks(&self.database)
    }
}

/// While one database of a target works, the others say now and then that somebody is still there.
async fn keep_alive(link: Weak<Mutex<Option<Conn>>>) {
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        let Some(link) = link.upgrade() else {
            return;
        };
        // Whoever uses the connection now is not idle.
        let Ok(mut link) = link.try_lock() else {
            continue;
        };
        let Some(connection) = link.as_mut() else {
            return;
        };
        if !matches!(
            tokio::time::timeout(CANCEL, connection.ping()).await,
            Ok(Ok(()))
        ) {
            link.take();
            return;
        }
    }
}

/// The cells of a row.
pub(super) fn cells(row: Row) -> Vec<Value> {
    row.unwrap_raw()
        .into_iter()
        .map(|cell| convert::value(cell.unwrap_or(Cell::NULL)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_names_are_short_and_tell_databases_apart() {
        let long = "ä".repeat(64);
        assert!(lock_name(&long).len() <= 64);
        assert_ne!(lock_name("a"), lock_name("b"));
        assert_eq!(lock_name("a"), lock_name("a"));
    }

    #[test]
    fn a_database_has_one_name_where_the_server_folds_names() {
        for (case, same) in [("0", false), ("1", true), ("2", true)] {
            let names = ["Client7", "client7"].map(|name| folded_name(name, case));
            assert_eq!(names[0] == names[1], same, "{case}");
        }
    }
}

//! The probe between two waves: a query that must return no row in any database of the wave.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Answer, Engine},
    protocol::Target,
};

/// Databases that are asked at once.
const AT_ONCE: usize = 16;

/// How long one database may take, login included.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Asks every database of `targets`. The first one that does not answer with no row, and what it says instead; none when all is
/// well.
pub(super) async fn probe(
    engine: &Arc<dyn Engine>,
    query: &str,
    targets: Vec<Target>,
) -> Option<String> {
    let asked = targets.into_iter().flat_map(|target| {
        let databases = target.databases().into_iter().map(str::to_owned);
        let server = target.server.clone();
        databases
            .map(move |database| (server.clone(), database))
            .collect::<Vec<_>>()
    });
    let mut answers = stream::iter(asked)
        .map(|(server, database)| async move {
            let asked = ask(&**engine, query, &server, &database);
            let answer = timeout(TIMEOUT, asked).await;
            let problem = answer
                .unwrap_or_else(|_| Some(format!("no answer within {} s", TIMEOUT.as_secs())));
            problem.map(|problem| format!("{server}:{database}: {problem}"))
        })
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

/// What is wrong with one database; none when the query returns no row.
async fn ask(engine: &dyn Engine, query: &str, server: &str, database: &str) -> Option<String> {
    let mut session = match engine.connect(server, database).await {
        Ok(session) => session,
        Err(error) => return Some(format!("cannot be probed: {error}")),
    };
    let (to, mut answers) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let reading = async move {
        let read = session.read(query, TIMEOUT, &stop, &to).await;
        drop(to);
        read
    };
    let counting = async {
        let mut rows = 0_u64;
        while let Some(answer) = answers.recv().await {
            if matches!(answer, Answer::Row(_)) {
                rows += 1;
                // One is enough to know.
                break;
            }
        }
        drop(answers);
        rows
    };
    let (read, rows) = tokio::join!(reading, counting);
    match read {
        _ if rows > 0 => Some("the probe returned a row".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("the probe failed: {error}")),
    }
}

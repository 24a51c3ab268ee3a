//! Connections that somebody else accepts.

use std::io;

use axum::serve::Listener;
use tokio::sync::mpsc;

use super::{Connection, Cutter};

/// The receiving end of connections.
#[expect(missing_debug_implementations, reason = "streams have none")]
pub struct Connections(mpsc::Receiver<Connection>);

impl Connections {
    /// The sending end, for those who accept, and the receiving end, for [`super::serve_connections`].
    #[must_use]
    pub fn channel() -> (mpsc::Sender<Connection>, Self) {
        let (sender, receiver) = mpsc::channel(64);
        (sender, Self(receiver))
    }
}

impl Listener for Connections {
    type Io = Connection;
    /// Who is at the other end matters to no service; how to get rid of him does.
    type Addr = Cutter;

    async fn accept(&mut self) -> (Connection, Cutter) {
        match self.0.recv().await {
            Some(connection) => {
                let cutter = connection.cutter();
                (connection, cutter)
            }
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Cutter> {
        Ok(Cutter::default())
    }
}

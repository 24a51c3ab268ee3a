//! HTTP connections that were found among others, handed to axum.

use std::io::{Error, ErrorKind};

use axum::Router;
use tokio::sync::mpsc;

use crate::web::{Connection, Connections, serve_connections};

/// Where HTTP connections go.
#[derive(Clone)]
pub(super) struct Http(mpsc::Sender<Connection>);

impl Http {
    /// Serves a router in a task that ends with the runtime.
    pub(super) fn serve(router: Router) -> Self {
        let (sender, connections) = Connections::channel();
        serve_connections(connections, router);
        Self(sender)
    }

    pub(super) async fn take(&self, connection: Connection) -> Result<(), Error> {
        self.0
            .send(connection)
            .await
            .map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

//! Serving HTTP on connections that can be cut on demand: over plain TCP, over TLS, and on those that the broker has accepted.

mod connection;
mod connections;

pub use connection::{Connection, Cutter};
pub use connections::Connections;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Takes a port of the loopback interface; 0 takes a free one.
///
/// # Errors
/// When the port is taken.
pub async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))
}

/// Serves HTTP without TLS until the program ends.
pub fn serve_plain(listener: TcpListener, router: Router) {
    let (sender, connections) = Connections::channel();
    serve_connections(connections, router);
    tokio::spawn(accept(listener, None, sender));
}

/// Serves HTTP over TLS until the program ends.
pub fn serve_secure(listener: TcpListener, config: Arc<ServerConfig>, router: Router) {
    let (sender, connections) = Connections::channel();
    serve_connections(connections, router);
    tokio::spawn(accept(listener, Some(TlsAcceptor::from(config)), sender));
}

/// Serves HTTP on connections that come through a channel.
pub fn serve_connections(connections: Connections, router: Router) {
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Cutter>();
        if let Err(error) = axum::serve(connections, service).await {
            log::error!("a service has ended: {error}");
        }
    });
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    sender: mpsc::Sender<Connection>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(pass_on(stream, acceptor.clone(), sender.clone()));
            }
            // No more file descriptors, for instance: others may give some back.
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// In a task of its own, so that a slow client keeps nobody waiting.
async fn pass_on(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    sender: mpsc::Sender<Connection>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("a connection is slower than it could be: {error}");
    }
    let connection = match acceptor {
        None => Some(Connection::new(stream)),
        Some(acceptor) => shake_hands(stream, acceptor).await,
    };
    if let Some(connection) = connection
        && sender.send(connection).await.is_err()
    {
        log::debug!("a connection came while the service ended");
    }
}

async fn shake_hands(stream: TcpStream, acceptor: TlsAcceptor) -> Option<Connection> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some(Connection::new(stream)),
        Ok(Err(error)) => log::debug!("a TLS handshake failed: {error}"),
        Err(_) => log::debug!("a TLS handshake took too long"),
    }
    None
}

//! The one port of Service Bus and Event Hubs.
//!
//! The first bytes say what a connection is: `AMQP` is the protocol itself, 0x16 the start of TLS, after which it is looked
//! again; anything else is HTTP. An HTTP request for the WebSocket of Service Bus becomes AMQP, every other one goes to a router.

mod http;
mod replay;
#[cfg(test)]
mod tests;
mod websocket;

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::amqp;
use crate::broker::Broker;
use crate::web::Connection;
use http::Http;
use replay::Replay;

/// How long a client may take to say what it wants.
const FIRST_BYTES: Duration = Duration::from_secs(30);
/// How long it may take to begin TLS.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// The request line of clients that want AMQP by way of a WebSocket, with and without parameters.
const WEBSOCKET: &[u8] = b"GET /$servicebus/websocket";

/// What a port offers.
#[derive(Clone)]
pub struct Front {
    broker: Arc<Broker>,
    tls: Option<TlsAcceptor>,
    http: Http,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Front {
    /// AMQP for `broker`; TLS when there is a configuration for it; HTTP requests for `router`. It needs a runtime of tokio.
    pub fn new(
        broker: Arc<Broker>,
        tls: Option<Arc<rustls::ServerConfig>>,
        router: Router,
    ) -> Self {
        Self {
            broker,
            tls: tls.map(TlsAcceptor::from),
            http: Http::serve(router),
        }
    }

    /// Takes connections; never returns. Drop the future to stop.
    pub async fn listen(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Delayed acknowledgements would add 40 ms to small answers.
                    if let Err(error) = stream.set_nodelay(true) {
                        log::debug!("a connection stays slow: {error}");
                    }
                    tokio::spawn(self.clone().serve(stream));
                }
                Err(error) => {
                    log::warn!("a connection is not taken: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Serves one connection, whatever it is.
    pub async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Err(error) = self.sniff(stream).await {
            log::debug!("a connection ends before it begins: {error}");
        }
    }

    async fn sniff<S>(self, mut stream: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut start = BytesMut::new();
        read_until(&mut stream, &mut start, 1).await?;
        let (first, stream) = (start.first().copied(), Replay::new(start, stream));
        match (first, self.tls.clone()) {
            (Some(0x16), Some(tls)) => {
                let stream = timeout(HANDSHAKE, tls.accept(stream))
                    .await
                    .map_err(|_| ErrorKind::TimedOut)??;
                self.protocol(stream).await
            }
            (Some(0x16), None) => Err(Error::new(ErrorKind::Unsupported, "this port has no TLS")),
            _ => self.protocol(stream).await,
        }
    }

    async fn protocol<S>(self, mut stream: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut start = BytesMut::new();
        while start.len() < WEBSOCKET.len() && WEBSOCKET.starts_with(&start) {
            let enough = start.len() + 1;
            read_until(&mut stream, &mut start, enough).await?;
        }
        let stream = Replay::new(start.clone(), stream);
        if start.starts_with(WEBSOCKET) {
            websocket::serve(stream, self.broker).await
        } else if start.starts_with(b"A") {
            amqp::serve(stream, self.broker).await;
            Ok(())
        } else {
            self.http.take(Connection::new(stream)).await
        }
    }
}

async fn read_until<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &mut BytesMut,
    length: usize,
) -> Result<(), Error> {
    while start.len() < length {
        let read = timeout(FIRST_BYTES, stream.read_buf(start))
            .await
            .map_err(|_| ErrorKind::TimedOut)??;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

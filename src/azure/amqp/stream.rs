//! The bytes below AMQP: plain, encrypted, or in a WebSocket on the port that firewalls leave open.

use std::{fmt, sync::Arc};

use fe2o3_amqp_ws::WebSocketStream;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Address, Error};

/// The path of the WebSocket, which both services share.
const PATH: &str = "$servicebus/websocket";

/// Bytes in both directions.
pub(super) trait Bytes: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Bytes for T {}

/// Connects; the caller sees to the time.
pub(super) async fn dial(
    address: &Address,
    web_socket: bool,
    tls: &Arc<ClientConfig>,
) -> Result<Box<dyn Bytes>, Error> {
    let port = if web_socket {
        address.web_socket_port()
    } else {
        address.amqp_port()
    };
    let unreachable = |why: &dyn fmt::Display| Error::Unreachable {
        place: format!("{}:{port}", address.host),
        why: why.to_string(),
    };
    let stream = TcpStream::connect((&*address.host, port))
        .await
        .map_err(|error| unreachable(&error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(&error))?;
    let stream: Box<dyn Bytes> = if address.is_emulator {
        Box::new(stream)
    } else {
        let name =
            ServerName::try_from(address.host.clone()).map_err(|error| unreachable(&error))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        Box::new(
            connector
                .connect(name, stream)
                .await
                .map_err(|error| unreachable(&error))?,
        )
    };
    if !web_socket {
        return Ok(stream);
    }
    let scheme = if address.is_emulator { "ws" } else { "wss" };
    let url = format!("{scheme}://{}:{port}/{PATH}", address.host);
    let upgraded = WebSocketStream::connect_with_stream(url, stream).await;
    Ok(Box::new(upgraded.map_err(|error| unreachable(&error))?))
}

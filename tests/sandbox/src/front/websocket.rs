//! AMQP inside a WebSocket, for clients behind a proxy.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::amqp;
use crate::broker::Broker;

/// How many bytes may be on their way between WebSocket and AMQP, each way.
const BETWEEN: usize = 128 * 1024;
/// The protocols that clients offer; the first is what Microsoft's call it.
const PROTOCOLS: [&str; 2] = ["AMQPWSB10", "amqp"];

/// Answers the upgrade and serves AMQP in it.
pub(super) async fn serve<S>(stream: S, broker: Arc<Broker>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = tokio_tungstenite::accept_hdr_async(stream, choose_protocol)
        .await
        .map_err(Error::other)?;
    let (inside, outside) = duplex(BETWEEN);
    let bridge = tokio::spawn(bridge(socket, outside));
    amqp::serve(inside, broker).await;
    bridge.await.map_err(Error::other)?
}

#[expect(
    clippy::result_large_err,
    reason = "the type is that of the library's callback"
)]
fn choose_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request
        .headers()
        .get("Sec-WebSocket-Protocol")
        .and_then(|offered| offered.to_str().ok());
    let mut offered = offered.unwrap_or_default().split(',').map(str::trim);
    if let Some(protocol) = offered
        .find(|protocol| PROTOCOLS.contains(protocol))
        .map(HeaderValue::from_str)
    {
        let protocol = protocol.unwrap_or_else(|_| HeaderValue::from_static(PROTOCOLS[0]));
        response
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
    }
    Ok(response)
}

/// Carries bytes both ways until one side ends.
async fn bridge<S, D>(socket: WebSocketStream<S>, stream: D) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: AsyncRead + AsyncWrite,
{
    let (mut sink, mut source) = socket.split();
    let (mut reader, mut writer) = split(stream);
    let inward = async {
        while let Some(message) = source.next().await {
            match message.map_err(Error::other)? {
                Message::Binary(bytes) => writer.write_all(&bytes).await?,
                Message::Close(_) => break,
                Message::Text(_) => {
                    return Err(Error::new(ErrorKind::InvalidData, "AMQP is not text"));
                }
                _ => {}
            }
        }
        Ok(())
    };
    let outward = async {
        let mut buffer = BytesMut::with_capacity(BETWEEN);
        while reader.read_buf(&mut buffer).await? > 0 {
            let bytes: Bytes = buffer.split().freeze();
            sink.send(Message::Binary(bytes))
                .await
                .map_err(Error::other)?;
            buffer.reserve(BETWEEN);
        }
        sink.close().await.map_err(Error::other)
    };
    tokio::select! {
        ended = inward => ended,
        ended = outward => ended,
    }
}

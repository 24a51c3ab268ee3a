//! The opening handshake: protocol headers and SASL.
//!
//! `ANONYMOUS` and `MSSBCBS` leave everything to `$cbs`; `PLAIN` takes the name of a key and the key, which then hold for the
//! whole connection.

use std::io::{Error, ErrorKind};

use bytes::BytesMut;
use fe2o3_amqp_types::primitives::{Array, Symbol};
use fe2o3_amqp_types::sasl::{SaslCode, SaslInit, SaslMechanisms, SaslOutcome};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::encode::encoded;
use super::frame::{self, Frame, Kind};
use crate::broker::Broker;
use crate::cbs::{Claims, TokenRights};

const AMQP: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
const SASL: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const MECHANISMS: [&str; 3] = ["MSSBCBS", "ANONYMOUS", "PLAIN"];

/// Shakes hands, and gives what the client may do by that. What it sent already beyond stays in `buffer`.
pub(super) async fn shake_hands<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    broker: &Broker,
) -> Result<Claims, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut claims = Claims::default();
    let mut header = read_header(stream, buffer).await?;
    if header == SASL {
        stream.write_all(&SASL).await?;
        authenticate(stream, buffer, broker, &mut claims).await?;
        header = read_header(stream, buffer).await?;
    }
    stream.write_all(&AMQP).await?;
    stream.flush().await?;
    if header == AMQP {
        Ok(claims)
    } else {
        Err(refused("this is not AMQP 1.0"))
    }
}

async fn authenticate<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    broker: &Broker,
    claims: &mut Claims,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mechanisms = Array(MECHANISMS.map(Symbol::from).to_vec());
    send(
        stream,
        &encoded(&SaslMechanisms {
            sasl_server_mechanisms: mechanisms,
        }),
    )
    .await?;
    let frame = loop {
        match frame::take(buffer).map_err(|_| refused("a frame of SASL cannot be read"))? {
            Some(frame) => break frame,
            None => more(stream, buffer).await?,
        }
    };
    let code = judge(&frame, broker, claims)?;
    let accepted = code == SaslCode::Ok;
    send(
        stream,
        &encoded(&SaslOutcome {
            code,
            additional_data: None,
        }),
    )
    .await?;
    if accepted {
        Ok(())
    } else {
        Err(refused("name and key are not accepted"))
    }
}

fn judge(frame: &Frame, broker: &Broker, claims: &mut Claims) -> Result<SaslCode, Error> {
    let init: SaslInit = serde_amqp::from_slice(&frame.body)
        .map_err(|_| refused("a frame of SASL is not understood"))?;
    if init.mechanism.as_str() != "PLAIN" {
        let known = MECHANISMS.contains(&init.mechanism.as_str());
        return Ok(if known { SaslCode::Ok } else { SaslCode::Auth });
    }
    let response = init
        .initial_response
        .map(|response| response.into_vec())
        .unwrap_or_default();
    let mut parts = response
        .split(|byte| *byte == 0)
        .skip(1)
        .map(|part| String::from_utf8_lossy(part).into_owned());
    let (name, secret) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let Some(key) = broker.keys.named(&name, &secret) else {
        return Ok(SaslCode::Auth);
    };
    claims.add(
        &key.entity,
        TokenRights {
            rights: key.rights.clone(),
            expires_at: Timestamp::MAX,
        },
    );
    Ok(SaslCode::Ok)
}

async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<[u8; 8], Error> {
    while buffer.len() < AMQP.len() {
        more(stream, buffer).await?;
    }
    let header = buffer.split_to(AMQP.len());
    header
        .as_ref()
        .try_into()
        .map_err(|_| refused("the header has another length"))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, performative: &[u8]) -> Result<(), Error> {
    let mut out = BytesMut::new();
    frame::write(&mut out, Kind::Sasl, 0, performative, &[]);
    stream.write_all(&out).await?;
    stream.flush().await
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> Result<(), Error> {
    match stream.read_buf(buffer).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

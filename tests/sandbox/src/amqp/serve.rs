//! A connection on a stream.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::connection::{Connection, Next};
use super::frame::{self, Kind};
use super::performative::IDLE;
use super::sasl::shake_hands;
use crate::broker::Broker;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How often it is looked whether an attach has waited long enough or the client wants to hear something.
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked whether claims have expired.
const CHECK: Duration = Duration::from_secs(1);
/// How long a closing connection may take to send the rest.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves one AMQP connection until it ends.
///
/// Reading and writing go on side by side in one task: a client that sends without reading what it gets cannot stop either.
pub(crate) async fn serve<S>(mut stream: S, broker: Arc<Broker>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut buffer = BytesMut::new();
    let claims = match timeout(HANDSHAKE, shake_hands(&mut stream, &mut buffer, &broker)).await {
        Ok(Ok(claims)) => claims,
        Ok(Err(error)) => return log::debug!("an AMQP connection ends before it begins: {error}"),
        Err(_) => {
            return log::debug!(
                "an AMQP connection ends before it begins: no handshake for {HANDSHAKE:?}"
            );
        }
    };
    let mut connection = Connection::new(Arc::clone(&broker), claims);
    let outcome = Served::new(&broker, buffer)
        .run(stream, &mut connection)
        .await;
    connection.leave();
    if let Err(error) = outcome {
        log::debug!("an AMQP connection ends: {error}");
    }
}

/// What goes with a connection besides its state.
struct Served {
    broker: Arc<Broker>,
    input: BytesMut,
    drops: watch::Receiver<u64>,
    deletions: watch::Receiver<u64>,
    heard: Instant,
    spoken: Instant,
    checked: Instant,
}

impl Served {
    fn new(broker: &Arc<Broker>, input: BytesMut) -> Self {
        let now = Instant::now();
        Self {
            broker: Arc::clone(broker),
            input,
            drops: broker.faults.drops(),
            deletions: broker.service_bus.deletions(),
            heard: now,
            spoken: now,
            checked: now,
        }
    }

    async fn run<S>(&mut self, stream: S, connection: &mut Connection) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let waker = Arc::clone(&connection.waker);
        let mut unflushed = false;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.take_frames(connection).await? == Next::Close {
                return last_words(&mut writer, connection).await;
            }
            connection.pump();
            let out = &mut connection.out.bytes;
            let busy = !out.is_empty() || unflushed;
            tokio::select! {
                read = reader.read_buf(&mut self.input) => match read? {
                    0 => return Ok(()),
                    _ => self.heard = Instant::now(),
                },
                written = push(&mut writer, out), if busy => {
                    let written = written?;
                    out.advance(written);
                    unflushed = written > 0;
                    self.spoken = Instant::now();
                }
                () = waker.notified() => {}
                _ = self.drops.changed() => return Ok(()),
                _ = self.deletions.changed() => connection.check_links(),
                _ = ticks.tick() => self.tick(connection)?,
            }
        }
    }

    async fn take_frames(&mut self, connection: &mut Connection) -> Result<Next, Error> {
        let delay = self.broker.faults.delayed();
        if !delay.is_zero() && !self.input.is_empty() {
            sleep(delay).await;
        }
        while let Some(frame) =
            frame::take(&mut self.input).map_err(|_| invalid("a frame cannot be read"))?
        {
            if frame.kind != Kind::Amqp {
                return Err(invalid("a frame of SASL comes too late"));
            }
            if connection.take(frame) == Next::Close {
                return Ok(Next::Close);
            }
        }
        Ok(Next::GoOn)
    }

    fn tick(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let now = Instant::now();
        if now - self.heard > Duration::from_millis(u64::from(IDLE) * 2) {
            return Err(ErrorKind::TimedOut.into());
        }
        if connection
            .idle
            .is_some_and(|idle| now - self.spoken > idle / 3)
        {
            frame::write(&mut connection.out.bytes, Kind::Amqp, 0, &[], &[]);
            self.spoken = now;
        }
        if now - self.checked > CHECK {
            self.checked = now;
            connection.check_links();
        }
        Ok(())
    }
}

/// Writes some of what there is, or sees to it that all that was written goes out.
async fn push<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> Result<usize, Error> {
    if bytes.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(bytes).await? {
        0 => Err(ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

async fn last_words<W: AsyncWrite + Unpin>(
    writer: &mut W,
    connection: &mut Connection,
) -> Result<(), Error> {
    let send = async {
        writer.write_all(&connection.out.bytes).await?;
        writer.flush().await?;
        writer.shutdown().await
    };
    timeout(LAST_WORDS, send).await.unwrap_or(Ok(()))
}

fn invalid(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

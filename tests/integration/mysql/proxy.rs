//! A proxy in front of a MySQL server, which can lose a COMMIT or its answer.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What the engine sends to commit, with the byte that says that it is a statement.
const COMMIT: &[u8] = b"\x03COMMIT AND NO CHAIN";

/// A port of this machine in front of a server.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Its address in a target list.
    pub(super) name: String,
    /// Whether it has spoilt a COMMIT, or shall spoil none.
    pub(super) spoilt: Arc<AtomicBool>,
}

impl Proxy {
    /// The server by another address.
    pub(super) fn at(address: &str, port: u16) -> Self {
        Self::start(address, port, true, true)
    }

    /// Loses the answer to the first COMMIT, or the COMMIT itself; the connection ends with it.
    pub(super) fn spoils_a_commit(port: u16, arrives: bool) -> Self {
        Self::start("127.0.0.1", port, arrives, false)
    }

    fn start(address: &str, port: u16, arrives: bool, spoilt: bool) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let spoilt = Arc::new(AtomicBool::new(spoilt));
        let shared = Arc::clone(&spoilt);
        // The thread ends with the process of the tests.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                forward(client, port, arrives, &shared).ok();
            }
        });
        Self { name, spoilt }
    }
}

fn forward(
    client: TcpStream,
    port: u16,
    arrives: bool,
    spoilt: &Arc<AtomicBool>,
) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let swallows = Arc::new(AtomicBool::new(false));
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let (spoilt, swallowing) = (Arc::clone(spoilt), Arc::clone(&swallows));
    thread::spawn(move || {
        copy(from, to, |bytes| {
            let commits = bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
            if !commits || spoilt.swap(true, Ordering::SeqCst) {
                return true;
            }
            swallowing.store(true, Ordering::SeqCst);
            arrives
        });
    });
    thread::spawn(move || copy(server, client, |_| !swallows.load(Ordering::SeqCst)));
    Ok(())
}

/// Copies until either side is gone, or until something is not to pass; then both are gone.
fn copy(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        if !passes(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

//! A proxy in front of a PostgreSQL server that can lose a COMMIT or its answer.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
};

/// What happens to the next COMMIT; the ones after it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Commit {
    Passes = 0,
    /// The server carries it out, and the connection is cut before its answer arrives.
    LosesItsAnswer = 1,
    /// The connection is cut before the server gets it.
    NeverArrives = 2,
}

/// A proxy on an address of its own.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// The address in a target list.
    pub(crate) name: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    next_commit: AtomicU8,
    refuses: AtomicBool,
    refuses_after_cut: AtomicBool,
    connections: AtomicUsize,
}

impl Proxy {
    /// Forwards connections to `address:0` to the server on `port` of this machine.
    pub(crate) fn start(address: &str, port: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                if !shared.refuses.load(Ordering::SeqCst) {
                    forward(&client, port, &shared);
                }
            }
        });
        Self { name, state }
    }

    pub(crate) fn next_commit(&self, commit: Commit) {
        self.state.next_commit.store(commit as u8, Ordering::SeqCst);
    }

    /// From the next cut on no connection gets through.
    pub(crate) fn refuse_after_cut(&self) {
        self.state.refuses_after_cut.store(true, Ordering::SeqCst);
    }

    /// Connections get through again.
    pub(crate) fn heal(&self) {
        self.state.refuses_after_cut.store(false, Ordering::SeqCst);
        self.state.refuses.store(false, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

fn forward(client: &TcpStream, port: u16, state: &Arc<State>) {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let swallow = Arc::new(AtomicBool::new(false));
    let pairs = [
        (
            client.try_clone().unwrap(),
            server.try_clone().unwrap(),
            true,
        ),
        (server, client.try_clone().unwrap(), false),
    ];
    for (from, to, is_client) in pairs {
        let (state, swallow) = (Arc::clone(state), Arc::clone(&swallow));
        thread::spawn(move || pump(from, to, is_client, &state, &swallow));
    }
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    is_client: bool,
    state: &State,
    swallow: &AtomicBool,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let data = &buffer[..count];
        if count == 0 {
            break;
        }
        if is_client && has_commit(data) {
            match state
                .next_commit
                .swap(Commit::Passes as u8, Ordering::SeqCst)
            {
                1 => swallow.store(true, Ordering::SeqCst),
                2 => {
                    cut(state);
                    break;
                }
                _ => {}
            }
        }
        if !is_client && swallow.load(Ordering::SeqCst) {
            cut(state);
            break;
        }
        if to.write_all(data).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

fn cut(state: &State) {
    if state.refuses_after_cut.load(Ordering::SeqCst) {
        state.refuses.store(true, Ordering::SeqCst);
    }
}

/// Whether a simple query (`Q`, length, text, NUL) ends in COMMIT.
fn has_commit(data: &[u8]) -> bool {
    data.first() == Some(&b'Q') && data.ends_with(b"COMMIT\0")
}

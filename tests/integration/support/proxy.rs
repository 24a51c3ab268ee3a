//! A proxy in front of a PostgreSQL server that can lose a COMMIT or its answer, spoil an answer, and hide the server's TLS.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What happens to one COMMIT; the ones after it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The server carries it out, and the connection is cut before its answer arrives.
    LosesItsAnswer,
    /// The connection is cut before the server gets it.
    NeverArrives,
    /// It is on its way until it is let go.
    ArrivesLate,
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
    plan: Mutex<Plan>,
    connections: AtomicUsize,
    without_tls: bool,
    let_go: AtomicBool,
}

#[derive(Debug, Default)]
struct Plan {
    /// What happens to a COMMIT, after this many others have passed.
    commit: Option<(usize, Commit)>,
    /// Spoils the answer with this number on the next connection, with bytes drawn from this seed.
    spoil: Option<(usize, u64)>,
    /// Connections that are refused from the next cut on.
    refuse_after_cut: usize,
    refuse: usize,
}

impl Proxy {
    /// Forwards connections to `address:0` to the server on `port` of this machine.
    pub(crate) fn start(address: &str, port: u16) -> Self {
        Self::with(address, port, State::default())
    }

    /// The server as one that has no TLS.
    pub(crate) fn without_tls(port: u16) -> Self {
        let state = State {
            without_tls: true,
            ..State::default()
        };
        Self::with("127.0.0.1", port, state)
    }

    fn with(address: &str, port: u16, state: State) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        // The thread ends with the process of the tests.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                if !shared.refuses() {
                    forward(client, port, &shared).ok();
                }
            }
        });
        Self { name, state }
    }

    /// What happens to the next COMMIT, when `passing` others have passed.
    pub(crate) fn after_commits(&self, passing: usize, commit: Commit) {
        self.state.plan().commit = Some((passing, commit));
    }

    pub(crate) fn next_commit(&self, commit: Commit) {
        self.after_commits(0, commit);
    }

    /// Whether the COMMIT in question has come.
    pub(crate) fn has_struck(&self) -> bool {
        self.state.plan().commit.is_none()
    }

    /// The COMMIT that is on its way arrives.
    pub(crate) fn let_go(&self) {
        self.state.let_go.store(true, Ordering::SeqCst);
    }

    /// Spoils the answer with this number on the next connection, and cuts it there.
    pub(crate) fn spoil(&self, answer: usize, seed: u64) {
        self.state.plan().spoil = Some((answer, seed));
    }

    /// From the next cut on, this many connections do not get through.
    pub(crate) fn refuse_after_cut(&self, connections: usize) {
        self.state.plan().refuse_after_cut = connections;
    }

    /// Connections get through again.
    pub(crate) fn heal(&self) {
        *self.state.plan() = Plan::default();
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl State {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    fn refuses(&self) -> bool {
        let mut plan = self.plan();
        let refuses = plan.refuse > 0;
        plan.refuse = plan.refuse.saturating_sub(1);
        refuses
    }

    /// What happens to the COMMIT that was just read.
    fn commit(&self) -> Option<Commit> {
        let mut plan = self.plan();
        match &mut plan.commit {
            None => None,
            Some((0, commit)) => {
                let commit = *commit;
                plan.commit = None;
                plan.refuse = std::mem::take(&mut plan.refuse_after_cut);
                Some(commit)
            }
            Some((passing, _)) => {
                *passing -= 1;
                None
            }
        }
    }
}

/// One connection through the proxy.
struct Link {
    client: TcpStream,
    server: TcpStream,
    state: Arc<State>,
    /// Whether the next answer is lost, and the connection with it.
    swallows: AtomicBool,
    spoil: Option<(usize, u64)>,
}

fn forward(client: TcpStream, port: u16, state: &Arc<State>) -> io::Result<()> {
    let link = Arc::new(Link {
        client,
        server: TcpStream::connect(("127.0.0.1", port))?,
        state: Arc::clone(state),
        swallows: AtomicBool::new(false),
        spoil: state.plan().spoil.take(),
    });
    let other = Arc::clone(&link);
    thread::spawn(move || link.ends(Link::requests));
    thread::spawn(move || other.ends(Link::answers));
    Ok(())
}

/// `SSLRequest` and `GSSENCRequest`, which come before the start-up message.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

impl Link {
    /// Works until either side is gone, and takes the other with it.
    fn ends(&self, work: impl FnOnce(&Self) -> io::Result<()>) {
        work(self).ok();
        self.client.shutdown(Shutdown::Both).ok();
        self.server.shutdown(Shutdown::Both).ok();
    }

    fn requests(&self) -> io::Result<()> {
        let (mut client, mut server) = (&self.client, &self.server);
        loop {
            let first = message(&mut client, 0)?;
            let code = first.get(4..8).map(number);
            let encryption = code.is_some_and(|code| ENCRYPTION_REQUESTS.contains(&code));
            if encryption && self.state.without_tls {
                client.write_all(b"N")?;
                continue;
            }
            server.write_all(&first)?;
            if encryption {
                // What follows cannot be read.
                return io::copy(&mut client, &mut server).map(drop);
            }
            break;
        }
        loop {
            let request = message(&mut client, 1)?;
            if is_commit(&request) {
                match self.state.commit() {
                    Some(Commit::LosesItsAnswer) => self.swallows.store(true, Ordering::SeqCst),
                    Some(Commit::NeverArrives) => return Ok(()),
                    Some(Commit::ArrivesLate) => {
                        while !self.state.let_go.load(Ordering::SeqCst) {
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                    None => {}
                }
            }
            server.write_all(&request)?;
        }
    }

    fn answers(&self) -> io::Result<()> {
        let (mut client, mut server) = (&self.client, &self.server);
        let mut buffer = vec![0; 64 * 1024];
        for number in 0.. {
            let count = server.read(&mut buffer)?;
            if count == 0 || self.swallows.load(Ordering::SeqCst) {
                break;
            }
            if let Some((answer, seed)) = self.spoil
                && answer == number
            {
                return client.write_all(&spoilt(&buffer[..count], seed));
            }
            client.write_all(&buffer[..count])?;
        }
        Ok(())
    }
}

/// Reads a message: `kind` bytes of type, then a length that counts itself.
fn message(from: &mut impl Read, kind: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; kind + 4];
    from.read_exact(&mut message)?;
    let length = usize::try_from(number(&message[kind..])).unwrap();
    message.resize((kind + length).max(kind + 4), 0);
    from.read_exact(&mut message[kind + 4..])?;
    Ok(message)
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Whether it is a simple query (`Q`, length, text, NUL) that ends in COMMIT.
fn is_commit(message: &[u8]) -> bool {
    message.first() == Some(&b'Q') && message.ends_with(b"COMMIT\0")
}

/// The answer with a bit turned, a part replaced, the end missing, or nothing of it left.
fn spoilt(answer: &[u8], seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = answer.to_vec();
    let place = random.usize(..bytes.len());
    match random.u8(..4) {
        0 => bytes[place] ^= 1 << random.u8(..8),
        1 => bytes[place..]
            .iter_mut()
            .for_each(|byte| *byte = random.u8(..)),
        2 => bytes.truncate(place),
        _ => bytes = (0..random.usize(..5_000)).map(|_| random.u8(..)).collect(),
    }
    bytes
}

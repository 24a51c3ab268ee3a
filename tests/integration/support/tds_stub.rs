//! A server of canned bytes that speaks just enough of TDS to show a client what real servers do on bad days.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// The certificate that the stub shows, for `localhost` and 127.0.0.1; its own authority.
pub(crate) const CERTIFICATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/tds/certificate.pem"
);

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tds/key.pem");

/// What the stub does next on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads a message of the client and answers with these tokens.
    Answer(Vec<u8>),
    /// The same, but the answer is not framed.
    Raw(Vec<u8>),
    /// Goes through the handshake of TLS; everything after it is encrypted.
    Encrypt,
    /// Reads a message, then all that comes, and says nothing any more.
    Silence,
}

/// A message that a client sent: its type, and its bytes.
pub(crate) type Message = (u8, Vec<u8>);

/// The stub. It serves as many connections, one after the other, as it has scripts for, and then refuses more.
#[derive(Debug)]
pub(crate) struct Stub {
    port: u16,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Stub {
    pub(crate) fn start(scripts: Vec<Vec<Step>>) -> Self {
        Self::start_with(|_| scripts)
    }

    /// The scripts may name the stub's own port.
    pub(crate) fn start_with(scripts: impl FnOnce(u16) -> Vec<Vec<Step>>) -> Self {
        Self::start_at(IpAddr::from([127, 0, 0, 1]), scripts)
    }

    /// At an address of this machine.
    pub(crate) fn start_at(at: IpAddr, scripts: impl FnOnce(u16) -> Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((at, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let scripts = scripts(port);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        // The thread waits for clients until the tests end.
        std::thread::spawn(move || {
            for steps in scripts {
                let (stream, _) = listener.accept().unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                // A client that goes away ends its connection, not the stub.
                play(stream, steps, &ear).ok();
            }
        });
        Self { port, heard }
    }

    /// The stub in a target list.
    pub(crate) fn name(&self) -> String {
        format!("127.0.0.1,{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What clients have sent so far.
    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    /// The types of the messages.
    pub(crate) fn types(&self) -> Vec<u8> {
        self.heard().iter().map(|(kind, _)| *kind).collect()
    }

    /// The batches that clients have sent, as text.
    pub(crate) fn batches(&self) -> Vec<String> {
        let batches = self.heard().into_iter().filter(|(kind, _)| *kind == BATCH);
        batches
            .map(|(_, bytes)| {
                let units: Vec<u16> = bytes
                    .chunks_exact(2)
                    .skip(11)
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                String::from_utf16(&units).unwrap()
            })
            .collect()
    }
}

/// The port of SQL Server Browser.
const BROWSER_PORT: u16 = 1434;

/// A SQL Server Browser, at an address of this machine that is its own.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) at: IpAddr,
    socket: UdpSocket,
}

impl Browser {
    /// None where this machine has one loopback address alone.
    pub(crate) fn new() -> Option<Self> {
        let octet = || fastrand::u8(1..255);
        let at = IpAddr::from([127, octet(), octet(), octet()]);
        let socket = UdpSocket::bind((at, BROWSER_PORT)).ok()?;
        Some(Self { at, socket })
    }

    /// Answers one question after the other; the questions.
    pub(crate) fn answer(self, answers: Vec<Option<Vec<u8>>>) -> Receiver<Vec<u8>> {
        let (heard, questions) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let mut question = vec![0; 1024];
                let (length, from) = self.socket.recv_from(&mut question).unwrap();
                question.truncate(length);
                heard.send(question).ok();
                if let Some(answer) = answer {
                    self.socket.send_to(&answer, from).unwrap();
                }
            }
        });
        questions
    }
}

/// The answer for an instance that listens on `port`.
pub(crate) fn instance(name: &str, port: u16) -> Vec<u8> {
    let text = format!(
        "ServerName;HOST;InstanceName;{name};IsClustered;No;Version;16.0.1000.6;tcp;{port};;"
    );
    let mut answer = vec![5];
    answer.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    answer.extend(text.bytes());
    answer
}

pub(crate) const BATCH: u8 = 1;
pub(crate) const ATTENTION: u8 = 6;
pub(crate) const LOGIN: u8 = 16;
pub(crate) const PRELOGIN: u8 = 18;
const ANSWER: u8 = 4;
const END: u8 = 1;

fn play(stream: TcpStream, steps: Vec<Step>, heard: &Mutex<Vec<Message>>) -> std::io::Result<()> {
    let mut wire: Box<dyn Wire> = Box::new(stream.try_clone()?);
    for step in steps {
        if let Step::Encrypt = step {
            wire = Box::new(encrypt(stream.try_clone()?)?);
            continue;
        }
        let message = read_message(&mut *wire)?;
        heard.lock().unwrap().push(message);
        match step {
            Step::Answer(tokens) => wire.write_all(&framed(ANSWER, &tokens))?,
            Step::Raw(bytes) => wire.write_all(&bytes)?,
            Step::Silence => {
                while let Ok(message) = read_message(&mut *wire) {
                    heard.lock().unwrap().push(message);
                }
            }
            Step::Encrypt => {}
        }
        wire.flush()?;
    }
    Ok(())
}

trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

fn read_message(wire: &mut dyn Wire) -> std::io::Result<Message> {
    let mut bytes = Vec::new();
    loop {
        let mut header = [0; 8];
        wire.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut payload = vec![0; length.saturating_sub(8)];
        wire.read_exact(&mut payload)?;
        bytes.extend(payload);
        if header[1] & END != 0 {
            return Ok((header[0], bytes));
        }
    }
}

/// A message of one packet.
pub(crate) fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
    let mut packet = vec![kind, END, length[0], length[1], 0, 0, 1, 0];
    packet.extend(payload);
    packet
}

/// The handshake travels in messages of the type of the one before; after it the bytes of TLS are bare.
fn encrypt(mut stream: TcpStream) -> std::io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let chain = CertificateDer::pem_file_iter(CERTIFICATE)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
    while tls.is_handshaking() {
        let (_, payload) = read_message(&mut stream)?;
        let mut bytes = payload.as_slice();
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            tls.process_new_packets().map_err(std::io::Error::other)?;
        }
        let mut answer = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut answer)?;
        }
        if !answer.is_empty() {
            stream.write_all(&framed(PRELOGIN, &answer))?;
        }
    }
    Ok(StreamOwned::new(tls, stream))
}

// --- Answers ---

pub(crate) const ENCRYPT_ON: u8 = 1;
pub(crate) const ENCRYPT_NOT_SUPPORTED: u8 = 2;

/// The answer to a PRELOGIN: version, encryption, and whether a token is to be echoed.
pub(crate) fn prelogin(encryption: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 16, 0, 6, 1, 0, 22, 0, 1, 6, 0, 23, 0, 1, 0xff];
    bytes.extend([16, 0, 0, 1, 0, 0, encryption, 1]);
    bytes
}

fn text(text: &str, length_bytes: usize) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut bytes = units.len().to_le_bytes()[..length_bytes].to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A login that succeeded.
pub(crate) fn logged_in() -> Vec<u8> {
    let mut body = vec![1];
    body.extend(0x7400_0004_u32.to_be_bytes());
    body.extend(text("stub", 1));
    body.extend([16, 0, 0, 1]);
    [packet_size(), token(0xad, &body), done(0, 0)].concat()
}

/// What a server says of the session right after the login: the size of packets.
fn packet_size() -> Vec<u8> {
    let body = [vec![4], text("8000", 1), text("4096", 1)].concat();
    token(0xe3, &body)
}

/// The word to go elsewhere.
pub(crate) fn routing(host: &str, port: u16) -> Vec<u8> {
    let mut value = vec![0];
    value.extend(port.to_le_bytes());
    value.extend(text(host, 2));
    let mut body = vec![20];
    body.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    body.extend(value);
    body.extend([0, 0]);
    token(0xe3, &body)
}

pub(crate) const BEGUN: u8 = 8;
pub(crate) const COMMITTED: u8 = 9;
pub(crate) const ROLLED_BACK: u8 = 10;

/// A change of the transaction.
pub(crate) fn transaction(change: u8) -> Vec<u8> {
    let id = [8, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut body = vec![change];
    if change == BEGUN {
        body.extend(id);
        body.push(0);
    } else {
        body.push(0);
        body.extend(id);
    }
    token(0xe3, &body)
}

fn said(
    kind: u8,
    number: u32,
    state: u8,
    class: u8,
    message: &str,
    procedure: &str,
    line: u32,
) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([state, class]);
    body.extend(text(message, 2));
    body.extend(text("stub", 1));
    body.extend(text(procedure, 1));
    body.extend(line.to_le_bytes());
    token(kind, &body)
}

pub(crate) fn error(number: u32, class: u8, message: &str, line: u32) -> Vec<u8> {
    said(0xaa, number, 1, class, message, "", line)
}

pub(crate) fn error_in(
    number: u32,
    state: u8,
    message: &str,
    procedure: &str,
    line: u32,
) -> Vec<u8> {
    said(0xaa, number, state, 16, message, procedure, line)
}

pub(crate) fn print(message: &str) -> Vec<u8> {
    said(0xab, 0, 1, 0, message, "", 1)
}

pub(crate) const MORE: u16 = 1;
pub(crate) const FAILED: u16 = 2;
pub(crate) const COUNT: u16 = 0x10;
pub(crate) const ATTENTION_SEEN: u16 = 0x20;

pub(crate) fn done(status: u16, rows: u64) -> Vec<u8> {
    let mut bytes = vec![0xfd];
    bytes.extend(status.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(rows.to_le_bytes());
    bytes
}

/// A result of one row of integers.
pub(crate) fn numbers(values: &[i64]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    bytes.extend(u16::try_from(values.len()).unwrap().to_le_bytes());
    for _ in values {
        bytes.extend([0, 0, 0, 0, 0, 0, 0x26, 8, 0]);
    }
    bytes.push(0xd1);
    for value in values {
        bytes.push(8);
        bytes.extend(value.to_le_bytes());
    }
    [bytes, done(MORE | COUNT, 1)].concat()
}

/// A result of one row of one text.
pub(crate) fn word(value: &str) -> Vec<u8> {
    let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0xe7];
    bytes.extend([0, 1, 9, 4, 0xd0, 0, 52, 0]);
    bytes.push(0xd1);
    let units: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.extend(u16::try_from(units.len()).unwrap().to_le_bytes());
    bytes.extend(units);
    [bytes, done(MORE | COUNT, 1)].concat()
}

/// A result of one row of one number whose column may hold any type.
pub(crate) fn variant(value: i32) -> Vec<u8> {
    let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x62];
    bytes.extend(8_009_u32.to_le_bytes());
    bytes.extend([0, 0xd1]);
    bytes.extend(6_u32.to_le_bytes());
    bytes.extend([0x38, 0]);
    bytes.extend(value.to_le_bytes());
    [bytes, done(COUNT, 1)].concat()
}

/// A result that no server sends: a decimal with more digits behind the point than there are. The driver panics on it.
pub(crate) fn poison() -> Vec<u8> {
    let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x6a, 17, 38, 60, 0, 0xd1];
    bytes.extend([5, 1, 1, 0, 0, 0]);
    [bytes, done(COUNT, 1)].concat()
}

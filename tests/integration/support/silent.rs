//! A server that accepts connections and never answers, until it is mended.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::postgres::Server;

/// A port of this machine. Silent at first; once mended it hands every connection on to the real server.
#[derive(Debug)]
pub(crate) struct Silent {
    pub(crate) port: u16,
    mended: Arc<AtomicBool>,
}

impl Silent {
    pub(crate) fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mended = Arc::new(AtomicBool::new(false));
        let (shared, real) = (Arc::clone(&mended), server.port());
        // The thread ends with the process of the tests.
        thread::spawn(move || {
            let mut held = Vec::new();
            for client in listener.incoming() {
                let client = client.unwrap();
                if shared.load(Ordering::SeqCst) {
                    hand_on(client, real).ok();
                } else {
                    held.push(client);
                }
            }
        });
        Self { port, mended }
    }

    /// From now on it is the real server.
    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

fn hand_on(client: TcpStream, port: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || copy(from, to));
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

//! A network that can be cut between a client and the sandbox.

use std::sync::{Arc, Mutex};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinHandle},
};

/// A way to a port of this machine.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) port: u16,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    listener: JoinHandle<()>,
}

impl Way {
    /// A way to `to`, on a port of its own.
    pub(crate) async fn to(to: u16) -> Self {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let known = Arc::clone(&open);
        let listener = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let forwarded = tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("localhost", to)).await else {
                        return;
                    };
                    copy_bidirectional(&mut near, &mut far).await.ok();
                });
                known.lock().unwrap().push(forwarded.abort_handle());
            }
        });
        Self {
            port,
            open,
            listener,
        }
    }

    /// Cuts everything that is open; new connections get through.
    pub(crate) fn cut(&self) {
        for open in self.open.lock().unwrap().drain(..) {
            open.abort();
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

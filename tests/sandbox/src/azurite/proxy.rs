//! What stands between clients and Azurite, so that blobs can misbehave like all other services.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, Scheme};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection as Connects};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service as Dial;

use crate::certificates::Certificates;
use crate::faults_api::{Faults, Service};
use crate::web::Connection;

#[derive(Clone, Debug)]
struct Proxy {
    client: Client<Dialer, Body>,
    port: u16,
}

/// Passes every request on to the Azurite that listens on `port`, headers and all: clients have signed them.
pub fn router(port: u16, certificates: &Certificates, faults: &Arc<Faults>) -> Router {
    let dialer = Dialer {
        port,
        config: Arc::clone(&certificates.connect),
    };
    let client = Client::builder(TokioExecutor::new()).build(dialer);
    let routes = Router::new()
        .fallback(pass_on)
        .with_state(Proxy { client, port });
    faults.guard(Service::Blob, routes)
}

async fn pass_on(State(proxy): State<Proxy>, mut request: Request) -> Response {
    match address(request.uri(), proxy.port) {
        Ok(address) => *request.uri_mut() = address,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
    match proxy.client.request(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (
            StatusCode::BAD_GATEWAY,
            format!("Azurite does not answer: {error}"),
        )
            .into_response(),
    }
}

fn address(uri: &Uri, port: u16) -> Result<Uri, axum::http::Error> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(Authority::try_from(format!("127.0.0.1:{port}"))?);
    Ok(Uri::from_parts(parts)?)
}

/// Makes connections to Azurite, which the client keeps and uses again.
#[derive(Clone, Debug)]
struct Dialer {
    port: u16,
    config: Arc<ClientConfig>,
}

impl Dial<Uri> for Dialer {
    type Response = TokioIo<Connection>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(("127.0.0.1", dialer.port)).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::from(std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST));
            let stream = TlsConnector::from(dialer.config)
                .connect(name, stream)
                .await?;
            Ok(TokioIo::new(Connection::new(stream)))
        })
    }
}

impl Connects for Connection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

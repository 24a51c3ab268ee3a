//! Whose certificates our own clients accept: what browsers trust, and what a closed network adds.

mod transport;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};

pub(crate) use transport::reason;

/// The variable of the PEM file with further authorities, which OpenSSL and others know as well.
const CERTIFICATE_VARIABLE: &str = "SSL_CERT_FILE";

/// How long a client waits for a connection, and for the next bytes of an answer.
const CONNECT: Duration = Duration::from_secs(20);
const READ: Duration = Duration::from_secs(60);

/// The certificate authorities that are trusted.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
}

/// Why further authorities cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("cannot read the certificate authorities in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file has no certificate.
    #[error("{} holds no certificate authority in PEM form", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(
        /// What the library says.
        String,
    ),
}

impl Trust {
    /// The authorities that browsers trust, and those in the file that `SSL_CERT_FILE` names.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, TrustError> {
        let path = variable(CERTIFICATE_VARIABLE).filter(|path| !path.is_empty());
        Self::new(path.as_deref().map(Path::new))
    }

    /// The authorities that browsers trust, and those in a PEM file. What in it is no certificate is passed over, as long as
    /// there is one.
    pub fn new(more: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = more {
            let pem = fs::read(path).map_err(|source| TrustError::File {
                path: path.to_owned(),
                source,
            })?;
            let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(TrustError::Empty {
                    path: path.to_owned(),
                });
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }

    /// For connections that speak TLS themselves.
    pub fn tls(&self) -> Result<ClientConfig, TrustError> {
        // Named here, so that nobody depends on what a process has installed as its usual provider.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Tls(error.to_string()))?;
        Ok(builder
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth())
    }

    /// For HTTP. Redirections are not followed, since none of the services redirects; a request has no deadline as a whole, that
    /// is for its caller to set.
    pub fn http(&self) -> Result<reqwest::Client, TrustError> {
        built(self.builder()?)
    }

    /// The same for addresses that no proxy reaches, such as that of a machine's own metadata.
    pub fn direct_http(&self) -> Result<reqwest::Client, TrustError> {
        built(self.builder()?.no_proxy())
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, TrustError> {
        Ok(reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(READ))
    }
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, TrustError> {
    builder
        .build()
        .map_err(|error| TrustError::Tls(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let empty = file("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n");
        let error = Trust::new(Some(empty.path())).unwrap_err();
        assert!(matches!(error, TrustError::Empty { .. }), "{error}");
        assert!(error.to_string().contains(empty.path().to_str().unwrap()));
        let error = Trust::new(Some(Path::new("/no/such.pem"))).unwrap_err();
        assert!(error.to_string().contains("/no/such.pem"), "{error}");
    }

    #[test]
    fn the_variable_names_the_file_and_may_be_empty() {
        assert!(Trust::from_environment(&|_| None).is_ok());
        assert!(Trust::from_environment(&|_| Some(String::new())).is_ok());
        let named = |name: &str| (name == CERTIFICATE_VARIABLE).then(|| "/no/such.pem".to_owned());
        assert!(Trust::from_environment(&named).is_err());
    }

    #[test]
    fn clients_can_be_made_without_anything_installed() {
        let trust = Trust::new(None).unwrap();
        trust.http().unwrap();
        trust.direct_http().unwrap();
        trust.tls().unwrap();
    }
}

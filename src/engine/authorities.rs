//! The certificate authorities that a server's certificate must come from.

use std::fs;

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::Error;

/// Those in the PEM file `root_cert`, or else those that browsers trust.
pub(super) fn roots(root_cert: Option<&str>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let Some(path) = root_cert else {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(store);
    };
    let unusable = |why: String| Error::Settings(format!("--sslrootcert {path}: {why}"));
    let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(format!("not PEM: {error}")))?;
        store
            .add(certificate)
            .map_err(|error| unusable(format!("not a certificate: {error}")))?;
    }
    if store.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".into()));
    }
    Ok(store)
}

//! The certificate authority of the sandbox, made at its start, and one certificate of it for `localhost` and `127.0.0.1`.
//!
//! Both stand as PEM files in the sandbox's folder, so that clients can trust them: `ca.pem`, `server.pem`, `server.key`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Where the files are, and what a server and a client of the sandbox make of them.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// PEM file of the authority; what clients have to trust.
    pub authority: PathBuf,
    /// PEM file of the certificate that all services of the sandbox show.
    pub server: PathBuf,
    /// PEM file of its key, readable by its owner alone.
    pub key: PathBuf,
    /// For services.
    pub serve: Arc<ServerConfig>,
    /// For clients that trust this authority and no other one.
    pub connect: Arc<ClientConfig>,
}

impl Certificates {
    /// Makes an authority and a certificate, and writes both into a folder that exists. Earlier files are replaced.
    ///
    /// # Errors
    /// When a key cannot be made or a file not be written.
    pub fn make(folder: &Path) -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let authority_params = authority_params()?;
        let authority = authority_params.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let server = server_params()?.signed_by(
            &key,
            &Issuer::from_params(&authority_params, &authority_key),
        )?;
        let files = Files::write(
            folder,
            &authority.pem(),
            &server.pem(),
            &key.serialize_pem(),
        )?;
        Ok(Self {
            authority: files.authority,
            server: files.server,
            key: files.key,
            serve: Arc::new(server_config(server.der(), &key)?),
            connect: Arc::new(client_config(authority.der())?),
        })
    }
}

struct Files {
    authority: PathBuf,
    server: PathBuf,
    key: PathBuf,
}

impl Files {
    fn write(folder: &Path, authority: &str, server: &str, key: &str) -> Result<Self> {
        let files = Self {
            authority: folder.join("ca.pem"),
            server: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        write(&files.authority, authority)?;
        write(&files.server, server)?;
        write_for_owner(&files.key, key)?;
        Ok(files)
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Writes a file that only its owner can read, from its first moment on.
///
/// # Errors
/// When the file cannot be written.
pub fn write_for_owner(file: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    // What an earlier sandbox has left may have other rights.
    if file.exists() {
        std::fs::remove_file(file).with_context(|| format!("cannot replace {}", file.display()))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", file.display()))
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "sbm sandbox authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_dates(&mut params)?;
    Ok(params)
}

fn server_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 refuses certificates that do not name the key they are signed with.
    params.use_authority_key_identifier_extension = true;
    set_dates(&mut params)?;
    Ok(params)
}

/// Good from the day before, for clocks that differ, and for less than the 825 days that some clients allow.
fn set_dates(params: &mut CertificateParams) -> Result<()> {
    let today = jiff::Zoned::now().date();
    let from = today.yesterday()?;
    let to = today.checked_add(jiff::Span::new().days(365))?;
    params.not_before = rcgen::date_time_ymd(
        from.year().into(),
        u8::try_from(from.month())?,
        u8::try_from(from.day())?,
    );
    params.not_after = rcgen::date_time_ymd(
        to.year().into(),
        u8::try_from(to.month())?,
        u8::try_from(to.day())?,
    );
    Ok(())
}

fn server_config(certificate: &CertificateDer<'static>, key: &KeyPair) -> Result<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?,
    )
}

fn client_config(authority: &CertificateDer<'static>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

//! Whom we trust: the system's own roots, and what the configuration adds. The server's certificate is always verified;
//! there is no switch for it (the official Python SDK 1.8.4 passes a context that verifies nothing).

use std::{fmt, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem, pem::PemObject},
};

/// Why there is nobody to trust.
#[derive(Debug)]
pub enum TlsError {
    /// The machine has no roots.
    NoRoots(String),
    /// The file of further roots can not be read.
    CaFile(PathBuf, io::Error),
    /// The file of further roots holds no certificate.
    NoCertificate(PathBuf),
}

/// The configuration for every connection: the provider is named here, since a build with none or two of them panics at
/// the first wss:// dial.
///
/// # Errors
/// When there is no root to trust.
///
/// # Panics
/// Never: aws-lc-rs has the protocol versions that are asked of it.
pub fn client_config(ca_file: Option<&PathBuf>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        for certificate in read(path)? {
            roots.add(certificate).map_err(|_| TlsError::NoCertificate(path.clone()))?;
        }
    }
    if roots.is_empty() {
        let reasons: Vec<_> = native.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoRoots(reasons.join(", ")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|error| TlsError::CaFile(path.clone(), error))?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate(path.clone())),
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(reasons) => {
                f.write_str(
                    "this machine trusts no certificate authority: apt install ca-certificates, or set tls.ca_file",
                )?;
                if reasons.is_empty() { Ok(()) } else { write!(f, " ({reasons})") }
            }
            Self::CaFile(path, error) => write!(f, "tls.ca_file {}: {error}", path.display()),
            Self::NoCertificate(path) => {
                write!(f, "tls.ca_file {} holds no PEM certificate (-----BEGIN CERTIFICATE-----)", path.display())
            }
        }
    }
}

impl std::error::Error for TlsError {}

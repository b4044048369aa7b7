//! A certificate for the simulator, made anew at each start and valid nowhere else.

use std::{fmt, sync::Arc};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

/// Names that loopback goes by.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate that signs itself, with its key; a client that trusts it as a root can connect.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, to be handed to clients.
    pub certificate: String,
    /// What the listener needs.
    pub acceptor: TlsAcceptor,
}

/// A certificate that could not be made.
#[derive(Debug)]
pub struct IdentityError(Box<dyn std::error::Error + Send + Sync>);

impl Identity {
    /// A new one, for every name of loopback, and for those of the venue that it is to stand in for.
    ///
    /// # Errors
    /// When the cryptography library can not make one, or a name is none.
    pub fn generate(names: &[String]) -> Result<Self, IdentityError> {
        let key = KeyPair::generate()?;
        let names: Vec<_> = NAMES.map(str::to_owned).iter().chain(names).cloned().collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "tickerd simulator");
        let certificate = params.self_signed(&key)?;
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)?;
        Ok(Self { certificate: certificate.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl From<rcgen::Error> for IdentityError {
    fn from(error: rcgen::Error) -> Self {
        Self(error.into())
    }
}

impl From<rustls::Error> for IdentityError {
    fn from(error: rustls::Error) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no certificate could be made for the simulator: {}", self.0)
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests {
    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_client_that_trusts_it_as_a_root_connects() {
        let stood_in_for = "api.coinbase.com";
        let identity = Identity::generate(&[stood_in_for.to_owned()]).expect("made");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM");
        roots.add(certificate).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        for name in NAMES.into_iter().chain([stood_in_for]) {
            let (near, far) = tokio::io::duplex(1 << 16);
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
            let name = ServerName::try_from(name).expect("a name");
            let (server, client) = tokio::join!(identity.acceptor.accept(near), connector.connect(name, far));
            let (mut server, mut client) = (server.expect("accepted"), client.expect("trusted"));
            let mut word = [0; 2];
            server.write_all(b"hi").await.expect("written");
            server.flush().await.expect("flushed");
            client.read_exact(&mut word).await.expect("read");
            assert_eq!(&word, b"hi");
        }
    }
}

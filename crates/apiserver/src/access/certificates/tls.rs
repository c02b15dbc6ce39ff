//! TLS as the API server speaks it, and who a client is by the certificate that it shows.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::{
        ServerSessionMemoryCache, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{Authority, CertificateError, Issued};

/// Sessions that clients without tickets may resume.
const SESSIONS_MAX: usize = 1024;

/// Judges the certificates that clients show.
///
/// As with kube-apiserver no certificate fails the handshake (its key must be the client's, though): whether it makes
/// the client somebody is decided by [`ClientCertificates::accepts`] afterwards, so that a client with a foreign
/// certificate gets an answer that it understands, and may still show a token.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertificates {
    /// Accepts what `authority` has issued.
    ///
    /// # Errors
    /// If TLS cannot use the authority's certificate.
    pub fn new(authority: &Authority) -> Result<Self, CertificateError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?;
        Ok(Self { verifier })
    }

    /// Whether the certificates of a connection (the client's first) lead to the authority and are valid at `now`.
    pub fn accepts(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        chain.split_first().is_some_and(|(own, intermediates)| {
            self.verifier.verify_client_cert(own, intermediates, now).is_ok()
        })
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// TLS 1.2 and 1.3 with the server's certificate, HTTP/2 before HTTP/1.1, sessions that can be resumed, and clients
/// asked for a certificate.
///
/// # Errors
/// If the certificate and the key do not fit.
pub fn server_config(
    server: &Issued,
    clients: &ClientCertificates,
) -> Result<ServerConfig, CertificateError> {
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(clients.clone()))
        .with_single_cert(vec![server.certificate.clone()], server.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

//! Certificates of a cluster's own: the authority, what the server shows to clients, and what clients show to it.
//!
//! Keys are EC P-256: making all of them takes about a millisecond.

mod der;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{Span, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SigningKey, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub use tls::{ClientCertificates, server_config};

/// How long everything is valid, in years: a cluster for tests must not end by itself.
const VALID_YEARS: i32 = 10;

/// The names by which the API server of every cluster is called, and the first address of its services.
const SERVER_NAMES: [&str; 8] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
    "::1",
    "10.96.0.1",
];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A name or a key that no certificate can have.
    #[error("cannot make a certificate: {0}")]
    Rejected(#[from] rcgen::Error),
    /// The clock stands where certificates have no dates.
    #[error("cannot make a certificate at {0}: the date is out of range")]
    OutOfRange(Timestamp),
    /// What was made cannot be read back.
    #[error("cannot make a certificate: its encoding is broken")]
    Encoding,
    /// TLS refuses what was made.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS refuses the authority.
    #[error("cannot set up TLS: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Issues the certificates of one cluster.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    validity: Validity,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Issued {
    /// What is shown.
    pub certificate: CertificateDer<'static>,
    /// What is kept.
    pub key: PrivateKeyDer<'static>,
}

/// The days from which and until which certificates are valid.
#[derive(Debug, Clone, Copy)]
struct Validity {
    from: jiff::civil::Date,
    until: jiff::civil::Date,
}

impl Authority {
    /// A new authority, valid from the day before `now`, so that clocks may differ.
    ///
    /// # Errors
    /// If there is no randomness for a key, or `now` is out of range.
    pub fn new(now: Timestamp) -> Result<Self, CertificateError> {
        let validity = Validity::from(now)?;
        let mut params = validity.params(Vec::new(), "kubernetes")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?, validity })
    }

    /// The authority's certificate, which clients trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// The authority's certificate as text.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.certificate())
    }

    /// A certificate for the API server, under the names that every cluster's has and `extra` (names and addresses).
    ///
    /// # Errors
    /// An extra name that is none.
    pub fn issue_server(&self, extra: &[String]) -> Result<Issued, CertificateError> {
        let mut names: Vec<String> = SERVER_NAMES.into_iter().map(str::to_owned).collect();
        for name in extra {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut params = self.validity.params(names, "kube-apiserver")?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        Ok(Issued { certificate, key: key_of(&key) })
    }

    /// A certificate by which a client is `user`, a member of `groups`.
    ///
    /// # Errors
    /// If there is no randomness for a key.
    pub fn issue_client(&self, user: &str, groups: &[String]) -> Result<Issued, CertificateError> {
        let mut params = self.validity.params(Vec::new(), user)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        // rcgen knows one organization a certificate; a user may be in many groups.
        let certificate = match groups {
            [] => certificate,
            _ => self.with_subject(&certificate, &der::subject(user, groups))?,
        };
        Ok(Issued { certificate, key: key_of(&key) })
    }

    /// The certificate with another subject, signed anew.
    fn with_subject(
        &self,
        certificate: &[u8],
        subject: &[u8],
    ) -> Result<CertificateDer<'static>, CertificateError> {
        let body = der::with_subject(certificate, subject).ok_or(CertificateError::Encoding)?;
        let signature = self.issuer.key().sign(&body)?;
        let signed = der::signed(certificate, &body, &signature).ok_or(CertificateError::Encoding)?;
        Ok(signed.into())
    }
}

impl Issued {
    /// The certificate as text.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The key as text.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.secret_der())
    }
}

impl Validity {
    fn from(now: Timestamp) -> Result<Self, CertificateError> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let shifted = |span: Span| today.checked_add(span).map_err(|_| CertificateError::OutOfRange(now));
        let validity =
            Self { from: shifted(Span::new().days(-1))?, until: shifted(Span::new().years(VALID_YEARS))? };
        // A certificate can tell the years from 0 to 9999.
        if validity.from.year() < 0 { Err(CertificateError::OutOfRange(now)) } else { Ok(validity) }
    }

    fn params(self, names: Vec<String>, common_name: &str) -> Result<CertificateParams, CertificateError> {
        let day = |date: jiff::civil::Date| {
            date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        let mut params = CertificateParams::new(names)?;
        params.not_before = day(self.from);
        params.not_after = day(self.until);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        Ok(params)
    }
}

fn key_of(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// The text form of DER (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}

//! The user that a client certificate names: its common name, and as groups its organizations.

use std::{collections::BTreeMap, fmt::Write};

use sha2::{Digest, Sha256};
use x509_parser::{
    der_parser::{Oid, oid},
    prelude::{FromDer, X509Certificate},
};

use super::user::{CREDENTIAL_ID, User};

/// The attribute by which a certificate tells the uid of its user.
const UID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);

/// Why a certificate names no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// It tells several uids, or one that is empty or no text.
    #[error("the certificate must tell one uid or none")]
    Uid,
}

/// The user of a certificate (DER), if it has a common name.
///
/// # Errors
/// If it cannot be read.
pub fn user(certificate: &[u8]) -> Result<Option<User>, SubjectError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| SubjectError::Unreadable(error.to_string()))?;
    let subject = parsed.subject();
    let Some(name) = subject.iter_common_name().last().and_then(|name| name.as_str().ok()) else {
        return Ok(None);
    };
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    let uids: Vec<_> = subject.iter_by_oid(&UID).map(|uid| uid.as_str().unwrap_or_default()).collect();
    let uid = match uids.as_slice() {
        [] => "",
        [uid] if !uid.is_empty() => uid,
        _ => return Err(SubjectError::Uid),
    };
    let mut credential = "X509SHA256=".to_owned();
    for byte in Sha256::digest(certificate) {
        let _ = write!(credential, "{byte:02x}");
    }
    Ok(Some(User {
        name: name.to_owned(),
        uid: uid.to_owned(),
        groups: groups.map(str::to_owned).collect(),
        extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![credential])]),
    }))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in names {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_names_the_user() {
        let uid = || DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57683, 2]);
        let bob =
            certificate(&[(DnType::OrganizationName, "devs"), (DnType::CommonName, "bob"), (uid(), "u-1")]);
        let user = user(&bob).unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("bob", "u-1"));
        assert_eq!(user.groups, ["devs"]);
        let credential = &user.extra[CREDENTIAL_ID][0];
        assert_eq!(credential.len(), "X509SHA256=".len() + 64);

        assert_eq!(super::user(&certificate(&[(DnType::OrganizationName, "devs")])), Ok(None));
        assert_eq!(super::user(&certificate(&[(DnType::CommonName, "")])), Ok(None));
        assert_eq!(
            super::user(&certificate(&[(DnType::CommonName, "bob"), (uid(), "")])),
            Err(SubjectError::Uid)
        );
        assert!(matches!(super::user(b"nonsense"), Err(SubjectError::Unreadable(_))));
    }
}

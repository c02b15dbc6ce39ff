//! Handshakes with a client that trusts the authority, as every client does.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    crypto::ring,
    pki_types::{ServerName, UnixTime},
};

use super::*;
use crate::access::authentication::ClientCertificate;

/// TLS looks at the real clock.
fn now() -> (Timestamp, UnixTime) {
    let now = UnixTime::now();
    (Timestamp::from_second(now.as_secs() as i64).unwrap(), now)
}

struct Handshake {
    server: ServerConnection,
    client: ClientConnection,
}

fn shake_hands(
    authority: &Authority,
    client: Option<&Issued>,
    name: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<Handshake, rustls::Error> {
    let clients = ClientCertificates::new(authority).unwrap();
    let server = server_config(&authority.issue_server(&["xebec.local".into()]).unwrap(), &clients).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[version])?
        .with_root_certificates(roots);
    let mut config = match client {
        Some(issued) => {
            config.with_client_auth_cert(vec![issued.certificate.clone()], issued.key.clone_key())?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(Handshake { server, client })
}

#[test]
fn clients_trust_the_server_under_all_of_its_names() {
    let authority = Authority::new(now().0).unwrap();
    for name in SERVER_NAMES.into_iter().chain(["xebec.local"]) {
        let Handshake { server, client } = shake_hands(&authority, None, name, &rustls::version::TLS13)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(server.peer_certificates(), None);
    }
    assert!(shake_hands(&authority, None, "example.com", &rustls::version::TLS13).is_err());
}

#[test]
fn a_client_is_who_its_certificate_says() {
    let (timestamp, now) = now();
    let authority = Authority::new(timestamp).unwrap();
    let clients = ClientCertificates::new(&authority).unwrap();
    let long = "g".repeat(300);
    for groups in [&[][..], &["devs"], &["devs", "ops", "system:masters"], &[&long, "ops"], &["gro\u{fc}p"]] {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let issued = authority.issue_client("zoë", &groups).unwrap();
        for version in rustls::ALL_VERSIONS {
            let Handshake { server, .. } =
                shake_hands(&authority, Some(&issued), "localhost", version).unwrap();
            let chain = server.peer_certificates().unwrap();
            let ClientCertificate::Of(user) = ClientCertificate::of(&clients, Some(chain), now) else {
                panic!("refused: {groups:?}");
            };
            assert_eq!((user.name.as_str(), &user.groups[..groups.len()]), ("zoë", groups.as_slice()));
            assert_eq!(user.groups[groups.len()..], ["system:authenticated"]);
            let credential = &user.extra["authentication.kubernetes.io/credential-id"];
            assert!(credential.len() == 1 && credential[0].starts_with("X509SHA256="), "{credential:?}");
        }
    }
}

#[test]
fn a_foreign_or_expired_certificate_gets_in_as_nobody() {
    let (timestamp, now) = now();
    let authority = Authority::new(timestamp).unwrap();
    let clients = ClientCertificates::new(&authority).unwrap();
    let foreign = Authority::new(timestamp).unwrap().issue_client("bob", &["system:masters".into()]).unwrap();
    let Handshake { server, .. } =
        shake_hands(&authority, Some(&foreign), "localhost", &rustls::version::TLS13).unwrap();
    let of = |chain, now| ClientCertificate::of(&clients, chain, now);
    assert_eq!(of(server.peer_certificates(), now), ClientCertificate::Refused);
    assert_eq!(of(None, now), ClientCertificate::Absent);

    let issued = authority.issue_client("bob", &["devs".into()]).unwrap();
    let chain = [issued.certificate];
    let day = std::time::Duration::from_hours(24);
    let at = |days| UnixTime::since_unix_epoch(day * days + std::time::Duration::from_secs(now.as_secs()));
    assert!(matches!(of(Some(&chain), at(3640)), ClientCertificate::Of(_)));
    assert_eq!(of(Some(&chain), at(3660)), ClientCertificate::Refused);
    let server = authority.issue_server(&[]).unwrap();
    assert_eq!(of(Some(&[server.certificate]), now), ClientCertificate::Refused, "it is for servers");
}

#[test]
fn a_key_that_is_not_the_certificates_fails_the_handshake() {
    let authority = Authority::new(now().0).unwrap();
    let mut stolen = authority.issue_client("bob", &[]).unwrap();
    stolen.key = authority.issue_client("eve", &[]).unwrap().key;
    assert!(shake_hands(&authority, Some(&stolen), "localhost", &rustls::version::TLS13).is_err());
}

#[test]
fn texts_are_pem() {
    let authority = Authority::new(now().0).unwrap();
    let issued = authority.issue_client("bob", &["devs".into()]).unwrap();
    let certificate = issued.certificate_pem();
    assert_eq!(rcgen::KeyPair::from_pem(&issued.key_pem()).unwrap().serialize_der(), issued.key.secret_der());
    let (rest, parsed) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).unwrap();
    assert_eq!((rest, parsed.contents.as_slice()), (&b""[..], issued.certificate.as_ref()));
    assert!(certificate.lines().all(|line| line.len() <= 64));
}

#[test]
fn names_and_times_that_cannot_be_are_errors() {
    let authority = Authority::new(now().0).unwrap();
    assert!(authority.issue_server(&["ü".into()]).is_err());
    assert!(Authority::new(Timestamp::MIN).is_err());
    assert!(Authority::new(Timestamp::MAX).is_err());
}

//! What a server's handshakes leave in memory.

use crate::issuer::{authority, key, leaf};
use crate::memory::{Needles, shortened};
use crate::process::Owner;
use crate::recognizer::Recognizer;
use crate::{client, rsa_needles, server};
use aws_lc_rs::agreement::{ECDH_P256, X25519};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, NamedGroup};
use std::net::TcpStream;
use std::sync::Arc;

/// What rustls derives from shared secrets and leaves in memory that it frees, with tokio-rustls as well as
/// with an engine; by its names for them in key logs.
const LEFT_BY_RUSTLS: [&str; 5] = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
    // TLS 1.2's master secret.
    "CLIENT_RANDOM",
];

/// A CA, and what it issued: a certificate, and its key.
fn identity(
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> (CertificateDer<'static>, CertificateDer<'static>, Vec<u8>) {
    let issuer = rcgen::CertifiedIssuer::self_signed(authority("secrets.test"), key()).expect("a CA");
    let pair = rcgen::KeyPair::generate_for(algorithm).expect("a key");
    let certificate = leaf("localhost", []).signed_by(&pair, &issuer).expect("a certificate");
    (issuer.der().clone(), certificate.der().clone(), pair.serialize_der())
}

/// All clients at the same time: what they are to keep until the server has been looked at.
fn connect_all(port: u16, config: &Arc<ClientConfig>) -> Vec<(ClientConnection, TcpStream)> {
    let connect = |i| {
        let config = config.clone();
        // In this order, which is the server's.
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        std::thread::spawn(move || client::connect(socket, &config, i < server::GOOD))
    };
    let clients: Vec<_> = (0..server::ALL).map(connect).collect();
    clients.into_iter().map(|client| client.join().expect("a client")).collect()
}

/// A server's handshakes: its key lasts, what they agreed on does not.
fn handshakes_leave_nothing(
    algorithm: &'static rcgen::SignatureAlgorithm,
    group: NamedGroup,
    version: &'static rustls::SupportedProtocolVersion,
    private: impl Fn(&[u8]) -> Needles,
) {
    let (ca, certificate, key) = identity(algorithm);
    let identity = [&(certificate.len() as u32).to_le_bytes()[..], &certificate, &key].concat();
    let mut owner = Owner::start("engine", &identity);
    let (private, memory) = (private(&key), owner.memory());
    let config = client::config(&ca, group, version);
    let algorithm = if group == NamedGroup::X25519 { &X25519 } else { &ECDH_P256 };
    let mut recognizer = Recognizer::new(algorithm, Vec::new());
    for engine in ["tokio-rustls", "LocalEngine", "Engine"] {
        let port = owner.says().remove(0);
        let port = u16::from_be_bytes(port[..].try_into().expect("two bytes"));
        let clients = connect_all(port, &config);
        owner.says();
        let known = client::known();
        assert!(known.shared.len() >= server::GOOD, "what the handshakes agreed on is known");
        assert!(!memory.search(&private).is_empty(), "the control: the key is found");
        let mut agreed = Needles::default();
        for (i, shared) in known.shared.iter().enumerate() {
            agreed.bytes(&format!("the shared secret of handshake {i}"), shared);
        }
        let mut derived = Needles::default();
        known.derived.iter().for_each(|(label, secret)| derived.bytes(label, secret));
        recognizer.public.extend(known.shares);
        for stage in ["connections live", "connections are dropped"] {
            let found = memory.search(&agreed);
            assert!(found.is_empty(), "{engine}, {stage}: {}", shortened(&found));
            let found = recognizer.search(&memory);
            assert!(found.is_empty(), "{engine}, {stage}: a private key, {}", shortened(&found));
            if stage == "connections are dropped" {
                let found = memory.search_labels(&derived);
                assert!(found.iter().all(|label| LEFT_BY_RUSTLS.contains(&&**label)), "{engine}: {found:?}");
                assert!(
                    engine != "tokio-rustls" || !found.is_empty(),
                    "rustls leaves nothing any more: say so"
                );
            }
            owner.go_on();
            if stage == "connections live" {
                owner.says();
            }
        }
        drop(clients);
    }
    owner.says();
    let found = memory.search(&private);
    assert!(found.is_empty(), "at the end: {}", shortened(&found));
    owner.go_on();
}

fn rsa_private(der: &[u8]) -> Needles {
    rsa_needles(pkcs8::PrivateKeyInfo::try_from(der).expect("a key").private_key)
}

fn p256_private(der: &[u8]) -> Needles {
    let info = pkcs8::PrivateKeyInfo::try_from(der).expect("a key");
    let mut needles = Needles::default();
    needles.number("d", sec1::EcPrivateKey::try_from(info.private_key).expect("a key").private_key);
    needles
}

/// One test, because what clients know is in one place.
#[test]
fn handshakes_leave() {
    use rustls::version::{TLS12, TLS13};
    handshakes_leave_nothing(&rcgen::PKCS_RSA_SHA256, NamedGroup::X25519, &TLS13, rsa_private);
    handshakes_leave_nothing(&rcgen::PKCS_ECDSA_P256_SHA256, NamedGroup::secp256r1, &TLS13, p256_private);
    handshakes_leave_nothing(&rcgen::PKCS_RSA_SHA256, NamedGroup::secp256r1, &TLS12, rsa_private);
}

//! The parent as a TLS client that keeps what both sides know.

use rustls::crypto::{ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, aws_lc_rs as stock};
use rustls::pki_types::CertificateDer;
use rustls::{
    ClientConfig, ClientConnection, KeyLog, NamedGroup, RootCertStore, Stream, SupportedProtocolVersion,
};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// What the client knows of its handshakes.
#[derive(Default)]
pub(crate) struct Known {
    /// The servers' key shares.
    pub(crate) shares: Vec<Vec<u8>>,
    /// The results of key agreements.
    pub(crate) shared: Vec<Vec<u8>>,
    /// What rustls derives from them: names and secrets.
    pub(crate) derived: Vec<(String, Vec<u8>)>,
}

static KNOWN: Mutex<Known> =
    Mutex::new(Known { shares: Vec::new(), shared: Vec::new(), derived: Vec::new() });

/// What is known since the last call.
pub(crate) fn known() -> Known {
    std::mem::take(&mut *KNOWN.lock().expect("no panic"))
}

/// A key exchange of rustls that tells its results.
#[derive(Debug)]
struct Telling(&'static dyn SupportedKxGroup);

static X25519: Telling = Telling(stock::kx_group::X25519);
static SECP256R1: Telling = Telling(stock::kx_group::SECP256R1);

impl SupportedKxGroup for Telling {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Ok(Box::new(Started(self.0.start()?)))
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }
}

struct Started(Box<dyn ActiveKeyExchange>);

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, rustls::Error> {
        let secret = self.0.complete(share)?;
        let mut known = KNOWN.lock().expect("no panic");
        known.shares.push(share.to_vec());
        known.shared.push(secret.secret_bytes().to_vec());
        Ok(secret)
    }

    fn pub_key(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.0.group()
    }
}

struct Telltale;

impl KeyLog for Telltale {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        KNOWN.lock().expect("no panic").derived.push((label.to_owned(), secret.to_vec()));
    }
}

impl fmt::Debug for Telltale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telltale")
    }
}

pub(crate) fn config(
    ca: &CertificateDer<'static>,
    group: NamedGroup,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let group: &'static dyn SupportedKxGroup = if group == NamedGroup::X25519 { &X25519 } else { &SECP256R1 };
    let provider = CryptoProvider { kx_groups: vec![group], ..stock::default_provider() };
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).expect("a CA");
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]);
    let mut config = builder.expect("a version").with_root_certificates(roots).with_no_client_auth();
    // Every handshake is to have its own secrets.
    config.resumption = rustls::client::Resumption::disabled();
    config.key_log = Arc::new(Telltale);
    Arc::new(config)
}

/// A connection whose handshake has ended and that has sent a byte; `finish` says whether it gets that far,
/// or ends after the server's first flight.
pub(crate) fn connect(
    mut socket: TcpStream,
    config: &Arc<ClientConfig>,
    finish: bool,
) -> (ClientConnection, TcpStream) {
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(config.clone(), name).expect("a client");
    if finish {
        Stream::new(&mut client, &mut socket).write_all(&[42]).expect("a handshake");
        return (client, socket);
    }
    client.write_tls(&mut socket).expect("a flight");
    // Enough to learn the server's share and, in TLS 1.3, what is derived from it.
    while client.is_handshaking() && known_is_empty() {
        assert!(client.read_tls(&mut (&mut socket).take(1 << 14)).expect("an answer") > 0);
        client.process_new_packets().expect("a good answer");
    }
    (client, socket)
}

fn known_is_empty() -> bool {
    KNOWN.lock().expect("no panic").shared.is_empty()
}

//! Our connector: it connects to `openssl s_server` and `gnutls-serv`.

use crate::case::{Case, Group, Kind, Scheme, Side};
use crate::peer::{self, Ended, Peer};
use crate::{TestEngine, gnutls, openssl, run};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_multibuffer::handshake::{Engine, LocalEngine, TlsConnector};
use rustls_multibuffer::provider::{default_provider, kx_group};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::client::TlsStream;

/// A connection to a peer, whatever it is made of.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A program that we connect to, for one connection.
#[derive(Clone, Debug)]
enum ServerProgram {
    /// `openssl s_server`; where OpenSSL is.
    OpenSsl(PathBuf),
    /// `gnutls-serv`; where `unshare` is.
    GnuTls(PathBuf),
}

impl ServerProgram {
    /// `None`, with a notice, when it is not installed.
    fn openssl() -> Option<Self> {
        peer::find("openssl").map(Self::OpenSsl)
    }

    /// `None`, with a notice, when it is not installed, or when it cannot be kept from listening to the
    /// world.
    fn gnutls() -> Option<Self> {
        let needed = ["gnutls-serv", "ip", "bash", "stdbuf"].map(peer::find);
        let unshare = peer::find("unshare")?;
        if needed.iter().any(Option::is_none) {
            return None;
        }
        let can_isolate = gnutls::can_isolate(&unshare);
        if !can_isolate {
            assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "no network namespace for gnutls-serv");
            peer::notice("the system allows no network namespace for gnutls-serv");
        }
        can_isolate.then_some(Self::GnuTls(unshare))
    }

    async fn start(&self, case: Case) -> (Peer, Box<dyn Stream>) {
        match self {
            Self::OpenSsl(openssl) => {
                let (peer, tcp) = openssl::s_server(openssl, case).await;
                (peer, Box::new(tcp))
            }
            Self::GnuTls(unshare) => {
                let (peer, pipes) = gnutls::gnutls_serv(unshare, case);
                (peer, Box::new(pipes))
            }
        }
    }

    /// What comes back for a line.
    fn answer(&self) -> &'static str {
        match self {
            Self::OpenSsl(_) => "senal ni\n",
            Self::GnuTls(_) => "in lanes\n",
        }
    }

    /// What it must print.
    fn reports(&self, case: Case) -> Vec<String> {
        match self {
            Self::OpenSsl(_) => openssl::reports(case, Side::Server),
            Self::GnuTls(_) => gnutls::server_reports(case),
        }
    }

    /// What it prints about a client without the certificate that it demands.
    fn refusal(&self, case: Case) -> &'static str {
        match self {
            Self::OpenSsl(_) => "peer did not return a certificate",
            Self::GnuTls(_) if case.is_tls13() => "Certificate is required",
            Self::GnuTls(_) => "No certificate was found",
        }
    }
}

async fn connect<E: TestEngine>(
    engine: &E,
    config: Arc<ClientConfig>,
    stream: Box<dyn Stream>,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let connector = TlsConnector::new(engine.clone(), config);
    connector.connect("localhost".try_into().unwrap(), stream).await
}

async fn round_trip<E: TestEngine>(
    engine: &E,
    server: &ServerProgram,
    case: Case,
    config: Arc<ClientConfig>,
) {
    let (peer, stream) = server.start(case).await;
    let before = engine.requests();
    let mut tls = match connect(engine, config, stream).await {
        Ok(tls) => BufReader::new(tls),
        Err(e) => panic!("{case:?}: {e}: {:?}", peer.end().await),
    };
    let connection = tls.get_ref().get_ref().1;
    assert_eq!(connection.protocol_version(), Some(case.version.version));
    assert_eq!(connection.negotiated_key_exchange_group().map(|group| group.name()), Some(case.group.name()));
    assert_eq!(engine.requests().since(&before), case.requests(Side::Client), "{case:?}");

    tls.write_all(b"in lanes\n").await.unwrap();
    tls.flush().await.unwrap();
    let mut line = String::new();
    tls.read_line(&mut line).await.unwrap();
    assert_eq!(line, server.answer());
    tls.shutdown().await.unwrap();
    drop(tls);
    let ended: Ended = peer.end().await;
    ended.assert_reports(case, &server.reports(case));
}

async fn every_case<E: TestEngine>(server: Option<ServerProgram>) {
    let Some(server) = server else { return };
    let engine = E::start();
    for case in Case::all() {
        round_trip(&engine, &server, case, case.client_config()).await;
    }
    assert_eq!(engine.stats().failed, 0);
}

#[test]
fn s_server_with_local_engine() {
    run(every_case::<LocalEngine>(ServerProgram::openssl()));
}

#[test]
fn s_server_with_engine() {
    run(every_case::<Engine>(ServerProgram::openssl()));
}

#[test]
fn gnutls_serv_with_local_engine() {
    run(every_case::<LocalEngine>(ServerProgram::gnutls()));
}

#[test]
fn gnutls_serv_with_engine() {
    run(every_case::<Engine>(ServerProgram::gnutls()));
}

#[test]
fn s_server_with_larger_keys() {
    run(async {
        let Some(server) = ServerProgram::openssl() else { return };
        let engine = LocalEngine::start();
        for case in [Kind::Rsa3072, Kind::Rsa4096].into_iter().flat_map(Case::rsa) {
            round_trip(&engine, &server, case, case.client_config()).await;
        }
    });
}

/// Where OpenSSL has no such group, it refuses a client that insists on it.
#[test]
fn s_server_with_the_hybrid_group_or_refused_without() {
    run(async {
        let Some(openssl) = peer::find("openssl") else { return };
        let (engine, case, server) =
            (LocalEngine::start(), Case::hybrid(), ServerProgram::OpenSsl(openssl.clone()));
        if openssl::has_hybrid(&openssl) {
            return round_trip(&engine, &server, case, case.client_config()).await;
        }
        peer::notice("this OpenSSL has no X25519MLKEM768");
        let (peer, stream) = server.start(Case { group: Group::X25519, ..case }).await;
        let refused =
            connect(&engine, case.client_config(), stream).await.err().expect("there is no common group");
        assert!(refused.to_string().contains("HandshakeFailure"), "{refused}");
        let ended = peer.end().await;
        assert!(ended.stderr.contains("no suitable key share"), "{ended:?}");
    });
}

/// A server that does not know the hybrid takes the X25519 share that comes with it, and no second share is
/// made.
#[test]
fn servers_without_the_hybrid_group_take_its_x25519_share() {
    run(async {
        let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
        let provider = Arc::new(CryptoProvider { kx_groups, ..default_provider() });
        let case = Case { group: Group::X25519, scheme: Scheme::P256, ..Case::hybrid() };
        let engine = LocalEngine::start();
        for server in [ServerProgram::openssl(), ServerProgram::gnutls()].into_iter().flatten() {
            round_trip(&engine, &server, case, case.client_config_with(provider.clone())).await;
        }
    });
}

/// How a client without the demanded certificate fares, under every version, and what it is told.
async fn refused_without_certificate(server: Option<ServerProgram>, tls13: &str, tls12: &str) {
    let Some(server) = server else { return };
    let engine = LocalEngine::start();
    for case in Case::all().filter(|case| case.client_auth) {
        let (peer, stream) = server.start(case).await;
        let without = Case { client_auth: false, ..case };
        // In TLS 1.3 the refusal arrives after the client believes itself connected.
        let refused = match connect(&engine, without.client_config(), stream).await {
            Ok(tls) => BufReader::new(tls).read_line(&mut String::new()).await.unwrap_err(),
            Err(refused) => refused,
        };
        let expected = if case.is_tls13() { tls13 } else { tls12 };
        let ended = peer.end().await;
        assert!(refused.to_string().contains(expected), "{case:?}: {refused}: {ended:?}");
        assert!(ended.stderr.contains(server.refusal(case)), "{case:?}: {ended:?}");
    }
    assert_eq!(engine.stats().live_fibers, 0);
}

#[test]
fn s_server_that_demands_a_certificate_refuses_us_without() {
    run(refused_without_certificate(ServerProgram::openssl(), "CertificateRequired", "HandshakeFailure"));
}

#[test]
fn gnutls_serv_that_demands_a_certificate_refuses_us_without() {
    run(refused_without_certificate(ServerProgram::gnutls(), "CertificateRequired", "DecodeError"));
}

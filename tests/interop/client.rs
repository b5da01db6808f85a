//! Our connector: it connects to `openssl s_server`.

use crate::peer::{self, Ended, Peer};
use crate::pki::PKI;
use crate::{Case, TestEngine, run};
use rustls_multibuffer::handshake::{Engine, LocalEngine, TlsConnector};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Starts `s_server` for one connection, and returns its port. It sends every line back reversed.
async fn s_server(openssl: &std::path::Path, case: Case) -> (Peer, u16) {
    let version = if case.is_tls13() { "-tls1_3" } else { "-tls1_2" };
    let sigalgs = case.scheme.sigalgs();
    let mut args = peer::words(&format!(
        "s_server -accept 127.0.0.1:0 -naccept 1 -rev {version} -sigalgs {sigalgs} -client_sigalgs {sigalgs}"
    ));
    let server = &PKI.servers[0];
    args.extend(["-cert".into(), server.cert_file.clone(), "-key".into(), server.key_file.clone()]);
    if case.client_auth {
        args.extend(peer::words("-Verify 1 -verify_return_error -CAfile"));
        args.push(PKI.ca_file.clone());
    }
    let mut peer = Peer::start(openssl, &args);
    let line = peer.hear("ACCEPT").await;
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    (peer, port.expect("s_server tells its port"))
}

async fn connect<E: TestEngine>(engine: &E, case: Case, port: u16) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = TlsConnector::new(engine.clone(), case.client_config());
    connector.connect("localhost".try_into().unwrap(), tcp).await
}

async fn s_server_round_trip<E: TestEngine>(engine: &E, case: Case) {
    let Some(openssl) = peer::find("openssl") else { return };
    let (peer, port) = s_server(&openssl, case).await;
    let before = engine.signatures();
    let mut tls = BufReader::new(connect(engine, case, port).await.unwrap());
    assert_eq!(tls.get_ref().get_ref().1.protocol_version(), Some(case.version.version));
    let signatures = engine.signatures() - before;
    assert_eq!(signatures, u64::from(case.client_auth), "a client signs only for its certificate");

    tls.write_all(b"in lanes\n").await.unwrap();
    tls.flush().await.unwrap();
    let mut line = String::new();
    tls.read_line(&mut line).await.unwrap();
    assert_eq!(line, "senal ni\n");
    tls.shutdown().await.unwrap();
    drop(tls);
    check(case, &peer.end().await);
}

fn check(case: Case, ended: &Ended) {
    assert!(ended.status.success(), "{case:?}: {ended:?}");
    let version = if case.is_tls13() { "Protocol version: TLSv1.3" } else { "Protocol version: TLSv1.2" };
    let mut wanted = vec![version];
    if case.client_auth {
        wanted.extend(["Verification: OK", case.scheme.signature_type()]);
    }
    for wanted in wanted {
        assert!(ended.stderr.contains(wanted), "{case:?}: no {wanted:?} in {ended:?}");
    }
}

async fn every_case<E: TestEngine>() {
    let engine = E::start();
    for case in Case::all() {
        s_server_round_trip(&engine, case).await;
    }
}

#[test]
fn s_server_with_local_engine() {
    run(every_case::<LocalEngine>());
}

#[test]
fn s_server_with_engine() {
    run(every_case::<Engine>());
}

#[test]
fn s_server_that_demands_a_certificate_refuses_us_without() {
    run(async {
        let Some(openssl) = peer::find("openssl") else { return };
        let engine = LocalEngine::start();
        for case in Case::all().filter(|case| case.client_auth) {
            let (peer, port) = s_server(&openssl, case).await;
            let without = Case { client_auth: false, ..case };
            // In TLS 1.3 the refusal arrives after the client believes itself connected.
            let refused = match connect(&engine, without, port).await {
                Ok(tls) => BufReader::new(tls).read_line(&mut String::new()).await.unwrap_err(),
                Err(refused) => refused,
            };
            let expected = if case.is_tls13() { "CertificateRequired" } else { "HandshakeFailure" };
            assert!(refused.to_string().contains(expected), "{case:?}: {refused}");
            let ended = peer.end().await;
            assert!(ended.stderr.contains("peer did not return a certificate"), "{case:?}: {ended:?}");
        }
        assert_eq!(engine.stats().live_fibers, 0);
    });
}

//! Our acceptor: `openssl s_client` and curl connect to it.

use crate::peer::{self, Ended, Peer};
use crate::pki::{Identity, PKI};
use crate::{Case, Scheme, TestEngine, run};
use rustls_multibuffer::handshake::{Engine, LocalEngine, TlsAcceptor};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// Starts a program that connects to a new port, and accepts it.
async fn accept<E: TestEngine>(
    engine: &E,
    case: Case,
    identity: &Identity,
    start: impl FnOnce(u16) -> Peer,
) -> (io::Result<TlsStream<TcpStream>>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = start(listener.local_addr().unwrap().port());
    let (tcp, _) = listener.accept().await.unwrap();
    let acceptor = TlsAcceptor::new(engine.clone(), case.server_config(identity));
    (acceptor.accept(tcp).await, peer)
}

fn s_client(case: Case, with_certificate: bool, port: u16) -> Vec<String> {
    let version = if case.is_tls13() { "-tls1_3" } else { "-tls1_2" };
    let sigalgs = case.scheme.sigalgs();
    let mut args = peer::words(&format!(
        "s_client -brief -connect 127.0.0.1:{port} -servername localhost -verify_hostname localhost \
         -verify_return_error {version} -sigalgs {sigalgs} -alpn http/1.1"
    ));
    args.extend(["-CAfile".into(), PKI.ca_file.clone()]);
    if with_certificate {
        let client = &PKI.client;
        args.extend(["-cert".into(), client.cert_file.clone(), "-key".into(), client.key_file.clone()]);
    }
    args
}

fn assert_agreed(case: Case, tls: &TlsStream<TcpStream>) {
    let connection = tls.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(case.version.version));
    assert_eq!(connection.peer_certificates().is_some(), case.client_auth, "{case:?}");
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
}

async fn s_client_round_trip<E: TestEngine>(engine: &E, case: Case, identity: &Identity) {
    let Some(openssl) = peer::find("openssl") else { return };
    let before = engine.signatures();
    let start = |port| Peer::start(&openssl, &s_client(case, case.client_auth, port));
    let (tls, mut peer) = accept(engine, case, identity, start).await;
    let mut tls = BufReader::new(tls.unwrap());
    assert_agreed(case, tls.get_ref());
    assert_eq!(engine.signatures() - before, 1, "the server's signature did not go through the queue");

    peer.say("greetings from openssl\n").await;
    let mut line = String::new();
    tls.read_line(&mut line).await.unwrap();
    assert_eq!(line, "greetings from openssl\n");
    tls.write_all(b"and back\n").await.unwrap();
    tls.flush().await.unwrap();
    assert_eq!(peer.hear("back").await, "and back\n");

    let (ended, rest) = tokio::join!(peer.end(), tls.read_line(&mut line));
    assert_eq!(rest.unwrap(), 0, "s_client says goodbye and nothing else");
    assert!(ended.status.success(), "{case:?}: {ended:?}");
    let version = if case.is_tls13() { "Protocol version: TLSv1.3" } else { "Protocol version: TLSv1.2" };
    for wanted in [version, "Verification: OK", case.scheme.signature_type()] {
        assert!(ended.stderr.contains(wanted), "{case:?}: no {wanted:?} in {ended:?}");
    }
}

async fn every_case<E: TestEngine>() {
    let engine = E::start();
    for case in Case::all() {
        s_client_round_trip(&engine, case, &PKI.servers[0]).await;
    }
}

#[test]
fn s_client_with_local_engine() {
    run(every_case::<LocalEngine>());
}

#[test]
fn s_client_with_engine() {
    run(every_case::<Engine>());
}

#[test]
fn s_client_with_larger_keys() {
    run(async {
        let engine = LocalEngine::start();
        for identity in &PKI.servers[1..] {
            for case in Case::all().filter(|case| !case.client_auth) {
                s_client_round_trip(&engine, case, identity).await;
            }
        }
    });
}

#[test]
fn s_client_without_the_demanded_certificate_is_refused() {
    run(async {
        let engine = LocalEngine::start();
        let Some(openssl) = peer::find("openssl") else { return };
        for case in Case::all().filter(|case| case.client_auth) {
            let start = |port| Peer::start(&openssl, &s_client(case, false, port));
            let (tls, peer) = accept(&engine, case, &PKI.servers[0], start).await;
            let refused = tls.expect_err("a client without a certificate was let in");
            assert!(refused.to_string().contains("peer sent no certificates"), "{refused}");
            let ended: Ended = peer.end().await;
            assert!(ended.stderr.contains("alert"), "{case:?}: the client was not told: {ended:?}");
        }
        assert_eq!(engine.stats().live_fibers, 0);
    });
}

async fn curl_request<E: TestEngine>(engine: &E, case: Case) {
    let Some(curl) = peer::find("curl") else { return };
    let version = if case.is_tls13() { "--tlsv1.3 --tls-max 1.3" } else { "--tlsv1.2 --tls-max 1.2" };
    let start = |port: u16| {
        let mut args = peer::words(&format!(
            "--disable --silent --show-error --max-time 20 --noproxy * {version} --http1.1 \
             --resolve localhost:{port}:127.0.0.1 --write-out =%{{http_code}} https://localhost:{port}/"
        ));
        args.extend(["--cacert".into(), PKI.ca_file.clone()]);
        if case.client_auth {
            let client = &PKI.client;
            args.extend(["--cert".into(), client.cert_file.clone(), "--key".into(), client.key_file.clone()]);
        }
        Peer::start(&curl, &args)
    };
    let (tls, peer) = accept(engine, case, &PKI.servers[0], start).await;
    let mut tls = tls.unwrap();
    assert_agreed(case, &tls);
    answer_http(&mut tls).await;
    let ended = peer.end().await;
    assert!(ended.status.success(), "{case:?}: {ended:?}");
    assert_eq!(ended.stdout, "in lanes=200", "{case:?}: {ended:?}");
}

/// Reads one request and answers it.
async fn answer_http(tls: &mut TlsStream<TcpStream>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(tls.read_u8().await.unwrap());
    }
    assert!(request.starts_with(b"GET / HTTP/1.1\r\n"));
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nin lanes";
    tls.write_all(answer.as_bytes()).await.unwrap();
    tls.shutdown().await.unwrap();
}

#[test]
fn curl_with_both_engines() {
    run(async {
        let (local, threads) = (LocalEngine::start(), Engine::start());
        // curl chooses the signature scheme itself.
        for case in Case::all().filter(|case| case.scheme == Scheme::Pss) {
            curl_request(&local, case).await;
            curl_request(&threads, case).await;
        }
    });
}

//! Our acceptor: `openssl s_client`, `gnutls-cli` and curl connect to it.

use crate::case::{Case, Group, Kind, Scheme, Side};
use crate::gnutls::GNUTLS_CLI;
use crate::openssl::{self, S_CLIENT};
use crate::peer::{self, Ended, Peer};
use crate::pki::PKI;
use crate::{TestEngine, run};
use rustls_multibuffer::handshake::{Engine, LocalEngine, TlsAcceptor};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// A program that connects to us, sends its standard input and prints what comes back.
pub(crate) struct ClientProgram {
    pub(crate) program: &'static str,
    /// Its arguments: for this case, with or without a certificate, to this port.
    pub(crate) args: fn(Case, bool, u16) -> Vec<String>,
    /// What it must print about a good handshake.
    pub(crate) reports: fn(Case) -> Vec<String>,
}

/// Starts a program that connects to a new port, and accepts it.
async fn accept<E: TestEngine>(
    engine: &E,
    case: Case,
    start: impl FnOnce(u16) -> Peer,
) -> (io::Result<TlsStream<TcpStream>>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = start(listener.local_addr().unwrap().port());
    let (tcp, _) = listener.accept().await.unwrap();
    let acceptor = TlsAcceptor::new(engine.clone(), case.server_config());
    (acceptor.accept(tcp).await, peer)
}

fn assert_agreed(case: Case, tls: &TlsStream<TcpStream>) {
    let connection = tls.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(case.version.version));
    assert_eq!(connection.negotiated_key_exchange_group().map(|group| group.name()), Some(case.group.name()));
    assert_eq!(connection.peer_certificates().is_some(), case.client_auth, "{case:?}");
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
}

async fn round_trip<E: TestEngine>(engine: &E, case: Case, client: &ClientProgram) {
    let Some(program) = peer::find(client.program) else { return };
    let before = engine.requests();
    let start = |port| Peer::start(&program, &(client.args)(case, case.client_auth, port));
    let (tls, mut peer) = accept(engine, case, start).await;
    let mut tls = match tls {
        Ok(tls) => BufReader::new(tls),
        Err(e) => panic!("{case:?}: {e}: {:?}", peer.end().await),
    };
    assert_agreed(case, tls.get_ref());
    assert_eq!(engine.requests().since(&before), case.requests(Side::Server), "{case:?}");

    peer.say("greetings from a client\n").await;
    let mut line = String::new();
    tls.read_line(&mut line).await.unwrap();
    assert_eq!(line, "greetings from a client\n");
    tls.write_all(b"and back\n").await.unwrap();
    tls.flush().await.unwrap();
    assert_eq!(peer.hear("back").await, "and back\n");

    let goodbye = async {
        let rest = tls.read_line(&mut line).await;
        // gnutls-cli waits for ours.
        tls.shutdown().await.unwrap();
        rest
    };
    let (ended, rest) = tokio::join!(peer.end(), goodbye);
    assert_eq!(rest.unwrap(), 0, "the client says goodbye and nothing else");
    ended.assert_reports(case, &(client.reports)(case));
}

async fn every_case<E: TestEngine>(client: &ClientProgram) {
    let engine = E::start();
    for case in Case::all() {
        round_trip(&engine, case, client).await;
    }
    assert_eq!(engine.stats().failed, 0);
}

#[test]
fn s_client_with_local_engine() {
    run(every_case::<LocalEngine>(&S_CLIENT));
}

#[test]
fn s_client_with_engine() {
    run(every_case::<Engine>(&S_CLIENT));
}

#[test]
fn gnutls_cli_with_local_engine() {
    run(every_case::<LocalEngine>(&GNUTLS_CLI));
}

#[test]
fn gnutls_cli_with_engine() {
    run(every_case::<Engine>(&GNUTLS_CLI));
}

#[test]
fn s_client_with_larger_keys() {
    run(async {
        let engine = LocalEngine::start();
        for case in [Kind::Rsa3072, Kind::Rsa4096].into_iter().flat_map(Case::rsa) {
            round_trip(&engine, case, &S_CLIENT).await;
        }
    });
}

/// Where OpenSSL has no such group, a server that insists on it refuses.
#[test]
fn s_client_with_the_hybrid_group_or_refused_without() {
    run(async {
        let Some(openssl) = peer::find("openssl") else { return };
        let engine = LocalEngine::start();
        if openssl::has_hybrid(&openssl) {
            return round_trip(&engine, Case::hybrid(), &S_CLIENT).await;
        }
        peer::notice("this OpenSSL has no X25519MLKEM768");
        let without = Case { group: Group::X25519, ..Case::hybrid() };
        let start = |port| Peer::start(&openssl, &(S_CLIENT.args)(without, true, port));
        let (tls, peer) = accept(&engine, Case::hybrid(), start).await;
        let refused = tls.expect_err("a client without the group was let in");
        assert!(refused.to_string().contains("NoKxGroupsInCommon"), "{refused}");
        let ended = peer.end().await;
        assert!(ended.stderr.contains("alert handshake failure"), "{ended:?}");
    });
}

/// The clients are told, too: their last output has an alert.
async fn refuse_without_certificate(client: &ClientProgram) {
    let engine = LocalEngine::start();
    let Some(program) = peer::find(client.program) else { return };
    for case in Case::all().filter(|case| case.client_auth) {
        let start = |port| Peer::start(&program, &(client.args)(case, false, port));
        let (tls, peer) = accept(&engine, case, start).await;
        let refused = tls.expect_err("a client without a certificate was let in");
        assert!(refused.to_string().contains("peer sent no certificates"), "{refused}");
        let ended: Ended = peer.end().await;
        let told = [&ended.stdout, &ended.stderr].iter().any(|text| text.to_lowercase().contains("alert"));
        assert!(told, "{case:?}: the client was not told: {ended:?}");
    }
    assert_eq!(engine.stats().live_fibers, 0);
}

#[test]
fn s_client_without_the_demanded_certificate_is_refused() {
    run(refuse_without_certificate(&S_CLIENT));
}

#[test]
fn gnutls_cli_without_the_demanded_certificate_is_refused() {
    run(refuse_without_certificate(&GNUTLS_CLI));
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
            let client = PKI.identity(case.kind);
            args.extend(["--cert".into(), client.cert_file.clone(), "--key".into(), client.key_file.clone()]);
        }
        Peer::start(&curl, &args)
    };
    let before = engine.requests();
    let (tls, peer) = accept(engine, case, start).await;
    let mut tls = match tls {
        Ok(tls) => tls,
        Err(e) => panic!("{case:?}: {e}: {:?}", peer.end().await),
    };
    assert_agreed(case, &tls);
    assert_eq!(engine.requests().since(&before), case.requests(Side::Server), "{case:?}");
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
        for case in Case::all().filter(|case| case.scheme != Scheme::Pkcs1) {
            curl_request(&local, case).await;
            curl_request(&threads, case).await;
        }
    });
}

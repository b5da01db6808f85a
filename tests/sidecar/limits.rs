//! More than there is room for.

use crate::pki::connect;
use crate::support::{echo_application, expect_echo, inbound, inbound_home, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[test]
fn more_connections_than_allowed_are_closed_and_counted() {
    run(async {
        let inbound = inbound(echo_application().await, "limits: {max_connections: 2}", "");
        let (mut first, mut second) = (inbound.connect().await, inbound.connect().await);
        expect_echo(&mut first, "a").await;
        expect_echo(&mut second, "b").await;
        let mut third = TcpStream::connect(inbound.address).await.unwrap();
        assert!(third.read_u8().await.is_err(), "closed");
        let overflows = "mtls_sidecar_overflows_total";
        assert_eq!(inbound.sidecar.metric(overflows, &["max_connections"]), 1.0);
        assert_eq!(inbound.sidecar.metric(overflows, &["max_pending"]), 0.0);
        drop(first);
        let active = || inbound.sidecar.metric("mtls_sidecar_connections_active", &[]) < 2.0;
        inbound.sidecar.until("there is room", active);
        expect_echo(&mut inbound.connect().await, "c").await;
    });
}

#[test]
fn a_thousand_silent_clients_are_timed_out() {
    run(async {
        let options = "timeouts: {handshake: 20s}, limits: {max_connections: 2000, max_pending: 990}";
        let inbound = inbound(echo_application().await, options, "");
        let mut silent = Vec::new();
        for _ in 0..1000 {
            silent.push(TcpStream::connect(inbound.address).await.unwrap());
        }
        let sidecar = &inbound.sidecar;
        sidecar.until_metric("mtls_sidecar_connections_total", &[], 1000.0);
        let overflows = sidecar.metric("mtls_sidecar_overflows_total", &["max_pending"]);
        assert!(overflows >= 10.0, "{overflows}");
        sidecar.until_metric("mtls_sidecar_handshake_failures_total", &["timed_out"], 1000.0 - overflows);
        for mut stream in silent {
            // The end, or a reset.
            assert!(stream.read_u8().await.is_err());
        }
        assert_eq!(sidecar.metric("mtls_sidecar_connections_pending", &[]), 0.0);
        expect_echo(&mut inbound.connect().await, "there is room again").await;
    });
}

#[test]
fn strangers_keep_nobody_out() {
    run(async {
        let inbound = inbound(echo_application().await, "limits: {max_pending: 40}", "concurrency: 2");
        let sidecar = &inbound.sidecar;
        let mut established = inbound.connect().await;
        expect_echo(&mut established, "before").await;
        let mut connections = 1.0;
        // Nothing, something that is no whole record, and a whole one that is no whole handshake.
        let hello = client_hello();
        for first in [&b""[..], b"\x16\x03", &hello] {
            let mut strangers = Vec::new();
            for _ in 0..60 {
                let mut stranger = TcpStream::connect(inbound.address).await.unwrap();
                stranger.write_all(first).await.unwrap();
                strangers.push(stranger);
            }
            connections += 60.0;
            sidecar.until_metric("mtls_sidecar_connections_total", &[], connections);
            for _ in 0..3 {
                expect_echo(&mut inbound.connect().await, "let in").await;
                connections += 1.0;
            }
            expect_echo(&mut established, "not cut").await;
        }
        sidecar.until_metric("mtls_sidecar_connections_ended_total", &["evicted"], 60.0);
        assert_eq!(sidecar.metric("mtls_sidecar_connections_ended_total", &["overflow"]), 0.0);
        assert!(sidecar.metric("mtls_sidecar_overflows_total", &["max_pending"]) >= 60.0);
        let line = sidecar.until_logged(|line| line["limit"] == "max_pending");
        assert_eq!((&line["level"], &line["listener"]), (&"warn".into(), &"in".into()), "{line}");
        sidecar.until_logged(|line| line["result"] == "evicted");
    });
}

/// What a TLS client sends first.
fn client_hello() -> Vec<u8> {
    let stranger = crate::pki::Authority::new().client(None);
    let name = rustls::pki_types::ServerName::try_from("server.test").unwrap();
    let mut client = rustls::ClientConnection::new(stranger.config().clone(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn without_free_descriptors_it_waits_for_some() {
    run(async {
        let (authority, home) = inbound_home(echo_application().await, "", "concurrency: 1");
        let sidecar = home.launch(&["sh", "-c", "ulimit -n 60 && exec \"$@\"", "sh"]);
        sidecar.wait_until_ready();
        let address = sidecar.address("in");
        let mut hoard = Vec::new();
        for _ in 0..80 {
            hoard.push(TcpStream::connect(address).await.unwrap());
        }
        // The admin endpoint has no descriptors either: the log tells.
        sidecar.until_logged(|line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("not accepting: file_descriptors"))
        });
        assert!(sidecar.is_running());
        drop(hoard);
        let client = authority.client(Some(&authority.issue("client")));
        let mut stream = connect(&client, "server", address).await.unwrap();
        expect_echo(&mut stream, "after the flood").await;
        sidecar.until("the endpoint answers", || sidecar.try_http("GET", "/ready").is_some());
        assert!(sidecar.metric("mtls_sidecar_accept_errors_total", &["file_descriptors"]) >= 1.0);
    });
}

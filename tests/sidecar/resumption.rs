//! Sessions that are resumed, by whichever worker.

use crate::pki::{connect, write_identity};
use crate::restarting::restart;
use crate::support::{Inbound, echo_application, expect_echo, inbound, outbound, run};
use rustls::HandshakeKind;
use rustls::client::Resumption;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A stock client with sessions.
fn client(inbound: &Inbound) -> TlsConnector {
    let client = inbound.authority.client(Some(&inbound.client));
    let mut config = (**client.config()).clone();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config).into()
}

async fn is_resumed(client: &TlsConnector, inbound: &Inbound) -> bool {
    let mut stream = connect(client, "server", inbound.address).await.unwrap();
    expect_echo(&mut stream, "with a session or without").await;
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn all_workers_share_sessions_until_the_identity_is_rotated_or_the_process_restarts() {
    run(async {
        let inbound = inbound(echo_application().await, "resumption: true", "concurrency: 2");
        let client = client(&inbound);
        assert!(!is_resumed(&client, &inbound).await);
        // The system spreads connections over the workers.
        for i in 0..20 {
            assert!(is_resumed(&client, &inbound).await, "{i}");
        }
        let renewed = inbound.authority.issue("server");
        write_identity(&inbound.sidecar.home.dir, &renewed, &inbound.authority);
        inbound.sidecar.until_metric("spiffe_generation", &["default"], 2.0);
        assert!(!is_resumed(&client, &inbound).await);
        assert!(is_resumed(&client, &inbound).await);
        restart(&inbound);
        assert!(!is_resumed(&client, &inbound).await);
        assert!(is_resumed(&client, &inbound).await);
        inbound.sidecar.until_metric("spiffe_handshakes_resumed_total", &["server"], 22.0);
        let refused = ["server", "unknown"];
        inbound.sidecar.until_metric("spiffe_resumptions_refused_total", &refused, 2.0);
        assert_eq!(inbound.sidecar.metric("mtls_sidecar_handshake_failures_total", &[]), 0.0);
    });
}

#[test]
fn sessions_are_not_resumed_unless_the_listener_says_so() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let client = client(&inbound);
        for _ in 0..3 {
            assert!(!is_resumed(&client, &inbound).await);
        }
    });
}

#[test]
fn a_pair_resumes_its_sessions() {
    run(async {
        let inbound = inbound(echo_application().await, "resumption: true", "");
        let (out, address) = outbound(&inbound.authority, inbound.address, ", resumption: true");
        for i in 0..10 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            expect_echo(&mut stream, &i.to_string()).await;
        }
        out.until_metric("spiffe_handshakes_resumed_total", &["client"], 9.0);
        inbound.sidecar.until_metric("spiffe_handshakes_resumed_total", &["server"], 9.0);
        for sidecar in [&out, &inbound.sidecar] {
            let line = sidecar.until_logged(|line| line["target"] == *"access");
            let peer = if line["listener"] == "in" { "client" } else { "server" };
            assert_eq!(line["peer"], format!("spiffe://mesh.example/{peer}"), "{line}");
        }
    });
}

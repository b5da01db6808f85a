//! Identities that rotate under load.

use crate::pki::{connect, write_identity};
use crate::support::{echo_application, expect_echo, inbound, run};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

#[test]
fn no_handshake_fails_while_files_rotate() {
    const ROTATIONS: u32 = 12;
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let client = inbound.authority.client(Some(&inbound.client));
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let (client, stop, done, address) = (client.clone(), stop.clone(), done.clone(), inbound.address);
            clients.push(tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let mut stream = connect(&client, "server", address).await.unwrap();
                    expect_echo(&mut stream, "during a rotation").await;
                    done.fetch_add(1, Relaxed);
                }
            }));
        }
        let mut long = inbound.connect().await;
        for generation in 2..2 + ROTATIONS {
            let renewed = inbound.authority.issue("server");
            write_identity(&inbound.sidecar.home.dir, &renewed, &inbound.authority);
            inbound.sidecar.until_metric("spiffe_generation", &["default"], f64::from(generation));
            let before = done.load(Relaxed);
            inbound.sidecar.until("handshakes go on", || done.load(Relaxed) > before + 4);
        }
        stop.store(true, Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        expect_echo(&mut long, "from before the first rotation").await;
        assert_eq!(inbound.sidecar.metric("mtls_sidecar_handshake_failures_total", &[]), 0.0);
        assert_eq!(inbound.sidecar.metric("spiffe_updates_total", &["ok"]), f64::from(1 + ROTATIONS));
    });
}

//! Handshakes go on while everything rotates.

use crate::run;
use crate::support::{Folder, Kind, Server, address, authority, builder, domain, eventually, id};
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity, SdsSource, WorkloadApiSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) fn engine() -> Engine {
    Engine::new(EngineConfig::default().threads(1).pin(false)).expect("threads can be started")
}

/// Both ends of one connection.
#[derive(Clone)]
struct Ends {
    acceptor: Acceptor<Engine>,
    connector: Connector<Engine>,
}

impl Ends {
    fn new(engine: &Engine, server: &Identity, client: &Identity) -> Self {
        Self {
            acceptor: Acceptor::new(engine.clone(), server, Authorizer::exactly(id("client"))),
            connector: Connector::new(engine.clone(), client, Authorizer::exactly(id("server"))),
        }
    }

    /// One handshake, and one byte each way.
    async fn meet(&self) -> std::io::Result<()> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("server.example.org").unwrap();
        let server = async {
            let (mut stream, connection) = self.acceptor.accept(near).await?;
            assert_eq!(connection.peer_id(), &id("client"));
            let byte = stream.read_u8().await?;
            stream.write_u8(byte + 1).await?;
            stream.flush().await
        };
        let client = async {
            let (mut stream, connection) = self.connector.connect(name, far).await?;
            assert_eq!(connection.peer_id(), &id("server"));
            stream.write_u8(41).await?;
            stream.flush().await?;
            assert_eq!(stream.read_u8().await?, 42);
            Ok(())
        };
        tokio::try_join!(server, client).map(|_| ())
    }
}

/// Rotates leaves 60 times, with 6 CA rotations among them, while four tasks shake hands.
async fn rotate_under_load(kind: Kind) {
    let (authority, folder) = (authority(&["server", "client"]), Folder::new());
    let identity = |name: &str| {
        let path = folder.join(name);
        let server = Server::start(kind, &authority, &path, &[id(name)]);
        let identity = match kind {
            Kind::WorkloadApi => builder().start(WorkloadApiSource::new(&address(&path)).unwrap()),
            Kind::Sds => builder().start(SdsSource::new(&address(&path)).unwrap()),
        };
        (server, identity)
    };
    let ((server_feed, server), (client_feed, client)) = (identity("server"), identity("client"));
    server.ready().await;
    client.ready().await;
    let ends = Ends::new(&engine(), &server, &client);
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (ends, stop, done) = (ends.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    ends.meet().await.expect("no handshake fails because something rotates");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let both_have = |count: usize| {
        let has =
            |identity: &Identity| identity.current().unwrap().roots(&domain("example.org")).count() == count;
        has(&server) && has(&client)
    };
    for rotation in 1..=60_usize {
        if rotation % 10 == 0 {
            authority.rotate_ca().unwrap();
            // The time of announcement: in production hours, here until everybody has heard of it.
            eventually("both know the next CA", || both_have(1 + rotation / 10)).await;
            authority.use_announced_ca().unwrap();
        } else {
            authority.rotate_svid(&id("server")).unwrap();
            authority.rotate_svid(&id("client")).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 100, "{kind:?}: only {done:?} handshakes");
    for (identity, feed) in [(&server, server_feed), (&client, client_feed)] {
        let health = identity.health();
        assert_eq!(health.refused, 0, "{kind:?}: {:?}", health.last_refusal);
        assert!(health.generation > 30, "{kind:?}: {}", health.generation);
        assert!(feed.refusals().is_empty());
    }
}

#[test]
fn no_handshake_fails_while_the_workload_api_rotates() {
    run(rotate_under_load(Kind::WorkloadApi));
}

#[test]
fn no_handshake_fails_while_sds_rotates() {
    run(rotate_under_load(Kind::Sds));
}

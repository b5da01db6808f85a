//! Handshakes go on while everything rotates.

use crate::run;
use crate::support::{Folder, Kind, Server, address, authority, builder, eventually, id, trusts};
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity, SdsSource, WorkloadApiSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) fn engine() -> Engine {
    engine_of(1)
}

fn engine_of(threads: usize) -> Engine {
    Engine::new(EngineConfig::default().threads(threads).pin(false)).expect("threads can be started")
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

/// How often leaves and, among these times, the CA rotate; between two rotations every task finishes so many
/// `handshakes`.
struct Plan {
    rotations: usize,
    leaves_per_ca: usize,
    handshakes: u64,
}

const BRIEF: Plan = Plan { rotations: 60, leaves_per_ca: 10, handshakes: 1 };
const LONG: Plan = Plan { rotations: 500, leaves_per_ca: 50, handshakes: 10 };

/// Rotates both sides while eight tasks shake hands on two engine threads.
async fn rotate_under_load(kind: Kind, plan: Plan) {
    let names = ["server", "client"];
    let (authority, folder) = (authority(&names), Folder::new());
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
    let ends = Ends::new(&engine_of(2), &server, &client);
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (ends, stop, done) = (ends.clone(), stop.clone(), Arc::new(AtomicU64::new(0)));
            let count = done.clone();
            let task = tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    ends.meet().await.expect("no handshake fails because something rotates");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
            (task, done)
        })
        .collect();
    // So many more of every task: what was on its way has ended then.
    let more = async |handshakes: u64| {
        let begun: Vec<_> = tasks.iter().map(|(_, done)| done.load(Ordering::Relaxed)).collect();
        let goes_on = || {
            tasks.iter().zip(&begun).all(|((task, done), begun)| {
                assert!(!task.is_finished(), "a handshake has failed");
                done.load(Ordering::Relaxed) >= begun + handshakes
            })
        };
        eventually("handshakes go on", goes_on).await;
    };
    let has_arrived = || {
        names.iter().zip([&server, &client]).all(|(name, identity)| {
            let (now, expected) = (identity.current().unwrap(), authority.material(&id(name)).unwrap());
            now.chain() == expected.svid.chain && trusts(&now, &authority)
        })
    };
    for rotation in 1..=plan.rotations {
        if rotation % plan.leaves_per_ca == 0 {
            authority.rotate_ca().unwrap();
            // The time of announcement: in production hours, here until everybody has heard of it.
            eventually("both know the next CA", has_arrived).await;
            authority.use_announced_ca().unwrap();
            eventually("both have SVIDs of the next CA", has_arrived).await;
            // Until what the old one issued has expired, or, here, is not shown by any handshake any more.
            more(1).await;
            authority.drop_old_cas();
        } else {
            authority.rotate_svid(&id("server")).unwrap();
            authority.rotate_svid(&id("client")).unwrap();
        }
        eventually("both have their new SVIDs", has_arrived).await;
        more(plan.handshakes).await;
    }
    assert_eq!(authority.bundle().len(), 1, "only the last CA is trusted");
    stop.store(true, Ordering::Relaxed);
    let mut sum = 0;
    for (task, done) in tasks {
        task.await.unwrap();
        sum += done.load(Ordering::Relaxed);
    }
    println!("{kind:?}: {} rotations, {sum} handshakes, none failed", plan.rotations);
    for (identity, feed) in [(&server, server_feed), (&client, client_feed)] {
        let health = identity.health();
        assert_eq!(health.refused, 0, "{kind:?}: {:?}", health.last_refusal);
        // The first, and one for each leaf and each announcement, because every one of them was waited for.
        let least = 1 + plan.rotations + plan.rotations / plan.leaves_per_ca;
        assert!(health.generation >= least as u64, "{kind:?}: {}", health.generation);
        assert!(feed.refusals().is_empty());
    }
}

#[test]
fn no_handshake_fails_while_the_workload_api_rotates() {
    run(rotate_under_load(Kind::WorkloadApi, BRIEF));
}

#[test]
fn no_handshake_fails_while_sds_rotates() {
    run(rotate_under_load(Kind::Sds, BRIEF));
}

#[test]
#[ignore = "takes a minute"]
fn no_handshake_fails_in_500_rotations_of_the_workload_api() {
    run(rotate_under_load(Kind::WorkloadApi, LONG));
}

#[test]
#[ignore = "takes a minute"]
fn no_handshake_fails_in_500_rotations_of_sds() {
    run(rotate_under_load(Kind::Sds, LONG));
}

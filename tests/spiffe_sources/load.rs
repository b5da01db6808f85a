//! Handshakes go on while everything rotates.

use crate::support::{Folder, Kind, Server, address, builder, domain, eventually, id, trusts};
use crate::{run, run_for};
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity, SdsSource, WorkloadApiSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
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

/// How often leaves and, among these times, the CA rotate; `pause` is between two rotations.
struct Plan {
    rotations: usize,
    leaves_per_ca: usize,
    pause: Duration,
}

const BRIEF: Plan = Plan { rotations: 60, leaves_per_ca: 10, pause: Duration::from_millis(30) };
const LONG: Plan = Plan { rotations: 500, leaves_per_ca: 50, pause: Duration::from_millis(120) };

/// Of leaves: so short that CAs are needed no more, and leave the bundle, during a test.
const LIFETIME: Duration = Duration::from_secs(6);

/// Rotates both sides while eight tasks shake hands on two engine threads.
async fn rotate_under_load(kind: Kind, plan: Plan) {
    let config = AuthorityConfig::new(domain("example.org")).svid_lifetime(LIFETIME);
    let (authority, folder) = (Authority::start(config).unwrap(), Folder::new());
    let names = ["server", "client"];
    names.iter().for_each(|name| authority.allow(&id(name)).unwrap());
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
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..8)
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
        } else {
            authority.rotate_svid(&id("server")).unwrap();
            authority.rotate_svid(&id("client")).unwrap();
        }
        eventually("both have their new SVIDs", has_arrived).await;
        tokio::time::sleep(plan.pause).await;
    }
    // A CA leaves the bundle when the last of its SVIDs has expired; the load goes on meanwhile.
    let is_alone = || authority.bundle().len() == 1 && has_arrived();
    eventually("only the last CA is trusted", is_alone).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let done = done.load(Ordering::Relaxed);
    assert!(done > 100, "{kind:?}: only {done} handshakes");
    println!("{kind:?}: {} rotations, {done} handshakes, none failed", plan.rotations);
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
    run_for(400, rotate_under_load(Kind::WorkloadApi, LONG));
}

#[test]
#[ignore = "takes a minute"]
fn no_handshake_fails_in_500_rotations_of_sds() {
    run_for(400, rotate_under_load(Kind::Sds, LONG));
}

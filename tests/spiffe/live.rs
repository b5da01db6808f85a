//! Live connections, when what they rest on changes.

use crate::ca::{Ca, id, material};
use crate::support::{HOME, PATIENCE, SERVER, engine, identity, name, run, sockets};
use rustls_multibuffer::handshake::Engine;
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, CloseReason, Connection, Connector, Identity, LivePolicy, MemoryHandle, Withdrawal,
};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const AWAY: &str = "away.test";
/// Long enough for whatever should not happen.
const A_WHILE: Duration = Duration::from_millis(150);

/// A server of home and a client of away, which trust each other.
struct World {
    home: Ca,
    away: Ca,
    server_identity: Identity,
    client_identity: Identity,
    server: MemoryHandle,
    client: MemoryHandle,
    engine: Engine,
}

impl World {
    async fn new() -> Self {
        let (home, away) = (Ca::new(HOME), Ca::new(AWAY));
        let bundles = [(HOME, vec![home.root()]), (AWAY, vec![away.root()])];
        let (server_identity, server) = identity(material(home.svid(SERVER), bundles.clone())).await;
        let (client_identity, client) =
            identity(material(away.svid("spiffe://away.test/client"), bundles)).await;
        Self { home, away, server_identity, client_identity, server, client, engine: engine(1) }
    }

    /// The server's and the client's view of one connection.
    async fn connect(&self, live: LivePolicy) -> (Connection, Connection) {
        let everybody = Authorizer::anybody_verified;
        let acceptor =
            Acceptor::new(self.engine.clone(), &self.server_identity, everybody()).live_policy(live);
        let connector =
            Connector::new(self.engine.clone(), &self.client_identity, everybody()).live_policy(live);
        let (here, there) = sockets();
        let (accepted, connected) = tokio::join!(acceptor.accept(here), connector.connect(name(), there));
        (accepted.unwrap().1, connected.unwrap().1)
    }

    /// What the server knows from now on.
    async fn server_knows(&self, home: Vec<&Ca>, away: Vec<&Ca>) {
        let roots = |cas: Vec<&Ca>| cas.into_iter().map(Ca::root).collect::<Vec<_>>();
        let bundles = [(HOME, roots(home)), (AWAY, roots(away))];
        self.server.offer(material(self.home.svid(SERVER), bundles)).await.unwrap();
    }
}

async fn stays(connection: &mut Connection) {
    timeout(A_WHILE, connection.closing()).await.expect_err("nothing happened to it");
}

async fn closes(connection: &mut Connection) -> CloseReason {
    timeout(PATIENCE, connection.closing()).await.expect("it should close")
}

#[test]
fn a_connection_tells_who_since_when_and_with_what() {
    run(async {
        let world = World::new().await;
        let before = Instant::now();
        let (server, client) = world.connect(LivePolicy::keep()).await;
        assert_eq!((server.peer_id(), client.peer_id()), (&id("spiffe://away.test/client"), &id(SERVER)));
        world.server_knows(vec![&world.home], vec![&world.away]).await;
        let (later, _) = world.connect(LivePolicy::keep()).await;
        assert_eq!((server.generation(), later.generation(), client.generation()), (1, 2, 1));
        assert!(before <= server.since() && server.since() < later.since());
        assert!(server.age() >= later.age());
    });
}

#[test]
fn the_default_keeps_whatever_happens() {
    run(async {
        let world = World::new().await;
        let (mut server, _client) = world.connect(LivePolicy::default()).await;
        world.server_knows(vec![&world.home], vec![]).await;
        world.server.withdraw(Withdrawal::Removed).await.unwrap();
        stays(&mut server).await;
    });
}

#[test]
fn max_age_is_spread_and_kept() {
    run(async {
        let world = World::new().await;
        let (age, jitter) = (Duration::from_millis(400), Duration::from_millis(300));
        let mut ages = Vec::new();
        for _ in 0..6 {
            let (mut server, _client) = world.connect(LivePolicy::keep().max_age(age, jitter)).await;
            assert_eq!(closes(&mut server).await, CloseReason::MaxAge);
            assert_eq!(server.closing().await, CloseReason::MaxAge, "ready again at once");
            ages.push(server.age());
        }
        assert!(ages.iter().all(|at| *at >= age - jitter), "{ages:?}");
        let (first, last) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
        assert!(*last - *first > Duration::from_millis(5), "{ages:?}");
    });
}

#[test]
fn a_removed_bundle_closes_its_own_peers() {
    run(async {
        let world = World::new().await;
        let live = LivePolicy::keep().close_on_bundle_removal(Duration::from_millis(20));
        let (mut server, mut client) = world.connect(live).await;
        // A rotation closes nothing.
        world.server_knows(vec![&world.home], vec![&world.away]).await;
        stays(&mut server).await;
        world.server_knows(vec![&world.home], vec![]).await;
        assert_eq!(closes(&mut server).await, CloseReason::BundleRemoved);
        // The client's identity has lost nothing.
        stays(&mut client).await;
    });
}

#[test]
fn a_removed_root_closes_the_chains_that_need_it() {
    run(async {
        let world = World::new().await;
        let live = LivePolicy::keep().close_on_bundle_removal(Duration::ZERO);
        let (mut old, _) = world.connect(live).await;
        let next = Ca::new(AWAY);
        // The next root is announced, and the client moves to it.
        world.server_knows(vec![&world.home], vec![&world.away, &next]).await;
        let svid = next.svid("spiffe://away.test/client");
        let bundles = [(HOME, vec![world.home.root()]), (AWAY, vec![next.root()])];
        world.client.offer(material(svid, bundles)).await.unwrap();
        let (mut new, _) = world.connect(live).await;
        stays(&mut old).await;
        world.server_knows(vec![&world.home], vec![&next]).await;
        assert_eq!(closes(&mut old).await, CloseReason::RootRemoved);
        stays(&mut new).await;
    });
}

#[test]
fn a_removal_during_the_handshake_is_seen() {
    run(async {
        let world = World::new().await;
        let live = LivePolicy::keep().close_on_bundle_removal(Duration::ZERO);
        let acceptor =
            Acceptor::new(world.engine.clone(), &world.server_identity, Authorizer::anybody_verified())
                .live_policy(live);
        let connector =
            Connector::new(world.engine.clone(), &world.client_identity, Authorizer::anybody_verified());
        let (here, there) = sockets();
        // It takes its snapshot now.
        let accepting = acceptor.accept(here);
        world.server_knows(vec![&world.home], vec![]).await;
        let (accepted, _connected) = tokio::join!(accepting, connector.connect(name(), there));
        let (_stream, mut server) = accepted.expect("a handshake keeps the snapshot that it began with");
        assert_eq!(server.generation(), 1);
        assert_eq!(closes(&mut server).await, CloseReason::BundleRemoved);
    });
}

#[test]
fn a_withdrawal_closes_by_the_same_policy() {
    run(async {
        let world = World::new().await;
        let live = LivePolicy::keep().close_on_bundle_removal(Duration::ZERO);
        let (mut server, _client) = world.connect(live).await;
        world.server.withdraw(Withdrawal::Denied("no more".to_owned())).await.unwrap();
        assert_eq!(closes(&mut server).await, CloseReason::Withdrawn);
    });
}

#[test]
fn closings_are_spread() {
    run(async {
        let world = World::new().await;
        // Long beside the delays of a busy machine.
        let live = LivePolicy::keep().close_on_bundle_removal(Duration::from_secs(4));
        let mut connections = Vec::new();
        for _ in 0..12 {
            connections.push(world.connect(live).await.0);
        }
        world.server_knows(vec![&world.home], vec![]).await;
        let removed = Instant::now();
        let closings = connections.into_iter().map(|mut connection| {
            tokio::spawn(async move {
                connection.closing().await;
                removed.elapsed()
            })
        });
        let mut times = Vec::new();
        for closing in closings.collect::<Vec<_>>() {
            times.push(closing.await.unwrap());
        }
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*last - *first > Duration::from_millis(40), "{times:?}");
    });
}

#[test]
fn resumed_peers_have_their_identity_too() {
    run(async {
        let world = World::new().await;
        let options = rustls_multibuffer::spiffe::TlsOptions::default().resumption(true);
        let everybody = Authorizer::anybody_verified;
        let acceptor =
            Acceptor::with_tls(world.engine.clone(), &world.server_identity, everybody(), options.clone());
        let connector =
            Connector::with_tls(world.engine.clone(), &world.client_identity, everybody(), options);
        for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let (here, there) = sockets();
            let server = async {
                let (stream, connection) = acceptor.accept(here).await.unwrap();
                crate::support::echo_as_server(stream).await.unwrap();
                connection
            };
            let client = async {
                let (stream, connection) = connector.connect(name(), there).await.unwrap();
                assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
                crate::support::echo_as_client(stream).await.unwrap();
                connection
            };
            let (server, client) = tokio::join!(server, client);
            assert_eq!((server.peer_id(), client.peer_id()), (&id("spiffe://away.test/client"), &id(SERVER)));
        }
    });
}

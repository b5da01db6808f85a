//! Rotation under load, and what is left of old generations.

use crate::ca::{Ca, id, material};
use crate::support::{
    CLIENT, HOME, SERVER, echo_as_client, echo_as_server, engine, identity, name, run_for, sockets,
};
use rustls_multibuffer::handshake::Engine;
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, MemoryHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Both sides' handles, and the authorities in force: the oldest first, the newest issues.
struct Authority {
    cas: Vec<Ca>,
    server: MemoryHandle,
    client: MemoryHandle,
}

impl Authority {
    /// Issues new SVIDs to both sides, from the authority with this index.
    async fn rotate(&self, issuer: usize) {
        let roots: Vec<_> = self.cas.iter().map(Ca::root).collect();
        for (handle, id) in [(&self.server, SERVER), (&self.client, CLIENT)] {
            handle.offer(material(self.cas[issuer].svid(id), [(HOME, roots.clone())])).await.unwrap();
        }
    }

    /// The next authority is announced to both sides before it issues, and the old one is trusted until it has issued all.
    async fn rotate_authority(&mut self) {
        self.cas.push(Ca::new(HOME));
        self.rotate(0).await;
        self.rotate(1).await;
        // What the old authority issued is still presented by handshakes that began before.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.cas.remove(0);
        self.rotate(0).await;
    }
}

/// Handshakes without pause, until told to stop; returns how many there were. The first failure panics.
async fn load(acceptor: Acceptor<Engine>, connector: Connector<Engine>, stop: Arc<AtomicBool>) -> u64 {
    let mut done = 0;
    while !stop.load(SeqCst) {
        let (here, there) = sockets();
        let server = async {
            let (stream, connection) = acceptor.accept(here).await.expect("the server's handshake");
            assert_eq!(connection.peer_id(), &id(CLIENT));
            echo_as_server(stream).await.expect("the server's echo");
        };
        let client = async {
            let (stream, connection) =
                connector.connect(name(), there).await.expect("the client's handshake");
            assert_eq!(connection.peer_id(), &id(SERVER));
            echo_as_client(stream).await.expect("the client's echo");
        };
        tokio::join!(server, client);
        done += 1;
    }
    done
}

#[test]
fn no_handshake_fails_while_both_sides_and_the_authority_rotate() {
    run_for(120, async {
        let ca = Ca::new(HOME);
        let first = |id| material(ca.svid(id), [(HOME, vec![ca.root()])]);
        let (server_identity, server) = identity(first(SERVER)).await;
        let (client_identity, client) = identity(first(CLIENT)).await;
        let mut authority = Authority { cas: vec![ca], server, client };
        let engine = engine(2);
        let acceptor = Acceptor::new(engine.clone(), &server_identity, Authorizer::exactly(id(CLIENT)));
        let connector = Connector::new(engine.clone(), &client_identity, Authorizer::exactly(id(SERVER)));
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> =
            (0..8).map(|_| tokio::spawn(load(acceptor.clone(), connector.clone(), stop.clone()))).collect();
        for round in 0..10 {
            for _ in 0..10 {
                authority.rotate(0).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if round % 2 == 0 {
                authority.rotate_authority().await;
            }
        }
        stop.store(true, SeqCst);
        let done = AtomicU64::new(0);
        for worker in workers {
            done.fetch_add(worker.await.expect("no handshake fails"), SeqCst);
        }
        let stats = engine.stats();
        assert_eq!((stats.failed, stats.timed_out, stats.cancelled), (0, 0, 0));
        assert!(done.into_inner() > 100);
        assert!(server_identity.current().unwrap().generation() > 100);
        assert!(client_identity.current().unwrap().generation() > 100);
    });
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn old_generations_are_released() {
    run_for(120, async {
        let ca = Ca::new(HOME);
        let (server_identity, server) = identity(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await;
        let (client_identity, _client) = identity(material(ca.svid(CLIENT), [(HOME, vec![ca.root()])])).await;
        let engine = engine(1);
        let acceptor = Acceptor::new(engine.clone(), &server_identity, Authorizer::anybody_verified());
        let connector = Connector::new(engine, &client_identity, Authorizer::anybody_verified());
        // A few SVIDs in turns: issuing them is not what is measured.
        let svids: Vec<_> = (0..4).map(|_| material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).collect();
        let mut old = Vec::new();
        let mut after_warm_up = 0;
        for rotation in 0..1000 {
            server.offer(svids[rotation % svids.len()].clone()).await.unwrap();
            old.push(Arc::downgrade(&server_identity.current().unwrap()));
            if rotation % 50 == 0 {
                let (here, there) = sockets();
                let (accepted, connected) =
                    tokio::join!(acceptor.accept(here), connector.connect(name(), there));
                let _connections = (accepted.unwrap(), connected.unwrap());
            }
            if rotation == 300 {
                after_warm_up = resident();
            }
        }
        let current = old.pop().unwrap();
        assert_eq!(current.upgrade().unwrap().generation(), 1001);
        let alive = old.iter().filter(|snapshot| snapshot.strong_count() > 0).count();
        assert_eq!(alive, 0);
        let grown = resident().saturating_sub(after_warm_up);
        assert!(grown < 4 * 1024, "{grown} KiB more than after 300 rotations");
    });
}

//! Rotation under load, and what is left of old generations.

use crate::ca::{Ca, id, material};
use crate::files::{Directory, holds};
use crate::support::{
    CLIENT, HOME, SERVER, echo_as_client, echo_as_server, engine, identity, name, run, sockets, until,
};
use rustls_multibuffer::handshake::Engine;
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity, Material, MemoryHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::task::JoinHandle;

/// One side's identity, and how material gets to it.
struct Workload {
    id: &'static str,
    identity: Identity,
    delivery: Delivery,
}

enum Delivery {
    Memory(MemoryHandle),
    Files(Directory),
}

impl Workload {
    async fn in_memory(id: &'static str, first: Material) -> Self {
        let (identity, handle) = identity(first).await;
        Self { id, identity, delivery: Delivery::Memory(handle) }
    }

    async fn in_files(id: &'static str, first: Material) -> Self {
        let directory = Directory::new();
        let identity = Identity::start(directory.source());
        let workload = Self { id, identity, delivery: Delivery::Files(directory) };
        workload.deliver(first).await;
        workload
    }

    /// Delivers `material`, and waits until it is in use.
    async fn deliver(&self, material: Material) {
        match &self.delivery {
            Delivery::Memory(handle) => drop(handle.offer(material).await.unwrap()),
            Delivery::Files(directory) => {
                directory.write(&material);
                holds(&self.identity, &material).await;
            }
        }
    }
}

/// Both sides, and the authorities in force: the oldest first, the newest issues.
struct Authority {
    cas: Vec<Ca>,
    server: Workload,
    client: Workload,
}

impl Authority {
    /// Issues new SVIDs to both sides, from the authority with this index.
    async fn rotate(&self, issuer: usize) {
        let roots: Vec<_> = self.cas.iter().map(Ca::root).collect();
        let next = |of: &Workload| material(self.cas[issuer].svid(of.id), [(HOME, roots.clone())]);
        let (server, client) = (next(&self.server), next(&self.client));
        tokio::join!(self.server.deliver(server), self.client.deliver(client));
    }

    /// The next authority is announced to both sides before it issues, and the old one is trusted until it
    /// has issued all.
    async fn rotate_authority(&mut self, load: &Load) {
        self.cas.push(Ca::new(HOME));
        self.rotate(0).await;
        self.rotate(1).await;
        // What the old authority issued is still presented by handshakes that began before.
        load.goes_on(1).await;
        self.cas.remove(0);
        self.rotate(0).await;
    }
}

/// Workers that shake hands without pause, each with the number of its handshakes.
struct Load {
    stop: Arc<AtomicBool>,
    workers: Vec<(JoinHandle<()>, Arc<AtomicU64>)>,
}

impl Load {
    fn start(acceptor: &Acceptor<Engine>, connector: &Connector<Engine>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |_| {
            let done = Arc::new(AtomicU64::new(0));
            let work = shake_hands(acceptor.clone(), connector.clone(), stop.clone(), done.clone());
            (tokio::spawn(work), done)
        };
        Self { workers: (0..8).map(worker).collect(), stop: stop.clone() }
    }

    /// Waits until every worker has finished so many more handshakes: those on their way now have ended then.
    async fn goes_on(&self, handshakes: u64) {
        let goals: Vec<_> = self.workers.iter().map(|(_, done)| done.load(SeqCst) + handshakes).collect();
        let mut workers = self.workers.iter().zip(&goals);
        // A worker that has ended has failed, which [`Load::end`] reports.
        until(|| {
            workers.clone().all(|((task, done), goal)| task.is_finished() || done.load(SeqCst) >= *goal)
        })
        .await;
        assert!(workers.all(|((task, _), _)| !task.is_finished()), "a handshake has failed");
    }

    /// How many handshakes there were.
    async fn end(self) -> u64 {
        self.stop.store(true, SeqCst);
        let mut sum = 0;
        for (task, done) in self.workers {
            task.await.expect("no handshake fails");
            sum += done.load(SeqCst);
        }
        sum
    }
}

/// Handshakes without pause, until told to stop. The first failure panics.
async fn shake_hands(
    acceptor: Acceptor<Engine>,
    connector: Connector<Engine>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
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
        done.fetch_add(1, SeqCst);
    }
}

/// What a test asks for, all of it under load. The authority rotates as often as `authorities`, evenly
/// spread; between two rotations every worker finishes so many `handshakes`.
struct Plan {
    rotations: usize,
    authorities: usize,
    handshakes: u64,
}

const BRIEF: Plan = Plan { rotations: 30, authorities: 3, handshakes: 1 };
const LONG: Plan = Plan { rotations: 500, authorities: 10, handshakes: 10 };

async fn rotate_under_load(plan: Plan, ca: Ca, server: Workload, client: Workload) {
    let engine = engine(2);
    let acceptor = Acceptor::new(engine.clone(), &server.identity, Authorizer::exactly(id(CLIENT)));
    let connector = Connector::new(engine.clone(), &client.identity, Authorizer::exactly(id(SERVER)));
    let mut authority = Authority { cas: vec![ca], server, client };
    let load = Load::start(&acceptor, &connector);
    for rotation in 0..plan.rotations {
        authority.rotate(0).await;
        if rotation % (plan.rotations / plan.authorities) == 0 {
            authority.rotate_authority(&load).await;
        }
        load.goes_on(plan.handshakes).await;
    }
    let done = load.end().await;
    let stats = engine.stats();
    assert_eq!((stats.failed, stats.timed_out, stats.cancelled), (0, 0, 0));
    assert_eq!(stats.succeeded, 2 * done);
    let rotations = plan.rotations + 3 * plan.authorities;
    for workload in [&authority.server, &authority.client] {
        let health = workload.identity.health();
        // A slow writer of files may have been read in between, which makes a generation more.
        assert!(health.generation > rotations as u64, "{health:?}");
        assert_eq!(health.refused, 0);
    }
    println!("{rotations} rotations, {done} handshakes, none failed");
}

/// Both workloads, whose material comes from memory or from files.
async fn start(files: bool) -> (Ca, Workload, Workload) {
    let ca = Ca::new(HOME);
    let first = |id| material(ca.svid(id), [(HOME, vec![ca.root()])]);
    let (server, client) = match files {
        false => tokio::join!(
            Workload::in_memory(SERVER, first(SERVER)),
            Workload::in_memory(CLIENT, first(CLIENT))
        ),
        true => {
            tokio::join!(Workload::in_files(SERVER, first(SERVER)), Workload::in_files(CLIENT, first(CLIENT)))
        }
    };
    (ca, server, client)
}

fn no_handshake_fails(plan: Plan, files: bool) {
    run(async {
        let (ca, server, client) = start(files).await;
        rotate_under_load(plan, ca, server, client).await;
    });
}

#[test]
fn no_handshake_fails_while_both_sides_and_the_authority_rotate_in_memory() {
    no_handshake_fails(BRIEF, false);
}

#[test]
fn no_handshake_fails_while_both_sides_and_the_authority_rotate_in_files() {
    no_handshake_fails(BRIEF, true);
}

#[test]
#[ignore = "takes a minute"]
fn no_handshake_fails_in_500_rotations_in_memory() {
    no_handshake_fails(LONG, false);
}

#[test]
#[ignore = "takes two minutes"]
fn no_handshake_fails_in_500_rotations_in_files() {
    no_handshake_fails(LONG, true);
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In a process of its own: the memory that it measures is the process's, and other tests need some, too.
#[test]
fn old_generations_are_released() {
    const ALONE: &str = "OLD_GENERATIONS_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["rotation::old_generations_are_released", "--exact", "--nocapture"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
        return;
    }
    run(async {
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

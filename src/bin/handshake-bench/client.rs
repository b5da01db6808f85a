//! The load: clients, each making one handshake after the other.

use crate::batches::Batches;
use crate::ca::SERVER_NAME;
use crate::placement::Placement;
use crate::rotation::Rotation;
use crate::scenario::Provider;
use crate::stats::Latencies;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{EngineConfig, LocalEngine, TlsConnector};
use rustls_multibuffer::spiffe;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::client::TlsStream;

/// A handshake that takes longer has failed; nothing on loopback should come near.
const PATIENCE: Duration = Duration::from_secs(20);
/// After a failure a client pauses, so that a broken server is not hammered.
const PAUSE: Duration = Duration::from_millis(5);

/// Who makes the handshakes. An engine has to be made on its own thread, so this says how.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) tls: ClientTls,
    /// For clients of this crate.
    pub(crate) engine: EngineConfig,
    /// How many there are.
    pub(crate) concurrency: usize,
}

/// How clients get their configurations.
#[derive(Clone)]
pub(crate) enum ClientTls {
    /// One for each identity, in turn, for the whole run; used by this implementation.
    Fixed(Provider, Vec<Arc<ClientConfig>>),
    /// From identities that rotate; the server trusts them or not.
    Rotating { rotation: Arc<Rotation>, is_trusted: bool },
}

/// What the clients shall do.
pub(crate) struct Load<'a> {
    /// The server threads; the clients are spread over them evenly.
    pub(crate) targets: &'a [SocketAddr],
    pub(crate) clients: &'a Clients,
    /// No handshake starts later than this after the first.
    pub(crate) duration: Duration,
    /// No more handshakes than this are started.
    pub(crate) handshakes: usize,
}

/// What the clients saw. Every handshake that was started is in here.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One latency for each handshake that counts.
    pub(crate) latencies: Latencies,
    /// Handshakes that failed.
    pub(crate) failures: usize,
    /// The first failure, in words.
    pub(crate) first_failure: Option<String>,
    /// From the start of the first handshake to the end of the last.
    pub(crate) elapsed: Duration,
    /// The batches of the clients' engines; stock clients have none.
    pub(crate) batches: Batches,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.latencies.append(other.latencies);
        self.batches.merge(&other.batches);
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn record(&mut self, result: io::Result<Duration>) {
        match result {
            Ok(latency) => self.latencies.push(latency),
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// When to stop: shared by all clients of a load.
struct Budget {
    end: Instant,
    left: AtomicUsize,
}

impl Budget {
    /// Takes one handshake, if there is one left.
    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        Instant::now() < self.end
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Runs the load on threads of its own and waits until its last handshake has ended.
pub(crate) fn run(load: &Load<'_>, placement: &Placement) -> io::Result<Outcome> {
    let started = Instant::now();
    let end = started + load.duration;
    let budget = Arc::new(Budget { end, left: AtomicUsize::new(load.handshakes) });
    let threads = placement.client_threads().min(load.clients.concurrency);
    let run_one = |index: usize| {
        placement.enter_client(index);
        run_thread(load, &budget, (index..load.clients.concurrency).step_by(threads))
    };
    let mut total = Outcome::default();
    std::thread::scope(|scope| {
        let run_one = &run_one;
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(move || run_one(index))).collect();
        for thread in threads {
            total.add(thread.join().expect("client threads do not panic")?);
        }
        io::Result::Ok(())
    })?;
    total.elapsed = started.elapsed();
    Ok(total)
}

/// One thread's clients, by number.
fn run_thread(
    load: &Load<'_>,
    budget: &Arc<Budget>,
    clients: impl Iterator<Item = usize>,
) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let connector = Connector::new(load.clients);
        let mut running = JoinSet::new();
        for client in clients {
            let target = load.targets[client % load.targets.len()];
            // Every client begins with an identity of its own, if there are enough, and all meet all of them.
            let identities = (client..).step_by(load.clients.concurrency);
            running.spawn_local(run_client(connector.clone(), identities, target, budget.clone()));
        }
        let mut total = Outcome::default();
        while let Some(outcome) = running.join_next().await {
            total.add(outcome.map_err(io::Error::other)?);
        }
        total.batches = connector.batches();
        Ok(total)
    })
}

/// A client's side of either implementation: a connector for each identity.
#[derive(Clone)]
enum Connector {
    Stock(Rc<[tokio_rustls::TlsConnector]>),
    /// With one engine.
    Multibuffer(Rc<[TlsConnector<LocalEngine>]>),
    Rotating(spiffe::Connector<LocalEngine>),
}

impl Connector {
    fn new(clients: &Clients) -> Self {
        let engine = || LocalEngine::new(clients.engine.clone());
        match &clients.tls {
            ClientTls::Fixed(Provider::Baseline, tls) => {
                Self::Stock(tls.iter().cloned().map(Into::into).collect())
            }
            ClientTls::Fixed(Provider::Multibuffer, tls) => {
                let engine = engine();
                let connector = |tls: &Arc<ClientConfig>| TlsConnector::new(engine.clone(), tls.clone());
                Self::Multibuffer(tls.iter().map(connector).collect())
            }
            ClientTls::Rotating { rotation, is_trusted } => {
                Self::Rotating(rotation.connector(engine(), *is_trusted))
            }
        }
    }

    async fn connect(
        &self,
        identity: usize,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        match self {
            Self::Stock(connectors) => connectors[identity % connectors.len()].connect(name, tcp).await,
            Self::Multibuffer(connectors) => connectors[identity % connectors.len()].connect(name, tcp).await,
            Self::Rotating(connector) => connector.connect(name, tcp).await.map(|(stream, _)| stream),
        }
    }

    /// What the engine has done, if there is one.
    fn batches(&self) -> Batches {
        let mut batches = Batches::default();
        match self {
            Self::Stock(_) => {}
            Self::Multibuffer(connectors) => batches.add(&connectors[0].engine().stats().batches),
            Self::Rotating(connector) => batches.add(&connector.engine().stats().batches),
        }
        batches
    }
}

async fn run_client(
    connector: Connector,
    identities: impl Iterator<Item = usize>,
    target: SocketAddr,
    budget: Arc<Budget>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for identity in identities.take_while(|_| budget.take()) {
        let result = match tokio::time::timeout(PATIENCE, handshake(&connector, identity, target)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::other(format!("no answer within {PATIENCE:?}"))),
        };
        let failed = result.is_err();
        outcome.record(result);
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
    outcome
}

/// One handshake. It counts only when the first application byte has come back: in TLS 1.3 a client believes
/// itself connected before the server has looked at its certificate.
///
/// The latency is from connecting to that byte.
async fn handshake(connector: &Connector, identity: usize, target: SocketAddr) -> io::Result<Duration> {
    let started = Instant::now();
    let tcp = TcpStream::connect(target).await?;
    tcp.set_nodelay(true)?;
    // Closes by a reset: thousands of handshakes a second would use up the ports if each stayed in TIME_WAIT.
    tcp.set_zero_linger()?;
    let name = ServerName::try_from(SERVER_NAME).expect("the name is constant");
    let mut tls = connector.connect(identity, name, tcp).await?;
    tls.write_all(b"?").await?;
    tls.flush().await?;
    match tls.read_u8().await? {
        b'?' => Ok(started.elapsed()),
        other => Err(io::Error::other(format!("the server sent back {other:#x}"))),
    }
}

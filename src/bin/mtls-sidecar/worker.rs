//! The worker threads: each has a runtime, an engine, and a socket of every listener. Connections stay on
//! their worker; handshakes do, too, unless there are threads for them, which are one engine for all.

use crate::accept::accept;
use crate::connection::Service;
use crate::sockets::ListenSocket;
use crate::state::{Listener, Phase, State};
use crate::tls::{AnyEngine, Endpoint, Identities, Party, engine_config};
use rustls_multibuffer::handshake::{Engine, EngineStats, LocalEngine};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

/// How often a draining worker looks whether all connections have begun their handshake.
const LOOK: Duration = Duration::from_millis(5);

/// A request for a worker's statistics.
type Query = oneshot::Sender<EngineStats>;

/// Binds the current thread to the CPU of a worker, of those that this process may use.
fn pin(worker: usize) {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let cpu = cpus.get(worker % cpus.len().max(1));
    if !cpu.is_some_and(|cpu| core_affinity::set_for_current(*cpu)) {
        log::warn!("worker {worker} is bound to no CPU");
    }
}

/// The threads for handshakes, if there are any.
#[derive(Clone)]
struct Shared {
    engine: Engine,
    /// Workers that may still have connections whose handshakes have not begun.
    not_drained: Arc<AtomicUsize>,
}

/// Whom to ask what the engines have done.
#[derive(Clone)]
pub(crate) enum Queries {
    /// Each worker, which has an engine of its own.
    Workers(Vec<mpsc::UnboundedSender<Query>>),
    /// The engine of all workers.
    Shared(Engine),
}

/// The worker threads.
pub(crate) struct Workers {
    queries: Queries,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts them, each with its sockets, and returns when all of them accept: whoever is told that the
    /// process is there need not wait for its engines, and a drain finds what has connected.
    ///
    /// # Errors
    /// The operating system's, when it starts no thread.
    pub(crate) fn start(
        state: &Arc<State>,
        identities: &Identities,
        sockets: Vec<ListenSocket>,
    ) -> io::Result<Self> {
        let count = state.config.workers();
        let shared = shared_engine(state, count)?;
        let mut shares: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for socket in sockets {
            shares[socket.worker % count].push(socket);
        }
        let parties = parties(state, identities);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        let (accepts, all_accept) = std::sync::mpsc::channel();
        for (i, sockets) in shares.into_iter().enumerate() {
            let (state, parties) = (state.clone(), parties.clone());
            let (queries, asked) = mpsc::unbounded_channel();
            let (accepts, shared) = (accepts.clone(), shared.clone());
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let work = move || {
                if state.config.acceleration().pin == Some(true) {
                    pin(i);
                }
                LocalSet::new().block_on(&runtime, serve(state, parties, sockets, asked, accepts, shared));
                // Names that are being looked up are not waited for.
                runtime.shutdown_background();
            };
            threads.push(std::thread::Builder::new().name(format!("worker-{i}")).spawn(work)?);
            workers.push(queries);
        }
        drop(accepts);
        // Nothing is ever sent: it ends when each worker has dropped its end.
        let _ = all_accept.recv();
        let queries = match shared {
            Some(shared) => Queries::Shared(shared.engine),
            None => Queries::Workers(workers),
        };
        Ok(Self { queries, threads })
    }

    /// Whom to ask for their statistics.
    pub(crate) fn queries(&self) -> Queries {
        self.queries.clone()
    }

    /// Waits for the threads, which end in the phase [`Phase::Ended`].
    pub(crate) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a worker had panicked");
            }
        }
    }
}

impl Queries {
    /// What the engines have done. A worker that does not answer within a second is left out.
    pub(crate) async fn stats(&self) -> Vec<EngineStats> {
        let workers = match self {
            Self::Shared(engine) => return vec![engine.stats()],
            Self::Workers(workers) => workers,
        };
        let asked: Vec<_> = workers.iter().map(ask).collect();
        let mut all = Vec::with_capacity(asked.len());
        for answer in asked {
            if let Ok(Ok(stats)) = tokio::time::timeout(Duration::from_secs(1), answer).await {
                all.push(stats);
            }
        }
        all
    }
}

/// The TLS side of each listener, by its name, on no engine yet.
type Parties = Arc<BTreeMap<String, Party<()>>>;

fn parties(state: &State, identities: &Identities) -> Parties {
    let party = |listener: &Arc<Listener>| {
        let config = &listener.config;
        let party = Party::new(&identities[config.identity_name()], config);
        let party = party.unwrap_or_else(|_| unreachable!("the configuration's SPIFFE IDs were checked"));
        (config.name.clone(), party)
    };
    Arc::new(state.listeners.iter().map(party).collect())
}

/// The engine of all workers, if handshakes have threads of their own. `pin` is about workers.
fn shared_engine(state: &State, workers: usize) -> io::Result<Option<Shared>> {
    let acceleration = state.config.acceleration();
    let threads = acceleration.handshake_threads.unwrap_or(0);
    if threads == 0 {
        return Ok(None);
    }
    let engine = Engine::new(engine_config(&acceleration).threads(threads).pin(false))?;
    Ok(Some(Shared { engine, not_drained: Arc::new(AtomicUsize::new(workers)) }))
}

fn ask(queries: &mpsc::UnboundedSender<Query>) -> oneshot::Receiver<EngineStats> {
    let (ask, answer) = oneshot::channel();
    // A worker that has ended drops the question, which is its answer.
    let _ = queries.send(ask);
    answer
}

async fn serve(
    state: Arc<State>,
    parties: Parties,
    sockets: Vec<ListenSocket>,
    mut queries: mpsc::UnboundedReceiver<Query>,
    accepts: std::sync::mpsc::Sender<()>,
    shared: Option<Shared>,
) {
    let engine = match &shared {
        Some(shared) => AnyEngine::Threads(shared.engine.clone()),
        None => AnyEngine::Local(LocalEngine::new(engine_config(&state.config.acceleration()))),
    };
    let not_started = Rc::new(Cell::new(0));
    let mut services = BTreeMap::new();
    for socket in sockets {
        let Some(listener) = state.listeners.iter().find(|l| l.config.name == socket.listener) else {
            continue;
        };
        let endpoint = || Endpoint::new(engine.clone(), &parties[&listener.config.name]);
        let service = services.entry(socket.listener).or_insert_with(|| {
            let (listener, not_started) = (listener.clone(), not_started.clone());
            Rc::new(Service { listener, endpoint: endpoint(), not_started })
        });
        match TcpListener::from_std(socket.socket) {
            Ok(socket) => {
                let (state, service) = (state.clone(), service.clone());
                spawn_local(async move { accept(&state, service, socket).await });
            }
            Err(e) => log::error!("listener {}: {e}", listener.config.name),
        }
    }
    drop(services);
    let mut phases = state.phases();
    spawn_local(drain(state.clone(), engine.clone(), shared, not_started));
    drop(accepts);
    loop {
        tokio::select! {
            _ = phases.wait_for(|phase| *phase == Phase::Ended) => return,
            Some(answer) = queries.recv() => {
                if let AnyEngine::Local(engine) = &engine {
                    drop(answer.send(engine.stats()));
                }
            }
        }
    }
}

/// When the process drains, operations wait for no further company once all that were accepted have begun.
async fn drain(state: Arc<State>, engine: AnyEngine, shared: Option<Shared>, not_started: Rc<Cell<usize>>) {
    let _ = state.phases().wait_for(|phase| *phase >= Phase::Draining).await;
    loop {
        // The accepting tasks first take what is in their sockets' queues.
        tokio::time::sleep(LOOK).await;
        if not_started.get() == 0 {
            // From now on it refuses handshakes, and there are none to come.
            match (engine, shared) {
                (AnyEngine::Local(engine), _) => engine.drain().await,
                (AnyEngine::Threads(engine), Some(shared))
                    if shared.not_drained.fetch_sub(1, SeqCst) == 1 =>
                {
                    engine.drain().await;
                }
                (AnyEngine::Threads(_), _) => {}
            }
            return;
        }
    }
}

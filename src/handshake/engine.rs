//! The engine with threads of its own.

use super::gate::Gate;
use super::report::{self, EngineStats};
use super::session::{HandshakeEngine, Session};
use super::timers::Timer;
use super::work::{Finished, Work};
use super::worker::{Board, Job, Message, Worker};
use super::{EngineConfig, HandshakeError};
use crate::arch::{Detection, Tier};
use crate::ops::Runner;
use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, io};
use tokio::sync::oneshot;

/// An engine with threads of its own, for any runtime: the caller's task does the socket's reading and writing, and hands
/// the connection to one of the threads to be processed.
///
/// Futures on it are `Send`, need no tokio runtime, and a handshake stays on the thread that it began on.
///
/// Cloning gives another handle to the same engine. When the last handle (acceptors and connectors hold one) is
/// dropped, handshakes that are still in flight end with [`HandshakeError::ShutDown`], and the threads with them.
///
/// # Batches
/// A thread first takes everything that has arrived. When nothing is left and every fiber is parked, it runs the fullest
/// queue. While a batch runs, the next one gathers.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

/// Ends the engine with the last handle; sessions hold only the [`Shared`] part.
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    config: EngineConfig,
    detection: Detection,
    gate: Gate,
    threads: Vec<Thread>,
    jobs: AtomicU64,
}

/// How to reach one thread.
struct Thread {
    inbox: Sender<Message>,
    board: Arc<Board>,
    sessions: AtomicUsize,
}

impl Engine {
    /// Starts an engine with [`EngineConfig::threads`] threads.
    ///
    /// # Errors
    /// The operating system's, when it starts no thread.
    pub fn new(config: EngineConfig) -> io::Result<Self> {
        let detection = report::detect(&config);
        let cpus = if config.pin { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
        let (mut threads, mut handles) = (Vec::new(), Vec::new());
        for i in 0..config.threads.max(1) {
            let (inbox, messages) = crossbeam_channel::unbounded();
            let board = Arc::new(Board::default());
            let (config, tier, on_thread) = (config.clone(), detection.tier, board.clone());
            let cpu = cpus.get(i % cpus.len().max(1)).copied();
            let serve = move || {
                if cpu.is_some_and(|cpu| !core_affinity::set_for_current(cpu)) {
                    log::warn!("an engine thread could not be bound to its CPU");
                }
                let runner = Runner::new(tier).with_break_even(config.break_even);
                Worker::new(&config, runner, messages, on_thread).serve();
            };
            handles.push(std::thread::Builder::new().name(format!("tls-batch-{i}")).spawn(serve)?);
            threads.push(Thread { inbox, board, sessions: AtomicUsize::new(0) });
        }
        let gate = Gate::new(config.max_in_flight);
        let shared = Arc::new(Shared { config, detection, gate, threads, jobs: AtomicU64::new(0) });
        Ok(Self(Arc::new(Handle { shared, threads: Mutex::new(handles) })))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.shared.detection.tier
    }

    /// What the engine has done so far. A batch is counted before any of its handshakes goes on.
    pub fn stats(&self) -> EngineStats {
        let shared = &self.0.shared;
        let mut stats = EngineStats::new(&shared.detection, &shared.gate);
        for thread in &shared.threads {
            let shown = thread.board.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(shown), Some(counts)) = (&*shown, thread.board.counts.get()) {
                stats.add_thread(&shown.batches, shown.runner, counts);
            }
        }
        stats
    }

    /// Refuses new handshakes from now on, runs what is queued at once, and waits until those in flight have ended.
    pub async fn drain(&self) {
        let shared = self.0.shared.clone();
        shared.gate.start_draining();
        shared.tell_all(|| Message::Drain);
        shared.gate.empty().await;
    }

    /// Ends every handshake in flight with [`HandshakeError::ShutDown`], refuses new ones, and waits for the threads to
    /// end, at most as long as a batch takes.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }
}

impl Handle {
    fn shutdown(&self) {
        self.shared.gate.close();
        self.shared.tell_all(|| Message::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last handle may be dropped by code that runs on one of the threads.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                log::error!("an engine thread had panicked");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Shared {
    fn tell_all(&self, message: impl Fn() -> Message) {
        for thread in &self.threads {
            // A thread that has ended needs to be told nothing.
            drop(thread.inbox.send(message()));
        }
    }
}

impl HandshakeEngine for Engine {
    type Session = EngineSession;

    fn begin(&self) -> EngineSession {
        let shared = self.0.shared.clone();
        let sessions = |i: &usize| shared.threads[*i].sessions.load(Relaxed);
        let index = (0..shared.threads.len()).min_by_key(sessions).expect("an engine has a thread");
        let thread = &shared.threads[index];
        thread.sessions.fetch_add(1, Relaxed);
        let timer = shared.config.handshake_timeout.and_then(|limit| {
            let (timer, is_only_one) = thread.board.timers.start(limit)?;
            if is_only_one {
                drop(thread.inbox.send(Message::Wake));
            }
            Some(timer)
        });
        EngineSession { shared, index, timer }
    }
}

/// One handshake on an [`Engine`]: bound to the thread that had the fewest.
pub struct EngineSession {
    shared: Arc<Shared>,
    index: usize,
    timer: Option<Timer>,
}

impl EngineSession {
    fn thread(&self) -> &Thread {
        &self.shared.threads[self.index]
    }
}

impl Session for EngineSession {
    fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    async fn timeout(&self) {
        match &self.timer {
            Some(timer) => timer.await,
            None => std::future::pending().await,
        }
    }

    async fn run(&self, work: Work) -> Result<Finished, HandshakeError> {
        let (reply, result) = oneshot::channel();
        let number = self.shared.jobs.fetch_add(1, Relaxed);
        let inbox = &self.thread().inbox;
        inbox.send(Message::Run(Job { number, work, reply })).map_err(|_| HandshakeError::ShutDown)?;
        let mut pending = Pending { inbox, number, is_over: false };
        let result = result.await;
        pending.is_over = true;
        // A reply that was dropped went down with its thread.
        result.unwrap_or(Err(HandshakeError::ShutDown))
    }
}

impl Drop for EngineSession {
    fn drop(&mut self) {
        self.thread().sessions.fetch_sub(1, Relaxed);
    }
}

/// A job that a thread has: dropped before it is over, the thread is told.
struct Pending<'a> {
    inbox: &'a Sender<Message>,
    number: u64,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.inbox.send(Message::Cancel(self.number)));
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.0.shared.threads.len();
        f.debug_struct("Engine")
            .field("tier", &self.tier())
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}

//! The engine with threads of its own.

use super::gate::Gate;
use super::messages::{Board, Caller, Job, Message, News, Presence};
use super::pinning::Claim;
use super::report::{self, EngineStats};
use super::session::{HandshakeEngine, Session};
use super::timers::{Timer, Timers};
use super::wait::awaited;
use super::work::{Finished, Work};
use super::worker::Worker;
use super::{EngineConfig, HandshakeError};
use crate::arch::{Detection, Tier};
use crate::ops::Runner;
use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// An engine with threads of its own, for any runtime: the caller's task does the socket's reading and writing, and hands
/// the connection to one of the threads to be processed.
///
/// Futures on it are `Send`, need no tokio runtime, and a handshake stays on the thread that it began on. If
/// `accept` or `connect` is called in a tokio runtime, callbacks of the rustls configuration find it entered.
///
/// Cloning gives another handle to the same engine. Acceptors, connectors and handshakes in flight hold one
/// each; with the last one the threads end.
///
/// # Batches
/// A thread first takes everything that has arrived. When nothing is left and every fiber is parked, it runs the fullest
/// queue. While a batch runs, the next one gathers.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    config: EngineConfig,
    detection: Detection,
    gate: Gate,
    threads: Vec<Thread>,
    handles: Mutex<Vec<JoinHandle<()>>>,
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
        let (mut threads, mut handles) = (Vec::new(), Vec::new());
        for i in 0..config.threads.max(1) {
            let (inbox, messages) = crossbeam_channel::unbounded();
            let board = Arc::new(Board::default());
            let (config, tier, on_thread) = (config.clone(), detection.tier, board.clone());
            let cpu = if config.pin { Claim::new() } else { None };
            let serve = move || {
                let _presence = Presence(on_thread.clone());
                if let Some(cpu) = &cpu {
                    cpu.bind();
                }
                let runner = Runner::new(tier).measuring().with_break_even(config.break_even);
                Worker::new(&config, runner, messages, on_thread).serve();
            };
            handles.push(std::thread::Builder::new().name(format!("tls-batch-{i}")).spawn(serve)?);
            threads.push(Thread { inbox, board, sessions: AtomicUsize::new(0) });
        }
        let gate = Gate::new(config.max_in_flight);
        let (handles, jobs) = (Mutex::new(handles), AtomicU64::new(0));
        Ok(Self(Arc::new(Shared { config, detection, gate, threads, handles, jobs })))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.detection.tier
    }

    /// What the engine has done so far. A batch is counted before any of its handshakes goes on.
    pub fn stats(&self) -> EngineStats {
        let shared = &self.0;
        let mut stats = EngineStats::new(&shared.detection, &shared.gate);
        for thread in &shared.threads {
            let shown = thread.board.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(shown), Some(counts)) = (&*shown, thread.board.counts.get()) {
                stats.add_thread(&shown.batches, shown.runner, counts, &thread.board.calls);
            }
        }
        stats
    }

    /// Refuses new handshakes from now on, runs what is queued at once, and waits until those in flight have ended.
    pub async fn drain(&self) {
        self.0.gate.start_draining();
        self.0.tell_all(|| Message::Drain);
        self.0.gate.empty().await;
    }

    /// Ends every handshake in flight with [`HandshakeError::ShutDown`], refuses new ones, and waits for the threads to
    /// end, at most as long as a batch takes.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }
}

impl Shared {
    fn shutdown(&self) {
        self.gate.close();
        self.tell_all(|| Message::Stop);
        let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            // A callback, which runs on one of the threads, may have called this.
            if handle.thread().id() != std::thread::current().id() && handle.join().is_err() {
                log::error!("an engine thread had panicked");
            }
        }
    }

    fn tell_all(&self, message: impl Fn() -> Message) {
        for thread in &self.threads {
            // A thread that has ended needs to be told nothing.
            drop(thread.inbox.send(message()));
        }
    }
}

impl Drop for Shared {
    /// The threads end; they are not waited for, because the last handle may be dropped in a task, or under a
    /// lock.
    fn drop(&mut self) {
        self.tell_all(|| Message::Stop);
    }
}

impl Thread {
    /// A timer of this thread that expires after `limit`.
    fn start(&self, timers: &Timers, limit: Duration) -> Option<Timer> {
        let (timer, is_only_one) = timers.start(limit)?;
        if is_only_one {
            // It may be asleep without a deadline.
            drop(self.inbox.send(Message::Wake));
        }
        Some(timer)
    }
}

impl HandshakeEngine for Engine {
    type Session = EngineSession;

    fn begin(&self) -> EngineSession {
        let Shared { threads, config, .. } = &*self.0;
        let load = |i: &usize| {
            let Thread { board, sessions, .. } = &threads[*i];
            (board.has_ended.load(Relaxed), sessions.load(Relaxed))
        };
        let index = (0..threads.len()).min_by_key(load).expect("an engine has a thread");
        let thread = &threads[index];
        thread.sessions.fetch_add(1, Relaxed);
        let timer = config.handshake_timeout.and_then(|limit| thread.start(&thread.board.timers, limit));
        EngineSession { engine: self.clone(), index, timer, runtime: Handle::try_current().ok() }
    }
}

/// One handshake on an [`Engine`]: bound to the thread that had the fewest, of those that live. It keeps the
/// engine open.
pub struct EngineSession {
    engine: Engine,
    index: usize,
    timer: Option<Timer>,
    runtime: Option<Handle>,
}

impl EngineSession {
    fn thread(&self) -> &Thread {
        &self.engine.0.threads[self.index]
    }
}

impl Session for EngineSession {
    fn gate(&self) -> &Gate {
        &self.engine.0.gate
    }

    async fn timeout(&self) {
        match &self.timer {
            Some(timer) => timer.await,
            None => std::future::pending().await,
        }
    }

    async fn pause(&self, time: Duration) {
        let thread = self.thread();
        if let Some(timer) = thread.start(&thread.board.alerts, time) {
            (&timer).await;
        }
    }

    async fn run(&self, work: Work) -> Result<Finished, HandshakeError> {
        let number = self.engine.0.jobs.fetch_add(1, Relaxed);
        let inbox = &self.thread().inbox;
        let (told, mut news) = oneshot::channel();
        let caller = Caller { number, runtime: self.runtime.clone(), told: Some(told) };
        inbox.send(Message::Run(Job { work, caller })).map_err(|_| HandshakeError::ShutDown)?;
        let mut pending = Pending { inbox, number, is_over: false };
        loop {
            match news.await {
                Ok(News::Await(future)) => {
                    awaited(future).await?;
                    let (told, next) = oneshot::channel();
                    news = next;
                    inbox.send(Message::Resume(number, told)).map_err(|_| HandshakeError::ShutDown)?;
                }
                Ok(News::Ended(result)) => {
                    pending.is_over = true;
                    return result;
                }
                // Whoever could have told anything went down with its thread.
                Err(_) => {
                    pending.is_over = true;
                    return Err(HandshakeError::ShutDown);
                }
            }
        }
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
        let threads = self.0.threads.len();
        f.debug_struct("Engine")
            .field("tier", &self.tier())
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}

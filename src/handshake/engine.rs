//! The engine with threads of its own.

use super::asked::Asked;
use super::gate::Gate;
use super::job::{Job, Link, Tell};
use super::messages::{Message, Status};
use super::parked::unpanicking;
use super::pinning::Claim;
use super::report::{self, EngineStats};
use super::seat::Seats;
use super::session::{HandshakeEngine, Session};
use super::supervise::supervise;
use super::timers::{Timer, Timers};
use super::worker::Worker;
use super::{EngineConfig, HandshakeError};
use crate::arch::{Detection, Tier};
use crate::provider::answer::is_on_engine;
use crossbeam_channel::Sender;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// An engine with threads of its own, for any runtime: a future is polled on one of the threads, from its
/// beginning to its end, and whoever waits for it is woken once.
///
/// What is returned for a future is `Send` and needs no tokio runtime. If `accept`, `connect` or `run` is
/// called in a tokio runtime, that runtime is entered around each poll: sockets, timers and tasks work as
/// they do there.
///
/// A process that is forked leaves the threads in its parent: in the child, whatever is to run on the
/// engine fails at once with [`HandshakeError::Forked`]. A daemon makes its engine after it has forked.
///
/// Cloning gives another handle to the same engine. Acceptors, connectors and futures in flight hold one
/// each; with the last one the threads end.
///
/// # Batches
/// A handshake has one thread, chosen so that it meets others there and is not expected to end later for that
/// than [`latency_budget`](EngineConfig::latency_budget) says. A thread first takes everything that has
/// arrived. When nothing is left and every fiber is parked, it runs the fullest queue. While a batch runs,
/// the next one gathers.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    config: EngineConfig,
    detection: Detection,
    gate: Gate,
    threads: Vec<Thread>,
    seats: Seats,
    handles: Mutex<Vec<JoinHandle<()>>>,
    jobs: AtomicU64,
    /// The process that has the threads.
    process: u32,
}

/// How to reach one thread.
struct Thread {
    inbox: Sender<Message>,
    status: Arc<Status>,
}

impl Engine {
    /// Starts an engine with [`EngineConfig::threads`] threads.
    ///
    /// # Errors
    /// The operating system's, when it starts no thread.
    pub fn new(config: EngineConfig) -> io::Result<Self> {
        let detection = report::detect(&config);
        let (mut threads, mut handles) = (Vec::new(), Vec::new());
        let count = config.threads.max(1);
        let seats = Seats::new(count, config.latency_budget);
        for i in 0..count {
            let (inbox, messages) = crossbeam_channel::unbounded();
            let status = Arc::new(Status::default());
            let (config, on_thread, seat) = (config.clone(), status.clone(), seats.seat(i));
            let cpu = if config.pin { Claim::new() } else { None };
            let serve = move || {
                if let Some(cpu) = &cpu {
                    cpu.bind();
                }
                Worker::new(config, messages, on_thread, seat).serve();
            };
            handles.push(std::thread::Builder::new().name(format!("tls-batch-{i}")).spawn(serve)?);
            threads.push(Thread { inbox, status });
        }
        let gate = Gate::new(config.max_in_flight);
        let (handles, jobs, process) = (Mutex::new(handles), AtomicU64::new(0), std::process::id());
        Ok(Self(Arc::new(Shared { config, detection, gate, threads, seats, handles, jobs, process })))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.detection.tier
    }

    /// What the engine has done so far. A batch is counted before any of its handshakes goes on.
    pub fn stats(&self) -> EngineStats {
        let shared = &self.0;
        let mut stats = EngineStats::new(&shared.detection);
        shared.gate.report(&mut stats);
        for Thread { status, .. } in &shared.threads {
            let of_thread = status.stats.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(of_thread), Some(gauges)) = (&*of_thread, status.gauges.get()) {
                stats.add_thread(of_thread, gauges);
            }
        }
        stats
    }

    /// Polls `future` on fibers of one of the engine's threads until it is ready: whatever rustls does
    /// below a poll with keys, groups and verifiers of [`provider`](crate::provider) is batched with what
    /// other futures need.
    ///
    /// `future` is any handshake of tokio-rustls, or whatever contains one: a connector of hyper-rustls, a
    /// tower service's answer. Its handshake begins inside of it, because the call of `connect` makes the
    /// key shares:
    ///
    /// ```
    /// # use rustls_multibuffer::handshake::{Engine, tokio_rustls};
    /// # use std::{collections::HashMap, io, sync::Arc};
    /// # use tokio_rustls::{LazyConfigAcceptor, TlsConnector, rustls::ServerConfig};
    /// # type Stream = tokio::io::DuplexStream;
    /// async fn connect(engine: &Engine, connector: TlsConnector, socket: Stream) -> io::Result<()> {
    ///     let name = "localhost".try_into().expect("a name");
    ///     let stream = engine.run(async move { connector.connect(name, socket).await }).await??;
    ///     # drop(stream);
    ///     # Ok(())
    /// }
    ///
    /// type Configs = Arc<HashMap<String, Arc<ServerConfig>>>;
    ///
    /// async fn accept(engine: &Engine, configs: Configs, socket: Stream) -> io::Result<()> {
    ///     let stream = engine.run(async move {
    ///         let start = LazyConfigAcceptor::new(Default::default(), socket).await?;
    ///         let config = start.client_hello().server_name().and_then(|name| configs.get(name).cloned());
    ///         start.into_stream(config.ok_or(io::ErrorKind::NotFound)?).await
    ///     });
    ///     let stream = stream.await??;
    ///     # drop(stream);
    ///     # Ok(())
    /// }
    /// ```
    ///
    /// The engine treats it as a handshake: [`max_in_flight`](EngineConfig::max_in_flight) and
    /// [`handshake_timeout`](EngineConfig::handshake_timeout) hold for it, [`drain`](Self::drain) waits for
    /// it, and [`EngineStats`] count it, as succeeded if it ends by itself. So give it the handshake, not
    /// the connection's life. Dropping what is returned drops `future`; a poll that waits for its batch is
    /// first run to its end, without waiting again. Inside of a future that runs on an engine already,
    /// `run` is no more than an `await`.
    ///
    /// # What a poll must not hold
    /// A poll may be parked in the middle of a call of rustls, as at an `await`, while the same thread
    /// polls other futures. The frames above that call must hold nothing that those may need: no lock, no
    /// borrow of a `RefCell`, no entered span of `tracing` (`Instrument` enters one for the length of a
    /// poll, and other futures' events would be recorded in it), no scope of a task-local. What is acquired
    /// and released between two calls of rustls is fine. A poll must not block; calls that hold the thread
    /// for over 10 ms without parking are counted in [`EngineStats::long_calls`], and the first is logged.
    ///
    /// # Errors
    /// [`HandshakeError`], when the engine gives the future up: out of time, draining, shut down, or
    /// because a poll panicked.
    pub fn run<F>(&self, future: F) -> impl Future<Output = Result<F::Output, HandshakeError>> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (session, future) = (self.begin(), Box::pin(future));
        async move { supervise(&session, session.run(future)).await }
    }

    /// Refuses new handshakes from now on, runs what is queued at once, and waits until those in flight
    /// have ended.
    pub async fn drain(&self) {
        if self.0.is_forked() {
            return;
        }
        self.0.gate.start_draining();
        self.0.tell_all(|| Message::Drain);
        self.0.gate.empty().await;
    }

    /// Ends every handshake in flight with [`HandshakeError::ShutDown`], refuses new ones, and waits for
    /// the threads to end, at most as long as a batch takes.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }
}

impl Shared {
    /// Whether the threads are in another process. What they share with this one may be locked for ever.
    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    fn shutdown(&self) {
        if self.is_forked() {
            return;
        }
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
        if !self.is_forked() {
            self.tell_all(|| Message::Stop);
        }
    }
}

impl Thread {
    /// A timer of this thread that expires after `limit`.
    fn start(&self, timers: &Timers, limit: Duration) -> Option<Timer> {
        let (timer, is_only_one) = timers.start(limit)?;
        if is_only_one {
            // It may be asleep without a deadline.
            drop(self.inbox.send(Message::Timer));
        }
        Some(timer)
    }
}

impl HandshakeEngine for Engine {
    type Session = EngineSession;

    fn begin(&self) -> EngineSession {
        let Shared { threads, seats, config, .. } = &*self.0;
        let is_forked = self.0.is_forked();
        // What runs on an engine already is not given to a thread.
        let is_placed = !is_forked && !is_on_engine();
        let index = if is_placed { seats.place() } else { 0 };
        let thread = &threads[index];
        let limit = config.handshake_timeout.filter(|_| !is_forked);
        let timer = limit.and_then(|limit| thread.start(&thread.status.timers, limit));
        let link = Link::new(self.0.jobs.fetch_add(1, Relaxed), thread.inbox.clone());
        if !is_placed {
            link.begin();
        }
        let (engine, runtime) = (self.clone(), Handle::try_current().ok());
        EngineSession { engine, index, is_placed, timer, link, runtime }
    }
}

/// One handshake on an [`Engine`], bound to one of its threads. It keeps the engine open.
pub struct EngineSession {
    engine: Engine,
    index: usize,
    /// Whether it counts as one of the thread's.
    is_placed: bool,
    timer: Option<Timer>,
    link: Arc<Link>,
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

    fn unusable(&self) -> Option<HandshakeError> {
        self.engine.0.is_forked().then_some(HandshakeError::Forked)
    }

    fn asked(&self) -> &Asked {
        &self.link.asked
    }

    async fn timeout(&self) {
        match &self.timer {
            Some(timer) => timer.await,
            None => std::future::pending().await,
        }
    }

    async fn pause(&self, time: Duration) {
        let thread = self.thread();
        if let Some(timer) = thread.start(&thread.status.alerts, time) {
            (&timer).await;
        }
    }

    async fn run<F>(&self, future: Pin<Box<F>>) -> Result<F::Output, HandshakeError>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        if is_on_engine() {
            return Ok(future.await);
        }
        let (inbox, link) = (&self.thread().inbox, &self.link);
        let (tell, told) = oneshot::channel();
        let task = Box::pin(async move {
            let result = unpanicking(future).await;
            // Whoever has gone meanwhile needs to be told nothing.
            Box::new(|| drop(tell.send(result))) as Tell
        });
        let job = Job { task, link: link.clone(), runtime: self.runtime.clone() };
        inbox.send(Message::Run(job)).map_err(|_| HandshakeError::ShutDown)?;
        let mut pending = Pending { inbox, link, is_over: false };
        let result = told.await;
        pending.is_over = true;
        match link.failure.get() {
            Some(why) => Err(why.clone()),
            // Whoever could have told anything went down with its thread.
            None => result.unwrap_or(Err(HandshakeError::ShutDown)),
        }
    }
}

impl Drop for EngineSession {
    fn drop(&mut self) {
        let shared = &self.engine.0;
        if !self.is_placed || shared.is_forked() {
            return;
        }
        if self.link.begin() {
            shared.seats.withdraw(self.index);
        } else {
            shared.seats.end(self.index);
        }
    }
}

/// A job that a thread has: dropped before it is over, the thread is told.
struct Pending<'a> {
    inbox: &'a Sender<Message>,
    link: &'a Link,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.link.is_cancelled.store(true, Relaxed);
            drop(self.inbox.send(Message::Cancel(self.link.number)));
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

//! The engine for thread-per-core runtimes: fibers run on the caller's thread, without a hop.

use super::alarm::Alarm;
use super::asked::Asked;
use super::gate::Gate;
use super::parked::{Parked, Step};
use super::session::{HandshakeEngine, Session};
use super::supervise::supervise;
use super::{Batcher, EngineConfig, EngineStats, HandshakeError};
use crate::arch::Tier;
use crate::batch::Load;
use crate::provider::answer::is_on_engine;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// An engine that lives on one thread: for tokio's current-thread runtime, or a `LocalSet`.
///
/// Cloning gives another handle to the same engine. Acceptors, connectors and handshakes in flight hold one
/// each.
///
/// # Batches
/// The first handshake that parks leads: it yields to the runtime, which runs every other ready task and
/// looks at the network, until such a round brings no further request; then it runs the fullest queue and
/// resumes those that waited. No task is spawned for that, and the only handshake in flight waits for no
/// round at all. If the leader's future is kept but not polled, the others wait no longer than
/// [`poll_delay`](EngineConfig::poll_delay) or, without one, [`max_wait`](EngineConfig::max_wait).
///
/// The runtime's clock must be enabled (`enable_time`) and, on Linux with a
/// [`poll_delay`](EngineConfig::poll_delay), its sockets, too (`enable_io`).
#[derive(Clone)]
pub struct LocalEngine(Rc<Shared>);

struct Shared {
    gate: Gate,
    /// Whoever waits for an answer is woken by what it has parked: there is nothing to be named.
    batcher: Batcher<()>,
    /// One permit for each fiber that may exist: more wait in order.
    permits: Semaphore,
    /// Whoever holds the permit leads; the longest-waiting follows.
    leadership: Semaphore,
    /// Ends the pause of the leader.
    alarm: Alarm,
}

impl LocalEngine {
    /// An engine for the calling thread. `threads` and `pin` of the configuration have no meaning here.
    pub fn new(config: EngineConfig) -> Self {
        Self(Rc::new(Shared {
            gate: Gate::new(config.max_in_flight),
            permits: Semaphore::new(config.max_parked.clamp(1, Semaphore::MAX_PERMITS)),
            batcher: Batcher::new(config),
            leadership: Semaphore::new(1),
            alarm: Alarm::default(),
        }))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.batcher.tier()
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> EngineStats {
        let mut stats = self.0.batcher.stats();
        self.0.gate.report(&mut stats);
        stats
    }

    /// Polls `future` on fibers until it is ready, in the task that awaits what is returned: whatever
    /// rustls does below a poll with keys, groups and verifiers of [`provider`](crate::provider) is batched
    /// with what other tasks of the thread need.
    ///
    /// [`Engine::run`](super::Engine::run) says what may be run, how the engine treats it, and what a poll
    /// must not hold. Here `future` need not be `Send`.
    ///
    /// # Errors
    /// [`HandshakeError`], when the engine gives the future up: out of time, draining, shut down, or
    /// because a poll panicked.
    pub fn run<F>(&self, future: F) -> impl Future<Output = Result<F::Output, HandshakeError>> + use<F>
    where
        F: Future + 'static,
    {
        let (session, future) = (self.begin(), Box::pin(future));
        async move { supervise(&session, Box::pin(session.poll(future))).await }
    }

    /// Refuses new handshakes from now on, runs what is queued at once, and waits until those in flight
    /// have ended.
    pub async fn drain(&self) {
        let shared = &self.0;
        shared.gate.start_draining();
        while shared.run_batch(Load::Draining) {}
        shared.gate.empty().await;
    }

    /// Ends every handshake in flight with [`HandshakeError::ShutDown`], and refuses new ones.
    pub fn shutdown(&self) {
        self.0.gate.close();
    }
}

impl HandshakeEngine for LocalEngine {
    type Session = LocalSession;

    fn begin(&self) -> LocalSession {
        let began = Instant::now();
        let limit = self.0.batcher.config().handshake_timeout;
        let deadline = limit.and_then(|limit| began.checked_add(limit));
        LocalSession { shared: self.0.clone(), deadline, asked: Asked::default() }
    }
}

/// One handshake on a [`LocalEngine`]. It keeps the engine open.
pub struct LocalSession {
    shared: Rc<Shared>,
    deadline: Option<Instant>,
    asked: Asked,
}

impl Session for LocalSession {
    fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    fn asked(&self) -> &Asked {
        &self.asked
    }

    async fn timeout(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn run<F>(&self, future: Pin<Box<F>>) -> impl Future<Output = Result<F::Output, HandshakeError>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Box::pin(self.poll(future))
    }
}

impl LocalSession {
    /// Polls `future` on fibers until it is ready. To be boxed: whoever spawns it, or passes it on, moves all
    /// of it.
    async fn poll<F: Future + 'static>(&self, mut future: Pin<Box<F>>) -> Result<F::Output, HandshakeError> {
        if is_on_engine() {
            return Ok(future.await);
        }
        loop {
            let has_parked;
            (future, has_parked) = match self.shared.poll_once(future, &self.asked).await? {
                Once::Ready(output) => return Ok(*output),
                Once::Pending { future, has_parked } => (future, has_parked),
            };
            // What happened while the poll was parked has woken a task that had nothing to do about it.
            if !has_parked {
                woken().await;
            }
        }
    }
}

/// What came of one poll.
enum Once<F: Future> {
    Ready(Box<F::Output>),
    Pending { future: Pin<Box<F>>, has_parked: bool },
}

/// Ready when the task is polled again.
async fn woken() {
    let mut is_first = true;
    poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

impl Shared {
    /// One poll of `future` on a fiber, which may be parked in between.
    async fn poll_once<F: Future + 'static>(
        &self,
        mut future: Pin<Box<F>>,
        asked: &Asked,
    ) -> Result<Once<F>, HandshakeError> {
        let _permit = self.permits.acquire().await.map_err(|_| HandshakeError::ShutDown)?;
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let poll = move || {
            // In a box: nothing large is to wait in the task for what a fiber waits for.
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker)).map(Box::new);
            (future, poll)
        };
        self.look_for_company();
        let mut step = self.batcher.poll((), poll);
        let mut has_parked = false;
        loop {
            self.batcher.take_asked(asked);
            step = match step {
                Step::Done((_, Poll::Ready(output))) => return Ok(Once::Ready(output)),
                Step::Done((future, Poll::Pending)) => return Ok(Once::Pending { future, has_parked }),
                Step::Failed(why) => return Err(why),
                // Dropped while it waits, the future gives the poll up.
                Step::Parked(parked) => {
                    self.answered(&parked).await;
                    self.look_for_company();
                    parked.resume()
                }
                Step::Awaits(mut awaiting) => {
                    poll_fn(|cx| awaiting.poll(cx)).await?;
                    self.look_for_company();
                    awaiting.resume()
                }
            };
            has_parked = true;
        }
    }

    /// To be called before a fiber runs. With no other handshake admitted, neither a queue nor a round of the
    /// runtime would bring its requests company: their price is saved.
    fn look_for_company(&self) {
        self.batcher.set_alone(self.gate.in_flight() == 1);
    }

    /// Waits for the answer to a request that was queued, leading if nobody does.
    async fn answered<R>(&self, parked: &Parked<(), R>) {
        while self.run_batch(Load::Busy) {}
        let leads = Cell::new(false);
        let mut lead = pin!(self.lead(&leads));
        let mut patience = pin!(self.patience());
        poll_fn(|cx| {
            // An answer that is there already costs neither a waker nor a look at the leadership.
            if parked.is_answered() {
                return Poll::Ready(());
            }
            let Poll::Pending = lead.as_mut().poll(cx);
            if !leads.get() {
                let Poll::Pending = patience.as_mut().poll(cx);
            }
            parked.poll(cx)
        })
        .await;
    }

    /// How busy the thread is when nothing came that could bring further requests.
    fn load_without_news(&self) -> Load {
        if self.gate.is_draining() { Load::Draining } else { Load::Idle }
    }

    /// Runs the batch that is due, if one is.
    fn run_batch(&self, load: Load) -> bool {
        !self.batcher.run_batch(Instant::now(), load).is_empty()
    }

    /// Waits until there is no leader, and then leads until dropped.
    async fn lead(&self, leads: &Cell<bool>) -> Infallible {
        let _leadership = self.leadership.acquire().await;
        leads.set(true);
        loop {
            let before = self.batcher.requests();
            self.pause().await;
            let brought_nothing = self.batcher.requests() == before;
            let is_idle = brought_nothing || self.gate.is_draining();
            self.run_batch(if is_idle { self.load_without_news() } else { Load::Busy });
        }
    }

    /// Runs what is overdue: whoever leads may have stopped polling its future without dropping it.
    async fn patience(&self) -> Infallible {
        loop {
            match self.batcher.next_deadline() {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
            while self.run_batch(Load::Busy) {}
        }
    }

    /// Lets everything else on this thread run; with a poll delay, until it has passed or another batch is
    /// due.
    async fn pause(&self) {
        let deadline = self.batcher.next_deadline();
        let left = deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        let may_sleep = !self.batcher.config().poll_delay.is_zero() && !self.gate.is_draining();
        if may_sleep && !left.is_zero() {
            self.alarm.sleep(left).await;
        } else {
            yield_now().await;
        }
    }
}

impl fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEngine").field("tier", &self.tier()).finish_non_exhaustive()
    }
}

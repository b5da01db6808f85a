//! The engine for thread-per-core runtimes: fibers run on the caller's thread, without a hop.

use super::asked::Asked;
use super::batches;
use super::calls::Calls;
use super::gate::Gate;
use super::job::unpanicking;
use super::report::{self, EngineStats};
use super::session::{HandshakeEngine, Session};
use super::supervise::supervise;
use super::{EngineConfig, HandshakeError};
use crate::arch::{Detection, Tier};
use crate::batch::{Load, Queue};
use crate::error::Error;
use crate::fiber::{Fibers, Step};
use crate::ops::{Request, Runner};
use crate::provider::answer::{Answer, Ask, Reply, is_on_engine};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};
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
/// [`max_wait`](EngineConfig::max_wait).
///
/// The runtime's clock must be enabled (`enable_time`).
#[derive(Clone)]
pub struct LocalEngine(Rc<Shared>);

struct Shared {
    config: EngineConfig,
    detection: Detection,
    gate: Gate,
    fibers: Fibers<Ask, Reply>,
    calls: Calls,
    /// One permit for each fiber that may exist: more wait in order.
    permits: Semaphore,
    queue: RefCell<Queue<Ticket, Request>>,
    runner: RefCell<Runner>,
    /// How many requests were ever made; also the next one's number.
    requests: Cell<u64>,
    /// Whoever holds the permit leads; the longest-waiting follows.
    leadership: Semaphore,
}

/// Whom to tell the answer to a request.
#[derive(Debug)]
struct Ticket {
    number: u64,
    reply: oneshot::Sender<Answer>,
}

impl LocalEngine {
    /// An engine for the calling thread. `threads` and `pin` of the configuration have no meaning here.
    pub fn new(config: EngineConfig) -> Self {
        let detection = report::detect(&config);
        let runner = Runner::new(detection.tier).measuring().with_break_even(config.break_even);
        Self(Rc::new(Shared {
            gate: Gate::new(config.max_in_flight),
            fibers: Fibers::new(config.stack_size),
            calls: Calls::default(),
            permits: Semaphore::new(config.max_parked.clamp(1, Semaphore::MAX_PERMITS)),
            queue: RefCell::new(batches::queue(&config, &runner)),
            runner: RefCell::new(runner),
            requests: Cell::new(0),
            leadership: Semaphore::new(1),
            config,
            detection,
        }))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.detection.tier
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> EngineStats {
        let shared = &self.0;
        let mut stats = EngineStats::new(&shared.detection, &shared.gate);
        let (queue, runner) = (shared.queue.borrow(), shared.runner.borrow());
        stats.add_thread(queue.stats(), runner.counters(), &shared.fibers.counts(), &shared.calls);
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
        let deadline = self.0.config.handshake_timeout.and_then(|limit| began.checked_add(limit));
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
        // Looked at in a function of its own: what is borrowed here would stay in the future.
        let seen = |step| {
            if let Step::Parked(_, ask) = &step {
                asked.note(ask);
            }
            step
        };
        let started = self.calls.watch(|| self.fibers.poll(poll));
        let mut step = seen(started.map_err(|e| HandshakeError::NoStack(e.kind()))?);
        let mut has_parked = false;
        loop {
            let (fiber, reply) = match step {
                Step::Done((_, Poll::Ready(output))) => return Ok(Once::Ready(output)),
                Step::Done((future, Poll::Pending)) => return Ok(Once::Pending { future, has_parked }),
                Step::Panicked(panic) => return Err(panic.into()),
                Step::Parked(fiber, Ask::InBatch(request)) => {
                    // Dropped here, the future withdraws the request first and then ends the fiber.
                    let answer = self.answer(self.submit(request)).await;
                    (fiber, Reply::Answer(answer))
                }
                Step::Parked(fiber, Ask::AtOnce(request)) => {
                    (fiber, Reply::Answer(self.answer_at_once(&request)))
                }
                Step::Parked(fiber, Ask::Await(future)) => {
                    unpanicking(future).await?;
                    (fiber, Reply::Awaited)
                }
            };
            has_parked = true;
            step = seen(self.calls.watch(|| fiber.resume(reply)));
        }
    }

    fn answer_at_once(&self, request: &Request) -> Answer {
        self.calls.at_once.fetch_add(1, Relaxed);
        batches::run_alone(&mut self.runner.borrow_mut(), request)
    }

    /// Waits for the answer to a request that was queued, leading if nobody does.
    async fn answer(&self, submitted: Result<Waiting<'_>, Error>) -> Answer {
        let mut waiting = submitted?;
        let leads = Cell::new(false);
        let mut lead = pin!(self.lead(&leads));
        let mut patience = pin!(self.patience());
        poll_fn(|cx| {
            // An answer that is there already costs neither a waker nor a look at the leadership.
            if let Some(answer) = waiting.try_answer() {
                return Poll::Ready(answer);
            }
            let Poll::Pending = lead.as_mut().poll(cx);
            if !leads.get() {
                let Poll::Pending = patience.as_mut().poll(cx);
            }
            if let Some(answer) = waiting.try_answer() {
                return Poll::Ready(answer);
            }
            waiting.poll_answer(cx)
        })
        .await
    }

    fn submit(&self, request: Request) -> Result<Waiting<'_>, Error> {
        let number = self.requests.get();
        self.requests.set(number + 1);
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket { number, reply };
        let pushed = self.queue.borrow_mut().push(Instant::now(), request.op(), ticket, request);
        pushed.map_err(|_refused| Error::QueueFull)?;
        let waiting = Waiting { shared: self, number, answer };
        while self.run_batch(Load::Busy) {}
        // With no other handshake admitted, a round of the runtime would bring no company: its price is
        // saved.
        if self.gate.in_flight() == 1 {
            self.run_batch(self.load_without_news());
        }
        Ok(waiting)
    }

    /// How busy the thread is when nothing came that could bring further requests.
    fn load_without_news(&self) -> Load {
        if self.gate.is_draining() { Load::Draining } else { Load::Idle }
    }

    /// Runs the batch that is due, if one is, and answers its requests.
    fn run_batch(&self, load: Load) -> bool {
        let Some(batch) = self.queue.borrow_mut().next(Instant::now(), load) else { return false };
        let answers = batches::run(&mut self.runner.borrow_mut(), batch);
        for (ticket, answer) in answers {
            // Whoever withdrew meanwhile needs no answer.
            drop(ticket.reply.send(answer));
        }
        true
    }

    /// Waits until there is no leader, and then leads until dropped.
    async fn lead(&self, leads: &Cell<bool>) -> Infallible {
        let _leadership = self.leadership.acquire().await;
        leads.set(true);
        loop {
            let before = self.requests.get();
            self.pause().await;
            let brought_nothing = self.requests.get() == before;
            let is_idle = brought_nothing || self.gate.is_draining();
            self.run_batch(if is_idle { self.load_without_news() } else { Load::Busy });
        }
    }

    /// Runs what is overdue: whoever leads may have stopped polling its future without dropping it.
    async fn patience(&self) -> Infallible {
        loop {
            let deadline = self.queue.borrow().next_deadline();
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
            while self.run_batch(Load::Busy) {}
        }
    }

    /// Lets everything else on this thread run; with a poll delay, until it has passed or another batch is
    /// due.
    async fn pause(&self) {
        let deadline = self.queue.borrow().next_deadline();
        let left = deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        // tokio's timers count whole milliseconds: the rest of the delay is spent on rounds of the runtime.
        let coarse = left.saturating_sub(Duration::from_millis(1));
        let may_sleep = !self.config.poll_delay.is_zero() && !self.gate.is_draining();
        if may_sleep && coarse > Duration::from_millis(1) {
            tokio::time::sleep(coarse).await;
        } else {
            yield_now().await;
        }
    }
}

/// A request that is queued or answered: withdrawn when dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Waiting<'_> {
    fn try_answer(&mut self) -> Option<Answer> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            // The batch was lost on its way, to a panic.
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(Error::Cancelled)),
        }
    }

    fn poll_answer(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(Error::Cancelled)))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answer.is_terminated() {
            self.shared.queue.borrow_mut().cancel(|ticket| ticket.number == self.number);
        }
    }
}

impl fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEngine").field("tier", &self.tier()).finish_non_exhaustive()
    }
}

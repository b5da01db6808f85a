//! One thread's fibers, queue and runner: what every engine stands on. It knows no runtime.

use super::asked::Asked;
use super::parked::{Awaiting, Fiber, Parked, Slot, Step, Waiting};
use super::report::{self, EngineStats, Gauges, ThreadStats};
use super::{EngineConfig, HandshakeError};
use crate::arch::{Detection, Tier, TierKind};
use crate::batch::{Batch, Load, Policy, Queue};
use crate::error::Error;
use crate::fiber::{self, Fibers, contained};
use crate::ops::{Request, Runner};
use crate::provider::answer::{Answer, Ask, Reply};
use std::array::from_fn;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// The lanes of the widest tier: no batch has more requests.
const MAX_LANES: usize = TierKind::Avx512Ifma.lanes();

/// Gathers the public-key operations of one thread's handshakes without any runtime: for event loops on
/// epoll, kqueue or mio, which call rustls from their readiness handlers.
///
/// A handler gives each call that does cryptography to [`start`](Self::start), together with a `key` by
/// which the loop knows the connection. As a rule that is
/// [`process_new_packets`](rustls::ConnectionCommon::process_new_packets) while
/// [`is_handshaking`](rustls::CommonState::is_handshaking), and [`ClientConnection::new`], which makes key
/// shares. The call owns the connection. If it comes to an end, the connection is back at once; if it waits
/// for a batch, there is a [`Parked`] to be kept in the connection's place. At the end of each round of
/// events the loop calls [`turn`](Self::turn), until it names no connection that can go on, and then waits
/// for events no longer than [`timeout`](Self::timeout). `examples/mio.rs` is a whole server.
///
/// What a call must not hold is said at [`Engine::run`](super::Engine::run). Timeouts and limits of what is
/// in flight are the loop's, by dropping what is parked: [`threads`](EngineConfig::threads),
/// [`pin`](EngineConfig::pin), [`max_in_flight`](EngineConfig::max_in_flight) and
/// [`handshake_timeout`](EngineConfig::handshake_timeout) have no meaning here. Beyond
/// [`max_parked`](EngineConfig::max_parked) no operation is parked: aws-lc-rs does it at once.
///
/// Cloning gives another handle to the same batcher, which stays on its thread.
///
/// ```
/// use rustls::{ClientConnection, ServerConnection};
/// use rustls_multibuffer::handshake::{Batcher, EngineConfig, Parked, Step};
/// use rustls_multibuffer::provider::default_provider;
/// use std::time::Instant;
///
/// type Processed = (ServerConnection, Result<(), rustls::Error>);
///
/// fn process(batcher: &Batcher<u32>, key: u32, mut connection: ServerConnection) -> Step<u32, Processed> {
///     batcher.start(key, move || {
///         let result = connection.process_new_packets().map(drop);
///         (connection, result)
///     })
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
/// # let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der())?;
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(issued.cert.der().clone())?;
/// # let provider = std::sync::Arc::new(default_provider());
/// # let config = rustls::ServerConfig::builder_with_provider(provider.clone())
/// #     .with_safe_default_protocol_versions()?
/// #     .with_no_client_auth()
/// #     .with_single_cert(vec![issued.cert.der().clone()], key)?;
/// # let client_config = rustls::ClientConfig::builder_with_provider(provider)
/// #     .with_safe_default_protocol_versions()?
/// #     .with_root_certificates(roots)
/// #     .with_no_client_auth();
/// let batcher = Batcher::new(EngineConfig::default());
/// let mut connection = ServerConnection::new(config.into())?;
/// # let mut client = ClientConnection::new(client_config.into(), "localhost".try_into()?)?;
/// # let mut hello = Vec::new();
/// # client.write_tls(&mut hello)?;
/// connection.read_tls(&mut hello.as_slice())?;
/// let mut step = process(&batcher, 7, connection);
/// let connection = loop {
///     match step {
///         Step::Done((connection, result)) => {
///             result?;
///             break connection;
///         }
///         // Other connections' events come here.
///         Step::Parked(parked) => {
///             let ready = batcher.turn(Instant::now());
///             assert!(ready.is_empty() || ready == [7]);
///             step = parked.resume();
///         }
///         // There is no executor: whoever called `wait` has to do without.
///         Step::Awaits(awaiting) => step = awaiting.resume(),
///         Step::Failed(e) => return Err(e.into()),
///     }
/// };
/// assert!(connection.wants_write(), "the server's first flight");
/// # Ok(()) }
/// ```
///
/// [`ClientConnection::new`]: rustls::ClientConnection::new
pub struct Batcher<K>(Rc<Inner<K>>);

struct Inner<K> {
    config: EngineConfig,
    detection: Detection,
    fibers: Fibers<Ask, Reply>,
    queue: RefCell<Queue<Ticket<K>, Request>>,
    /// Empty but while a batch runs: room for its answers.
    answers: Cell<Vec<Answer>>,
    runner: RefCell<Runner>,
    gauges: Gauges,
    /// Whether requests have nobody to wait for.
    is_alone: Cell<bool>,
    /// What was asked for since [`Batcher::take_asked`].
    asked: Asked,
    /// How many requests were ever made.
    requests: Cell<u64>,
    /// How many of them before the last turn; `u64::MAX` if a batch has run since.
    seen: Cell<u64>,
    /// What the batches since [`Batcher::take_costs`] would have cost, had each of their requests been alone,
    /// and what full batches would have saved of that.
    costs: Cell<(Duration, Duration)>,
    /// Whether the statistics have changed since [`Batcher::changed_stats`].
    stats_changed: Cell<bool>,
}

/// Whose a request is.
struct Ticket<K> {
    key: K,
    slot: Rc<Slot>,
}

impl<K> Drop for Ticket<K> {
    /// However the request has left the queue, whoever waits for it goes on.
    fn drop(&mut self) {
        self.slot.leave();
    }
}

impl<K: Copy> Batcher<K> {
    /// A batcher for the calling thread. The first one in a process takes 30 to 70 ms, for tables and for
    /// the seed of aws-lc's random generator.
    pub fn new(config: EngineConfig) -> Self {
        let detection = report::detect(&config);
        let runner = Runner::new(detection.tier).measuring().with_break_even(config.break_even);
        let EngineConfig { poll_delay, max_wait, queue_bound: bound, gather, stack_size, .. } = config;
        let capacity = |op| runner.capacity(op).max(gather);
        let queue = RefCell::new(Queue::new(Policy { poll_delay, max_wait, bound }, capacity));
        let fibers = Fibers::new(stack_size);
        Self(Rc::new(Inner {
            gauges: Gauges::new(fibers.counts()),
            config,
            detection,
            fibers,
            is_alone: Cell::new(false),
            queue,
            answers: Cell::default(),
            runner: RefCell::new(runner),
            asked: Asked::default(),
            requests: Cell::new(0),
            seen: Cell::new(0),
            costs: Cell::default(),
            stats_changed: Cell::new(true),
        }))
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.0.detection.tier
    }

    /// What was done so far. Handshakes are not counted, because the batcher does not know where one begins
    /// and ends: what [`EngineStats`] says of them, from `unaccelerated` on, is zero.
    pub fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::new(&self.0.detection);
        stats.add_thread(&self.thread_stats(), &self.0.gauges);
        stats
    }

    /// Runs `call` on a fiber until it ends, or waits for a batch. Signatures, key exchanges and
    /// verifications below it, with keys, groups and verifiers of [`provider`](crate::provider), are
    /// batched with those of other calls.
    pub fn start<R: 'static>(&self, key: K, call: impl FnOnce() -> R + 'static) -> Step<K, R> {
        // What goes onto a fiber's stack has to be small.
        let call = Box::new(call);
        let (step, at) = self.0.gauges.calls.watch(|| self.0.fibers.start(call));
        self.see_to(key, step, at)
    }

    /// Says whether calls that are run from now on are the only ones on the thread that could ask for
    /// anything. What they ask for is then done at once: for engines whose statistics can be read at any
    /// time, because the handshake goes on before anybody is told of the batch.
    pub(super) fn set_alone(&self, is_alone: bool) {
        self.0.is_alone.set(is_alone && self.0.config.poll_delay.is_zero());
    }

    /// Runs one `poll` of a future on a fiber, which gives the future back with what came of it.
    pub(super) fn poll<T, O, F>(&self, key: K, poll: F) -> Step<K, (T, Poll<O>)>
    where
        T: 'static,
        O: 'static,
        F: FnOnce() -> (T, Poll<O>) + 'static,
    {
        let (step, at) = self.0.gauges.calls.watch(|| self.0.fibers.poll(poll));
        self.see_to(key, step, at)
    }

    /// Runs the batch that is due, if one is, and names the connections whose [`Parked`] can be resumed: none
    /// if nothing is due. To be called at the end of each round of events, and again while it names any.
    ///
    /// A full batch is due, and so is one whose first request has waited for
    /// [`poll_delay`](EngineConfig::poll_delay), or for [`max_wait`](EngineConfig::max_wait). Without a
    /// `poll_delay`, the fullest one is due as soon as no request has come, and no batch has run, since the
    /// turn before: the loop has had a look at the network meanwhile, which brought no company.
    #[must_use = "nothing else says who can go on"]
    pub fn turn(&self, now: Instant) -> Vec<K> {
        let requests = self.requests();
        let is_idle = self.0.seen.replace(requests) == requests;
        let answered = self.run_batch(now, if is_idle { Load::Idle } else { Load::Busy });
        if !answered.is_empty() {
            // Batches take long: company may have come meanwhile.
            self.0.seen.set(u64::MAX);
        }
        answered
    }

    /// How long the event loop may wait for events before the next [`turn`](Self::turn). `None`: nothing
    /// waits for a batch.
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.0.config.poll_delay.is_zero() {
            return (!self.0.queue.borrow().is_empty()).then_some(Duration::ZERO);
        }
        self.next_deadline().map(|deadline| deadline.saturating_duration_since(now))
    }

    /// When a batch is due whatever the load is.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.queue.borrow().next_deadline()
    }

    /// Runs the batch that is due with this load, if one is, and says who is answered.
    pub(super) fn run_batch(&self, now: Instant, load: Load) -> Vec<K> {
        let Some(batch) = self.0.queue.borrow_mut().next(now, load) else { return Vec::new() };
        let Batch { op, entries, .. } = batch;
        let mut answers = self.0.answers.take();
        let capacity = self.0.runner.borrow().capacity(op);
        for entries in entries.chunks(capacity) {
            // An array, so that nothing is allocated; lanes without a request are cut off.
            let lanes: [_; MAX_LANES] = from_fn(|lane| &entries[lane.min(entries.len() - 1)].request);
            let requests = &lanes[..entries.len()];
            self.answer(requests, &mut answers);
            self.note_costs(requests);
        }
        debug_assert_eq!(answers.len(), entries.len());
        for (entry, answer) in entries.iter().zip(answers.drain(..)) {
            entry.ticket.slot.answer(answer);
        }
        self.0.answers.set(answers);
        entries.iter().map(|entry| entry.ticket.key).collect()
    }

    fn note_costs(&self, requests: &[&Request]) {
        let (runner, mut costs) = (self.0.runner.borrow(), self.0.costs.get());
        for op in requests.iter().flat_map(|request| request.parts()) {
            let (alone, savings) = runner.alone_and_savings(op);
            costs = (costs.0 + alone, costs.1 + savings);
        }
        self.0.costs.set(costs);
    }

    fn answer(&self, requests: &[&Request], answers: &mut Vec<Answer>) {
        self.0.stats_changed.set(true);
        let mut runner = self.0.runner.borrow_mut();
        let panicked = runner.counters().panicked;
        runner.run(requests, answers);
        let has_panicked = runner.counters().panicked > panicked;
        let measured: Vec<_> = std::iter::from_fn(|| runner.changed_break_even()).collect();
        drop(runner);
        if has_panicked {
            let op = requests.first().map_or("nothing", |request| request.op().name());
            // The logger is anybody's, and somebody waits for these answers.
            let _told =
                contained(|| log::error!("a batch of {op} panicked and was recomputed by aws-lc-rs: a bug"));
        }
        for measured in measured {
            let _told = contained(|| log::debug!("{measured}"));
        }
    }

    /// The answer to a request that waits for nobody.
    fn answer_at_once(&self, request: &Request) -> Answer {
        let mut answers = Vec::with_capacity(1);
        self.answer(&[request], &mut answers);
        answers.pop().expect("one for each request")
    }

    /// Resumes a fiber.
    pub(super) fn resume<R>(&self, key: K, fiber: Fiber<R>, reply: Reply) -> Step<K, R> {
        let (step, at) = self.0.gauges.calls.watch(|| fiber.resume(reply));
        self.see_to(key, Ok(step), at)
    }

    /// Sees to what a fiber asks for, until it has to wait or has ended. `at` is when it parked.
    fn see_to<R>(&self, key: K, step: io::Result<fiber::Step<Ask, Reply, R>>, mut at: Instant) -> Step<K, R> {
        let mut step = match step {
            Ok(step) => step,
            Err(e) => return Step::Failed(HandshakeError::NoStack(e.kind())),
        };
        loop {
            let (fiber, ask) = match step {
                fiber::Step::Done(result) => return Step::Done(result),
                fiber::Step::Panicked(panic) => return Step::Failed(panic.into()),
                fiber::Step::Parked(fiber, ask) => (fiber, ask),
            };
            self.0.asked.note(&ask);
            let answer = match ask {
                Ask::Await { future, .. } => {
                    return Step::Awaits(Awaiting::new(future, fiber, key, self.clone()));
                }
                Ask::AtOnce(request) => {
                    self.0.gauges.calls.at_once.fetch_add(1, Relaxed);
                    self.answer_at_once(&request)
                }
                Ask::InBatch(request) if self.0.is_alone.get() => {
                    self.0.queue.borrow_mut().pass(request.op());
                    self.note_costs(&[&request]);
                    self.answer_at_once(&request)
                }
                Ask::InBatch(request) => match self.submit(key, request, at) {
                    Some(waiting) => return Step::Parked(Parked::new(waiting, fiber, key)),
                    None => Err(Error::QueueFull),
                },
            };
            (step, at) = self.0.gauges.calls.watch(|| fiber.resume(Reply::Answer(answer)));
        }
    }

    /// Queues a request, if there is room for it and for one more who waits.
    fn submit(&self, key: K, request: Request, now: Instant) -> Option<Waiting<K>> {
        let (inner, slot) = (&*self.0, Rc::new(Slot::default()));
        let mut queue = inner.queue.borrow_mut();
        let pushed = if inner.gauges.fibers.live() > inner.config.max_parked.max(1) {
            queue.refuse(request.op());
            None
        } else {
            let ticket = Ticket { key, slot: slot.clone() };
            queue.push(now, request.op(), ticket, request).ok()
        };
        match pushed {
            Some(()) => inner.requests.set(inner.requests.get() + 1),
            None => inner.stats_changed.set(true),
        }
        pushed.map(|()| Waiting::new(slot, self.clone()))
    }

    /// Whether one more fiber may be started: it may park.
    pub(super) fn has_room(&self) -> bool {
        self.0.gauges.fibers.live() < self.0.config.max_parked.max(1)
    }

    /// Whether a batch is due with this load.
    pub(super) fn is_due(&self, now: Instant, load: Load) -> bool {
        self.0.queue.borrow().is_due(now, load)
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.queue.borrow().len()
    }

    /// What the batches since the call before would have cost, had each of their requests been alone, and
    /// what full batches would have saved of that.
    pub(super) fn take_costs(&self) -> (Duration, Duration) {
        self.0.costs.take()
    }

    /// How many requests were ever queued.
    pub(super) fn requests(&self) -> u64 {
        self.0.requests.get()
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    pub(super) fn gauges(&self) -> &Gauges {
        &self.0.gauges
    }

    /// Adds to `asked` what was asked for since this was called before.
    pub(super) fn take_asked(&self, asked: &Asked) {
        self.0.asked.move_to(asked);
    }

    fn thread_stats(&self) -> ThreadStats {
        let (queue, runner) = (self.0.queue.borrow(), self.0.runner.borrow());
        let break_even = runner.break_even();
        ThreadStats { batches: queue.stats().clone(), runner: runner.counters(), break_even }
    }

    /// The statistics, if they have changed since this was called before.
    pub(super) fn changed_stats(&self) -> Option<ThreadStats> {
        self.0.stats_changed.replace(false).then(|| self.thread_stats())
    }
}

impl<K> Batcher<K> {
    /// Withdraws a request that waits.
    pub(super) fn withdraw(&self, slot: &Rc<Slot>) {
        self.0.queue.borrow_mut().cancel(|ticket| Rc::ptr_eq(&ticket.slot, slot));
        self.0.stats_changed.set(true);
    }
}

impl<K> Clone for Batcher<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for Batcher<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("tier", &self.0.detection.tier).finish_non_exhaustive()
    }
}

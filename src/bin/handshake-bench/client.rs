//! The load: clients that each make one handshake after the other, or handshakes that are due at times of
//! their own.

mod connector;
mod exchange;

pub(crate) use exchange::Exchange;

use crate::address::Address;
use crate::batches::Batches;
use crate::placement::Placement;
use crate::sides::Clients;
use crate::stats::Latencies;
use connector::Connector;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

/// After a failure a client pauses, so that a broken server is not hammered.
const PAUSE: Duration = Duration::from_millis(5);

/// What the clients shall do.
pub(crate) struct Load<'a> {
    /// The server threads; the clients are spread over them evenly.
    pub(crate) targets: &'a [Address],
    pub(crate) clients: &'a Clients,
    /// No handshake starts later than this after the first.
    pub(crate) duration: Duration,
    /// No more handshakes than this are started.
    pub(crate) handshakes: usize,
    /// When each handshake is due after the start, ascending. `None`: as soon as the one before has ended.
    pub(crate) arrivals: Option<&'a [Duration]>,
    pub(crate) exchange: &'a Exchange,
}

/// What the clients saw. Every handshake that was started, or should have been, is in here.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One latency for each handshake that counts, from the time at which it was due to its first application
    /// byte. Those that were not started have theirs in here, too, up to the end of the load: so long it was
    /// at least.
    pub(crate) latencies: Latencies,
    /// Handshakes that count.
    pub(crate) handshakes: usize,
    /// Those among them that resumed a session.
    pub(crate) resumed: usize,
    /// Handshakes that were due and could not be started before the end.
    pub(crate) unstarted: usize,
    /// Handshakes that failed.
    pub(crate) failures: usize,
    /// The first failure, in words.
    pub(crate) first_failure: Option<String>,
    /// From the start of the load to the end of the last handshake.
    pub(crate) elapsed: Duration,
    /// The batches of the clients' engines; stock clients have none.
    pub(crate) batches: Batches,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.latencies.append(&other.latencies);
        self.batches.merge(&other.batches);
        self.handshakes += other.handshakes;
        self.resumed += other.resumed;
        self.unstarted += other.unstarted;
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn record(&mut self, due: Instant, result: io::Result<bool>) {
        match result {
            Ok(resumed) => {
                self.latencies.push(due.elapsed());
                self.handshakes += 1;
                self.resumed += usize::from(resumed);
            }
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    fn record_unstarted(&mut self, due: Instant, end: Instant) {
        self.latencies.push(end.saturating_duration_since(due));
        self.unstarted += 1;
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
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Whether no more handshakes shall start.
    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

/// What the clients of one thread have in common.
struct Shared {
    connector: Connector,
    targets: Vec<Address>,
    exchange: Exchange,
    budget: Arc<Budget>,
    outcome: RefCell<Outcome>,
}

impl Shared {
    /// Makes a handshake that was due at that time; `false` when it failed.
    async fn handshake(&self, identity: usize, target: usize, due: Instant) -> bool {
        let target = &self.targets[target % self.targets.len()];
        let result = self.exchange.run(&self.connector, identity, target).await;
        let succeeded = result.is_ok();
        self.outcome.borrow_mut().record(due, result);
        succeeded
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
        run_thread(load, &budget, started, index, threads)
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

/// One thread's part of the load: every `threads`th client or arrival.
fn run_thread(
    load: &Load<'_>,
    budget: &Arc<Budget>,
    started: Instant,
    index: usize,
    threads: usize,
) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let shared = Rc::new(Shared {
            connector: Connector::new(load.clients),
            targets: load.targets.to_vec(),
            exchange: load.exchange.clone(),
            budget: budget.clone(),
            outcome: RefCell::default(),
        });
        let concurrency = load.clients.concurrency;
        match load.arrivals {
            None => closed_loop(&shared, (index..concurrency).step_by(threads), concurrency).await?,
            Some(arrivals) => {
                let due = arrivals.iter().enumerate().skip(index).step_by(threads);
                let due = due.map(|(number, after)| (number, started + *after)).collect();
                open_loop(&shared, due, concurrency.div_ceil(threads)).await?;
            }
        }
        let mut outcome = shared.outcome.take();
        outcome.batches = shared.connector.batches();
        Ok(outcome)
    })
}

/// Clients, by number, of which each makes one handshake after the other.
async fn closed_loop(
    shared: &Rc<Shared>,
    clients: impl Iterator<Item = usize>,
    concurrency: usize,
) -> io::Result<()> {
    let mut running = JoinSet::new();
    for client in clients {
        let shared = shared.clone();
        running.spawn_local(async move {
            // Every client begins with an identity of its own, if there are enough, and all meet all of them.
            for identity in (client..)
                .step_by(concurrency)
                .take_while(|_| !shared.budget.is_over() && shared.budget.take())
            {
                if !shared.handshake(identity, client, Instant::now()).await {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    finish(running).await
}

/// Handshakes, by number, that each start when they are due, whatever became of those before, or as soon
/// after that as fewer than `limit` are running.
///
/// A runtime's timer ticks once a millisecond, which would let handshakes arrive in groups and favour
/// batches. So a thread that sleeps until each is due tells the runtime.
async fn open_loop(shared: &Rc<Shared>, due: Vec<(usize, Instant)>, limit: usize) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let clock = std::thread::Builder::new().name("arrivals".to_owned()).spawn(move || {
        for (number, at) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send((number, at)).is_err() {
                return;
            }
        }
    })?;
    let (permits, mut running) = (Rc::new(Semaphore::new(limit.max(1))), JoinSet::new());
    while let Some((number, at)) = receiver.recv().await {
        let (shared, permits) = (shared.clone(), permits.clone());
        running.spawn_local(async move {
            // What starts at once starts, if a little late; what has had to wait until the load was over does
            // not.
            let permit = permits.try_acquire();
            let (waits, permit) = (permit.is_err(), permit.ok());
            let _permit = match permit {
                Some(permit) => permit,
                None => permits.acquire().await.expect("the semaphore stays open"),
            };
            if waits && shared.budget.is_over() {
                shared.outcome.borrow_mut().record_unstarted(at, shared.budget.end);
            } else if shared.budget.take() {
                shared.handshake(number, number, at).await;
            }
        });
    }
    clock.join().map_err(|_| io::Error::other("the arrivals have panicked"))?;
    finish(running).await
}

async fn finish(mut running: JoinSet<()>) -> io::Result<()> {
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)?;
    }
    Ok(())
}

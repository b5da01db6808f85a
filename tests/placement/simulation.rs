//! Threads and handshakes in virtual time. The rule and the queues are the real ones; a thread takes what
//! has arrived and runs batches in the order in which an engine's does.

use crate::costs::{Cost, OPS, OpCost, Part, stock};
use crate::random::Random;
use rustls_multibuffer::internals::batch::{Load, Placement, Policy, Queue};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Handshakes of a run, and at least so many for each thread. Latencies are those of the last nine tenths.
const HANDSHAKES: usize = 4000;
const PER_THREAD: usize = 250;

/// How long the peer takes, on average, in nanoseconds.
const NETWORK: u64 = 1_000_000;

/// What a thread costs that has slept, in nanoseconds.
const WAKE_UP: u64 = 4_000;

/// How much longer the slow thread takes for everything.
const SLOW: u64 = 3;

pub(crate) struct Case {
    /// Each is as likely as the others.
    pub(crate) kinds: &'static [Cost],
    pub(crate) threads: usize,
    /// In percent of what the threads could do with stock rustls.
    pub(crate) load: u64,
    /// How many handshakes come at once, on average.
    pub(crate) burst: usize,
    /// Whether the first thread is [`SLOW`].
    pub(crate) has_slow_thread: bool,
}

/// Times are in nanoseconds.
pub(crate) struct Outcome {
    /// CPU per handshake.
    pub(crate) cpu: u64,
    /// The same with stock rustls.
    pub(crate) stock: u64,
    /// Latency without the peer's time.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    /// Threads that had a handshake.
    pub(crate) used: usize,
}

impl Outcome {
    /// CPU per handshake in percent of stock rustls'.
    pub(crate) fn cpu_percent(&self) -> u64 {
        (self.cpu * 100 + self.stock / 2) / self.stock
    }
}

impl Case {
    /// # Panics
    /// If a handshake does not come to its end.
    pub(crate) fn run(&self, budget: Duration) -> Outcome {
        let handshakes = HANDSHAKES.max(PER_THREAD * self.threads);
        let mut simulation = Simulation::new(self, budget);
        let stock = simulation.arrive(self, handshakes);
        simulation.run();
        let seen = &simulation.handshakes[handshakes / 10..];
        let mut took: Vec<_> = seen.iter().map(|handshake| handshake.took.expect("it ends")).collect();
        took.sort_unstable();
        let is_used = |thread: &usize| seen.iter().any(|handshake| handshake.thread == Some(*thread));
        Outcome {
            cpu: simulation.worked / handshakes as u64,
            stock: stock / handshakes as u64,
            p50: took[took.len() / 2],
            p99: took[took.len() * 99 / 100],
            used: (0..self.threads).filter(is_used).count(),
        }
    }
}

struct Handshake {
    cost: Cost,
    /// The part that comes next.
    next: usize,
    arrived: u64,
    /// How long its peer takes.
    network: u64,
    thread: Option<usize>,
    took: Option<u64>,
}

struct Thread {
    queue: Queue<usize, ()>,
    /// Handshakes that have arrived, or whose peer has answered.
    inbox: VecDeque<usize>,
    /// What it does now, and for whom.
    busy: Option<Vec<usize>>,
    slowness: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    /// The peer has answered.
    Answered(usize),
    /// A thread has done what it did.
    Done(usize),
}

struct Simulation {
    start: Instant,
    placement: Placement,
    threads: Vec<Thread>,
    handshakes: Vec<Handshake>,
    /// With a number, so that what happens at the same time happens in order.
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    scheduled: usize,
    /// Nanoseconds of CPU.
    worked: u64,
}

impl Simulation {
    fn new(case: &Case, budget: Duration) -> Self {
        let capacity = |op| OPS.iter().find(|cost| cost.op == op).map_or(1, OpCost::capacity);
        let thread = |index| Thread {
            queue: Queue::new(Policy::default(), capacity),
            inbox: VecDeque::new(),
            busy: None,
            slowness: if case.has_slow_thread && index == 0 { SLOW } else { 1 },
        };
        Self {
            start: Instant::now(),
            placement: Placement::new(case.threads, budget),
            threads: (0..case.threads).map(thread).collect(),
            handshakes: Vec::new(),
            events: BinaryHeap::new(),
            scheduled: 0,
            worked: 0,
        }
    }

    /// Makes so many handshakes; returns what all of them cost with stock rustls.
    fn arrive(&mut self, case: &Case, handshakes: usize) -> u64 {
        let Case { kinds, threads, load, burst, .. } = *case;
        let mut random = Random(1);
        let mean = kinds.iter().map(|kind| stock(kind)).sum::<u64>() / kinds.len() as u64;
        let between = mean * 100 * burst as u64 / (load * threads as u64);
        let (mut at, mut total, mut at_once) = (0, 0, 0);
        for n in 0..handshakes {
            if at_once == 0 {
                at += random.exponential(between);
                at_once = 1 + random.below(2 * burst - 1);
            }
            at_once -= 1;
            let (cost, network) = (kinds[random.below(kinds.len())], random.exponential(NETWORK));
            total += stock(cost);
            self.handshakes.push(Handshake { cost, next: 0, arrived: at, network, thread: None, took: None });
            self.schedule(at, Event::Arrives(n));
        }
        total
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, self.scheduled, event)));
        self.scheduled += 1;
    }

    fn instant(&self, now: u64) -> Instant {
        self.start + Duration::from_nanos(now)
    }

    fn run(&mut self) {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            let index = match event {
                Event::Arrives(n) => {
                    let index = self.placement.place(self.instant(now));
                    self.handshakes[n].thread = Some(index);
                    self.receive(index, n)
                }
                Event::Answered(n) => {
                    let index = self.handshakes[n].thread.expect("it was placed");
                    self.receive(index, n)
                }
                Event::Done(index) => {
                    for n in self.threads[index].busy.take().into_iter().flatten() {
                        self.advance(now, index, n);
                    }
                    Some((index, 0))
                }
            };
            if let Some((index, wake_up)) = index {
                self.go_on(now, index, wake_up);
            }
        }
    }

    /// A thread that sleeps is to go on, and that costs something.
    fn receive(&mut self, index: usize, n: usize) -> Option<(usize, u64)> {
        let thread = &mut self.threads[index];
        thread.inbox.push_back(n);
        thread.busy.is_none().then_some((index, WAKE_UP))
    }

    /// A handshake has done what its thread did for it, up to its next operation or its peer's turn.
    fn advance(&mut self, now: u64, index: usize, n: usize) {
        let at = self.instant(now);
        let handshake = &mut self.handshakes[n];
        match handshake.cost.get(handshake.next) {
            Some(Part::Op(op)) => self.threads[index].queue.push(at, *op, n, ()).unwrap(),
            Some(Part::Network) => {
                let answered = now + handshake.network;
                self.schedule(answered, Event::Answered(n));
            }
            Some(Part::Work(_)) => unreachable!("it was done"),
            None => {
                handshake.took = Some(now - handshake.arrived - handshake.network);
                self.placement.end(index);
            }
        }
    }

    /// What an engine's thread does next: batches that are due, what has arrived, other batches.
    fn go_on(&mut self, now: u64, index: usize, wake_up: u64) {
        let at = self.instant(now);
        let step = self.batch(at, index, Load::Busy).or_else(|| self.message(index));
        let Some(step) = step.or_else(|| self.batch(at, index, Load::Idle)) else {
            return self.placement.sleep(index, at);
        };
        let thread = &mut self.threads[index];
        let waiting = thread.queue.len() + step.whose.len();
        self.placement.work(index, at, waiting);
        thread.busy = Some(step.whose);
        let nanos = step.batch + step.work + wake_up;
        let done = now + nanos * thread.slowness;
        self.worked += nanos;
        self.schedule(done, Event::Done(index));
    }

    fn batch(&mut self, at: Instant, index: usize, load: Load) -> Option<Step> {
        let batch = self.threads[index].queue.next(at, load)?;
        let cost = OpCost::of(batch.op);
        let whose: Vec<_> = batch.entries.iter().map(|entry| entry.ticket).collect();
        let all = |each| Duration::from_nanos(each * whose.len() as u64);
        self.placement.answered(all(cost.batch(1)), all(cost.savings()));
        let work = whose.iter().map(|n| self.work(*n)).sum();
        Some(Step { batch: cost.batch(whose.len()), work, whose })
    }

    fn message(&mut self, index: usize) -> Option<Step> {
        let n = self.threads[index].inbox.pop_front()?;
        if self.handshakes[n].next == 0 {
            self.placement.begin(index);
        }
        Some(Step { batch: 0, work: self.work(n), whose: vec![n] })
    }

    /// The work of a handshake that goes on, behind what it has waited for.
    fn work(&mut self, n: usize) -> u64 {
        let handshake = &mut self.handshakes[n];
        let mut nanos = 0;
        if !matches!(handshake.cost[handshake.next], Part::Work(_)) {
            handshake.next += 1;
        }
        while let Some(Part::Work(more)) = handshake.cost.get(handshake.next) {
            nanos += more;
            handshake.next += 1;
        }
        nanos
    }
}

/// What a thread does without looking at anything else.
struct Step {
    /// Nanoseconds of a batch.
    batch: u64,
    /// Those of all else.
    work: u64,
    whose: Vec<usize>,
}

impl Random {
    /// Exponentially distributed (von Neumann, 1951): by comparisons alone, so that it is the same with
    /// every libm.
    fn exponential(&mut self, mean: u64) -> u64 {
        let mut whole = 0;
        loop {
            let first = self.word();
            let (mut last, mut falling) = (first, 1);
            loop {
                let next = self.word();
                if next >= last {
                    break;
                }
                (last, falling) = (next, falling + 1);
            }
            if falling % 2 == 1 {
                let fraction = (u128::from(first) * u128::from(mean)) >> 64;
                return whole * mean + fraction as u64;
            }
            whole += 1;
        }
    }
}

//! The queue that gathers requests into batches: sans-IO, no clock, no thread.
//!
//! Requests go in with [`Queue::push`], batches come out of [`Queue::next`]. What time it is, and how busy
//! the thread is ([`Load`]), are arguments, so every decision can be tested:
//!
//! 1. **Full**: a queue that fills all lanes leaves at once.
//! 2. **Deadline**: a request has waited [`Policy::poll_delay`] (or, with a zero delay, [`Policy::max_wait`],
//!    which only matters on a thread that never runs out of other work).
//! 3. **Drain**: nobody else will come; the fullest queue leaves.
//! 4. **Idle**: the thread has nothing else to do; the fullest queue leaves. With a positive `poll_delay` the
//!    thread waits for company instead.
//!
//! **Fairness.** Of all queues that are full or past their deadline, the one whose first request has waited
//! longest leaves first. So no operation starves behind others that fill their lanes again and again: once a
//! request is past its deadline, only batches whose first request is older run before it.
//!
//! ```
//! # #[cfg(feature = "internals")] {
//! use rustls_multibuffer::internals::batch::{Load, Policy, Queue, Reason};
//! use rustls_multibuffer::internals::ops::Op;
//! use std::time::Instant;
//!
//! let mut queue = Queue::new(Policy::default(), |_| 2);
//! let now = Instant::now();
//! queue.push(now, Op::RsaSign2048, "ticket 1", "request 1").unwrap();
//! assert!(queue.next(now, Load::Busy).is_none());
//! queue.push(now, Op::RsaSign2048, "ticket 2", "request 2").unwrap();
//! let batch = queue.next(now, Load::Busy).unwrap();
//! assert_eq!((batch.reason, batch.entries.len()), (Reason::Full, 2));
//! # }
//! ```

mod placement;
mod stats;

pub use placement::Placement;
pub use stats::{OpStats, Reason, Stats, Waits};

use crate::ops::Op;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When batches leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long a request waits for company although the thread is idle. Zero: not at all.
    pub poll_delay: Duration,
    /// How long a request waits, with a zero `poll_delay`, on a thread that is never idle.
    pub max_wait: Duration,
    /// The most requests that wait at a time, all operations together.
    pub bound: usize,
}

impl Default for Policy {
    /// No poll delay, at most 10 ms behind other work, at most 1024 requests.
    fn default() -> Self {
        Self { poll_delay: Duration::ZERO, max_wait: Duration::from_millis(10), bound: 1024 }
    }
}

/// What else the thread has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// There is, or may be, other work that could bring further requests.
    Busy,
    /// Every fiber is parked and no new work has arrived.
    Idle,
    /// No new work will be accepted.
    Draining,
}

/// One request, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T, R> {
    /// Identifies the caller that waits for the result.
    pub ticket: T,
    /// The request as it was pushed.
    pub request: R,
    since: Instant,
}

/// Requests of one operation, to be run together, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T, R> {
    /// The operation of every request.
    pub op: Op,
    /// Why the batch leaves now.
    pub reason: Reason,
    /// At least one and at most the operation's capacity.
    pub entries: Vec<Entry<T, R>>,
}

/// A request was refused because [`Policy::bound`] requests wait already. Here it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<R>(pub R);

/// The requests of one thread that wait for a batch: for each operation a queue.
#[derive(Debug)]
pub struct Queue<T, R> {
    policy: Policy,
    /// By [`Op::index`].
    ops: Vec<Waiting<T, R>>,
    /// The operations of which a request waits, as bits: most of the time one of many, or none.
    occupied: u32,
    len: usize,
    stats: Stats,
}

/// The requests of one operation.
#[derive(Debug)]
struct Waiting<T, R> {
    /// So many fill all lanes.
    capacity: usize,
    entries: VecDeque<Entry<T, R>>,
}

impl<T, R> Queue<T, R> {
    /// An empty queue. `capacity` says how many requests of an operation fill all lanes; at least 1.
    pub fn new(policy: Policy, capacity: impl Fn(Op) -> usize) -> Self {
        let capacity = |op: &Op| capacity(*op).max(1);
        let waiting = |op| Waiting { capacity: capacity(op), entries: VecDeque::new() };
        let ops = Op::ALL.iter().map(waiting).collect();
        Self { policy, ops, occupied: 0, len: 0, stats: Stats::new(capacity) }
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What has happened so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Adds a request. `now` is not before that of an earlier call.
    ///
    /// # Errors
    /// [`Refused`] when the bound is reached.
    pub fn push(&mut self, now: Instant, op: Op, ticket: T, request: R) -> Result<(), Refused<R>> {
        if self.len >= self.policy.bound {
            self.refuse(op);
            return Err(Refused(request));
        }
        self.ops[op.index()].entries.push_back(Entry { ticket, request, since: now });
        self.occupied |= 1 << op.index();
        self.len += 1;
        Ok(())
    }

    /// Counts a request that is run at once because there is nobody it could wait for: a batch of one, which
    /// has left an idle thread.
    pub fn pass(&mut self, op: Op) {
        self.stats.of_mut(op).record(Reason::Idle, [Duration::ZERO].into_iter());
    }

    /// Counts a request that finds no place, for a reason that the caller knows.
    pub fn refuse(&mut self, op: Op) {
        self.stats.of_mut(op).refused += 1;
    }

    /// Withdraws the request whose ticket `is_it` recognises; `false` when it does not wait (any more).
    pub fn cancel(&mut self, is_it: impl Fn(&T) -> bool) -> bool {
        for op in self.waiting() {
            let entries = &mut self.ops[op.index()].entries;
            if let Some(at) = entries.iter().position(|entry| is_it(&entry.ticket)) {
                entries.remove(at);
                self.stats.of_mut(op).cancelled += 1;
                self.have_left(op, 1);
                return true;
            }
        }
        false
    }

    /// Takes note that so many requests have left.
    fn have_left(&mut self, op: Op, requests: usize) {
        self.len -= requests;
        if self.ops[op.index()].entries.is_empty() {
            self.occupied &= !(1 << op.index());
        }
    }

    /// The operations of which a request waits.
    fn waiting(&self) -> impl Iterator<Item = Op> + use<T, R> {
        const { assert!(Op::ALL.len() <= u32::BITS as usize) };
        let mut left = self.occupied;
        std::iter::from_fn(move || {
            let op = *Op::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(op)
        })
    }

    /// The next batch that is to run now, if any. Call it again after running one.
    pub fn next(&mut self, now: Instant, load: Load) -> Option<Batch<T, R>> {
        if self.is_empty() {
            return None;
        }
        let (op, reason) = self.choose(now, load)?;
        let waiting = &mut self.ops[op.index()];
        let fill = waiting.entries.len().min(waiting.capacity);
        let entries: Vec<_> = waiting.entries.drain(..fill).collect();
        self.have_left(op, fill);
        self.stats.of_mut(op).record(reason, entries.iter().map(|e| now.saturating_duration_since(e.since)));
        Some(Batch { op, reason, entries })
    }

    /// Whether [`Queue::next`] has a batch that is to run now.
    pub fn is_due(&self, now: Instant, load: Load) -> bool {
        self.choose(now, load).is_some()
    }

    /// When [`Queue::next`] is to be called again, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting().filter_map(|op| self.deadline(self.ops[op.index()].entries.front()?)).min()
    }

    fn choose(&self, now: Instant, load: Load) -> Option<(Op, Reason)> {
        let due = self.waiting().filter_map(|op| Some((op, self.due(op, now)?)));
        if let Some(due) = due.min_by_key(|(op, _)| self.oldest(*op)) {
            return Some(due);
        }
        let reason = match load {
            Load::Draining => Reason::Drain,
            Load::Idle if self.policy.poll_delay.is_zero() => Reason::Idle,
            Load::Idle | Load::Busy => return None,
        };
        self.waiting().max_by(|a, b| self.compare_fill(*a, *b)).map(|op| (op, reason))
    }

    /// Why the queue must leave whatever the load is, if it must.
    fn due(&self, op: Op, now: Instant) -> Option<Reason> {
        let waiting = &self.ops[op.index()];
        if waiting.entries.len() >= waiting.capacity {
            return Some(Reason::Full);
        }
        let deadline = waiting.entries.front().and_then(|entry| self.deadline(entry));
        deadline.is_some_and(|at| at <= now).then_some(Reason::Deadline)
    }

    fn oldest(&self, op: Op) -> Option<Instant> {
        self.ops[op.index()].entries.front().map(|entry| entry.since)
    }

    /// `None` when it lies beyond what the clock can express: the request waits for the thread to be idle.
    fn deadline(&self, entry: &Entry<T, R>) -> Option<Instant> {
        let delay =
            if self.policy.poll_delay.is_zero() { self.policy.max_wait } else { self.policy.poll_delay };
        entry.since.checked_add(delay)
    }

    /// Compares the share of lanes that would be used; of two equals the one that has waited longer is
    /// greater.
    fn compare_fill(&self, a: Op, b: Op) -> std::cmp::Ordering {
        let [fill_a, fill_b] = [a, b].map(|op| self.ops[op.index()].entries.len());
        let [lanes_a, lanes_b] = [a, b].map(|op| self.ops[op.index()].capacity);
        (fill_a * lanes_b).cmp(&(fill_b * lanes_a)).then_with(|| self.oldest(b).cmp(&self.oldest(a)))
    }
}

#[cfg(test)]
mod tests;

//! Statistics of the batches that left a queue.

use crate::ops::Op;
use std::time::Duration;

/// Why a batch left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// All lanes were taken.
    Full,
    /// The thread had nothing else to do.
    Idle,
    /// A request had waited long enough.
    Deadline,
    /// No further requests were to come.
    Drain,
}

impl Reason {
    /// Every reason, in the order of `reason as usize`.
    pub const ALL: &'static [Self] = &[Self::Full, Self::Idle, Self::Deadline, Self::Drain];

    /// The name in metrics and reports, such as `full`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Idle => "idle",
            Self::Deadline => "deadline",
            Self::Drain => "drain",
        }
    }
}

/// How long something was waited for: by requests to leave in a batch after they were queued, for instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// All waits added up.
    pub sum: Duration,
    /// The longest wait.
    pub max: Duration,
    /// `buckets[0]` counts the waits below 1 µs, `buckets[i]` those from 2^(i−1) up to, not including, 2^i
    /// µs; the last also the longer ones.
    pub buckets: [u64; Self::BUCKETS],
}

impl Waits {
    /// The number of buckets: the last begins at about 4 s.
    pub const BUCKETS: usize = 24;

    pub(crate) fn record(&mut self, wait: Duration) {
        self.sum += wait;
        self.max = self.max.max(wait);
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[bucket.min(Self::BUCKETS - 1)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self.buckets.iter_mut().zip(other.buckets).for_each(|(a, b)| *a += b);
    }
}

/// The batches of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpStats {
    /// The operation that was batched.
    pub op: Op,
    /// `fills[n]` counts the batches of `n` requests; the last index is the capacity.
    pub fills: Vec<u64>,
    /// Batches by [`Reason`], indexed by `reason as usize`.
    reasons: [u64; Reason::ALL.len()],
    /// The waits of the requests that left in batches.
    pub waits: Waits,
    /// Requests withdrawn before their batch ran.
    pub cancelled: u64,
    /// Requests refused because the queue's bound was reached.
    pub refused: u64,
}

impl OpStats {
    fn new(op: Op, capacity: usize) -> Self {
        let fills = vec![0; capacity + 1];
        Self { op, fills, reasons: Default::default(), waits: Waits::default(), cancelled: 0, refused: 0 }
    }

    pub(super) fn record(&mut self, reason: Reason, waits: impl ExactSizeIterator<Item = Duration>) {
        self.fills[waits.len()] += 1;
        self.reasons[reason as usize] += 1;
        waits.for_each(|wait| self.waits.record(wait));
    }

    /// How many batches left.
    pub fn batches(&self) -> u64 {
        self.fills.iter().sum()
    }

    /// How many batches left for this reason.
    pub fn left(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// How many requests left in them.
    pub fn requests(&self) -> u64 {
        self.fills.iter().zip(0..).map(|(batches, fill)| batches * fill).sum()
    }

    /// Requests a batch on average; 0 before the first batch.
    pub fn mean_fill(&self) -> f64 {
        if self.batches() == 0 { 0.0 } else { self.requests() as f64 / self.batches() as f64 }
    }

    fn merge(&mut self, other: &Self) {
        self.fills.resize(self.fills.len().max(other.fills.len()), 0);
        self.fills.iter_mut().zip(&other.fills).for_each(|(a, b)| *a += b);
        self.reasons.iter_mut().zip(other.reasons).for_each(|(a, b)| *a += b);
        self.waits.merge(&other.waits);
        self.cancelled += other.cancelled;
        self.refused += other.refused;
    }
}

/// The batches of every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// By [`Op::index`].
    ops: Vec<OpStats>,
}

impl Default for Stats {
    /// Of a thread that has run no batch.
    fn default() -> Self {
        Self::new(|_| 1)
    }
}

impl Stats {
    pub(super) fn new(capacity: impl Fn(&Op) -> usize) -> Self {
        Self { ops: Op::ALL.iter().map(|op| OpStats::new(*op, capacity(op))).collect() }
    }

    /// The batches of one operation.
    pub fn of(&self, op: Op) -> &OpStats {
        &self.ops[op.index()]
    }

    pub(super) fn of_mut(&mut self, op: Op) -> &mut OpStats {
        &mut self.ops[op.index()]
    }

    /// The batches of each operation, in the order of [`Op::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &OpStats> {
        self.ops.iter()
    }

    /// Adds the batches of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.ops.iter_mut().zip(&other.ops).for_each(|(a, b)| a.merge(b));
    }
}

//! Runs batches: in lanes where that is faster, through aws-lc-rs where it is not, and again after a panic.

use super::kx::Exchanges;
use super::lanes::{self, LaneRunner};
use super::timings::{BreakEven, Fills, Timings};
use super::{Counters, Op, Request, Response, ecdsa, scalar};
use crate::arch::mxcsr::in_default_environment;
use crate::arch::{Tier, TierKind};
use crate::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs batches on one thread: owns the kernels' workspace, wiped after every batch.
#[derive(Debug)]
pub struct Runner {
    tier: Tier,
    /// By [`Family`](super::op::Family).
    pub(super) lanes: Option<[Box<dyn LaneRunner>; 4]>,
    counters: Counters,
    /// In place of the table's fills, and of the measured ones.
    break_even: Option<usize>,
    /// What batches took, if that is measured.
    timings: Option<Timings>,
}

impl Runner {
    /// A runner for `tier`. The first one in a process makes the tables of the curves' base points and has
    /// aws-lc's random generator seeded, which takes 30 to 70 ms.
    pub fn new(tier: Tier) -> Self {
        scalar::seed();
        let lanes = lanes::of_tier(tier);
        Self { tier, lanes, counters: Counters::default(), break_even: None, timings: None }
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// How many requests of `op` fill all lanes: 1 on a tier without lanes.
    pub fn capacity(&self, op: Op) -> usize {
        op.capacity(self.tier.kind().lanes())
    }

    /// Whether so many requests of `op` are worth their lanes. Other batches go to aws-lc-rs, one request
    /// after the other.
    pub fn lanes_pay(&self, op: Op, fill: usize) -> bool {
        self.lanes.is_some() && self.fills(op).contains(fill)
    }

    fn fills(&self, op: Op) -> Fills {
        let capacity = self.capacity(op);
        let least = self.break_even.unwrap_or(op.break_even(self.tier.kind())).min(capacity);
        match &self.timings {
            Some(timings) if self.break_even.is_none() => timings.fills(op),
            _ => Fills::of(capacity, |fill| fill >= least),
        }
    }

    /// What was measured of each operation of which enough batches were seen, in the order of [`Op::ALL`]; of
    /// none, if measurements do not decide.
    pub fn break_even(&self) -> Arc<[BreakEven]> {
        let timings = self.timings.as_ref().filter(|_| self.break_even.is_none());
        timings.map_or_else(Arc::default, Timings::break_even)
    }

    /// What was measured of an operation, if it has turned out since it was last told that other batches of
    /// it are worth their lanes, or another fill was measured. To be called until there is none.
    pub fn changed_break_even(&mut self) -> Option<BreakEven> {
        self.timings.as_mut().filter(|_| self.break_even.is_none())?.take_changed()
    }

    /// The same runner with `fill` in place of the break-even fills of table and measurement; full batches
    /// still run in lanes. `None` leaves them.
    #[must_use]
    pub fn with_break_even(mut self, fill: Option<usize>) -> Self {
        self.break_even = fill;
        self
    }

    /// The same runner that measures what its batches take, and goes by that as soon as it has seen a few of
    /// each kind. The portable tier, which is a specification and no competitor, is not measured.
    #[must_use]
    pub fn measuring(mut self) -> Self {
        let kind = self.tier.kind();
        let is_measured = self.lanes.is_some() && kind != TierKind::Portable;
        self.timings = is_measured.then(|| Timings::new(|op| (self.capacity(op), op.break_even(kind))));
        self
    }

    /// What a request costs that is alone, and how much of that a full batch saves, as measured so far; zero
    /// if nothing is measured.
    pub fn alone_and_savings(&self, op: Op) -> (Duration, Duration) {
        self.timings.as_ref().map(|timings| timings.alone_and_savings(op)).unwrap_or_default()
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Forgets the prepared public keys of peers, those of ECDSA for all runners: the next verification with
    /// each of them prepares it anew. Nothing needs this but a measurement of what preparing costs.
    pub fn forget_public_keys(&mut self) {
        self.lanes.iter_mut().flatten().for_each(|lanes| lanes.forget_public_keys());
        ecdsa::forget();
    }

    /// Runs `requests`, at most [`Runner::capacity`] and all of one [`Op`], and appends one result for each
    /// to `results`, in the order of the requests. A request that fails does so alone. A batch that panics,
    /// which is a bug, is recomputed by aws-lc-rs, one request at a time.
    ///
    /// The key pairs of whole key exchanges are made first, in a batch of their own.
    ///
    /// The lanes compute in the default floating-point environment, whatever the thread's is.
    ///
    /// # Panics
    /// If there are more requests than that, or of several kinds.
    pub fn run(&mut self, requests: &[&Request], results: &mut Vec<Result<Response, Error>>) {
        let Some(op) = requests.first().map(|r| r.op()) else { return };
        assert!(requests.len() <= self.capacity(op) && requests.iter().all(|r| r.op() == op));
        let in_lanes = self.choose(op, requests.len());
        let keygens: Vec<_> = requests.iter().filter_map(|request| request.keygen()).collect();
        match keygens.is_empty() {
            true => self.run_alike(requests, in_lanes, results),
            false => self.run_exchanges(requests, &keygens, in_lanes, results),
        }
    }
}

impl Runner {
    /// Whether the next batch of `op`, of so many requests, runs in lanes.
    fn choose(&mut self, op: Op, fill: usize) -> bool {
        match &mut self.timings {
            Some(timings) if self.break_even.is_none() => timings.choose(op, fill),
            _ => self.fills(op).contains(fill),
        }
    }

    /// Makes the key pairs, then runs the batch with them as one of agreements only.
    fn run_exchanges(
        &mut self,
        requests: &[&Request],
        keygens: &[Request],
        in_lanes: bool,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let (op, fill) = (keygens[0].op(), keygens.len());
        // For an agreement through aws-lc-rs the key is made there, too: importing one costs as much.
        let makes_in_lanes = in_lanes && self.choose(op, fill);
        let mut pairs = Vec::with_capacity(fill);
        self.run_alike(&Vec::from_iter(keygens), makes_in_lanes, &mut pairs);
        let exchanges = Exchanges::new(requests, pairs);
        let mut secrets = Vec::with_capacity(requests.len());
        self.run_alike(&Vec::from_iter(&exchanges.agreements), in_lanes, &mut secrets);
        results.extend(exchanges.results(secrets));
    }

    /// Runs requests of one kind, in lanes or through aws-lc-rs.
    fn run_alike(
        &mut self,
        requests: &[&Request],
        in_lanes: bool,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let Some(op) = requests.first().map(|r| r.op()) else { return };
        let fills = self.fills(op);
        let started = self.timings.is_some().then(Instant::now);
        match self.lanes.as_mut().filter(|_| in_lanes) {
            Some(lanes) => {
                let (counters, answered, fills) = (self.counters, results.len(), fills.with(requests.len()));
                let run = || lanes[op.family() as usize].run(requests, fills, &mut self.counters, results);
                let apart = || requests[0].wiping(self.tier.kind().lanes(), || in_default_environment(run));
                if catch_unwind(AssertUnwindSafe(apart)).is_err() {
                    results.truncate(answered);
                    self.counters = counters;
                    self.redo(requests, results);
                } else if let (Some(timings), Some(started)) = (&mut self.timings, started) {
                    let took = started.elapsed();
                    // What is refused may have taken no time at all.
                    if results[answered..].iter().all(Result::is_ok) {
                        timings.lanes(op, requests.len(), took);
                    }
                }
            }
            None => {
                self.counters.scalar += requests.len() as u64;
                let answered = results.len();
                requests[0].wiping(1, || results.extend(requests.iter().map(|r| r.answer())));
                if let (Some(timings), Some(started)) = (&mut self.timings, started) {
                    let took = started.elapsed();
                    if results[answered..].iter().all(Result::is_ok) {
                        timings.scalar(op, requests.len(), took);
                    }
                }
                let answers = requests.iter().zip(&results[answered..]);
                self.count_valid(
                    op,
                    answers.filter(|(_, result)| result.is_ok()).map(|(request, _)| *request),
                );
            }
        }
    }

    /// Lets the lanes know of signatures that aws-lc-rs has found to be valid.
    fn count_valid<'a>(&mut self, op: Op, requests: impl Iterator<Item = &'a Request>) {
        let Some(lanes) = self.lanes.as_mut() else { return };
        let lanes = &mut lanes[op.family() as usize];
        let count = || in_default_environment(|| requests.for_each(|request| lanes.verified(request)));
        if catch_unwind(AssertUnwindSafe(count)).is_err() {
            self.lanes = lanes::of_tier(self.tier);
            self.counters.panicked += 1;
        }
    }

    /// After a panic, which may have left the lanes' workspace in any state: with new lanes for the next
    /// batch, and without lanes for this one. The old ones are wiped when they are dropped here.
    fn redo(&mut self, requests: &[&Request], results: &mut Vec<Result<Response, Error>>) {
        self.lanes = lanes::of_tier(self.tier);
        self.counters.redone += requests.len() as u64;
        self.counters.panicked += 1;
        // Whatever panics again does so alone.
        let again = |request: &&Request| {
            catch_unwind(AssertUnwindSafe(|| request.run_scalar())).unwrap_or(Err(Error::Panicked))
        };
        results.extend(requests.iter().map(again));
    }
}

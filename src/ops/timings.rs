//! What batches take on this machine, and from which fill on they are worth their lanes.
//!
//! A batch costs much the same however many of its lanes are filled, so below some fill aws-lc-rs is faster
//! one by one. Which fill that is depends on the CPU: aws-lc-rs has kernels of its own for some, and wide
//! multiplications take twice as long on others. So an engine starts with the table of `op`, and goes by what
//! its own batches take as soon as it has seen a few of each kind.

use super::Op;
use std::time::Duration;

/// Batches to see before their times are believed.
const SAMPLES: u8 = 3;

/// The least time that batches of one kind took, in nanoseconds: what they take when nothing disturbs them.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    nanos: u64,
    samples: u8,
}

impl Least {
    fn record(&mut self, nanos: u64) {
        self.nanos = if self.samples == 0 { nanos } else { self.nanos.min(nanos) };
        self.samples = self.samples.saturating_add(1);
    }

    fn known(&self) -> Option<u64> {
        (self.samples >= SAMPLES).then_some(self.nanos)
    }
}

/// What the batches of one operation took.
#[derive(Clone, Debug, Default)]
struct Timing {
    /// One request through aws-lc-rs.
    scalar: Least,
    /// A batch in lanes; `lanes[n - 1]` is one of `n` requests.
    lanes: Vec<Least>,
}

impl Timing {
    /// A batch in lanes takes at most this: a smaller batch does not cost more than a larger one.
    fn lanes(&self, fill: usize) -> Option<u64> {
        self.lanes.iter().skip(fill - 1).filter_map(Least::known).min()
    }

    /// Whether lanes are faster, by a tenth: they lose about as much while somebody else uses the core.
    /// `None` while too few batches were seen.
    fn lanes_pay(&self, fill: usize) -> Option<bool> {
        Some(self.lanes(fill)? * 10 <= self.scalar.known()? * fill as u64 * 9)
    }
}

/// What the batches of one runner took.
#[derive(Debug, Default)]
pub(super) struct Timings {
    /// By [`Op::index`].
    ops: Vec<Timing>,
}

impl Timings {
    /// Whether a batch should run in lanes. The first batches that are not full go to aws-lc-rs, so that
    /// there is something to compare with.
    pub(super) fn lanes_pay(&self, op: Op, fill: usize, capacity: usize, table: usize) -> bool {
        let Some(timing) = self.ops.get(op.index()) else { return fill >= capacity };
        match timing.lanes_pay(fill) {
            Some(pay) => pay,
            None if timing.scalar.known().is_none() => fill >= capacity,
            None => fill >= table,
        }
    }

    /// The smallest fill that runs in lanes, by what is known so far.
    pub(super) fn fill(&self, op: Op, capacity: usize, table: usize) -> usize {
        let timing = self.ops.get(op.index());
        let pays = |fill: &usize| timing.and_then(|timing| timing.lanes_pay(*fill)).unwrap_or(*fill >= table);
        (1..=capacity).find(pays).unwrap_or(capacity + 1)
    }

    /// What a request costs that is alone, and how much of that a full batch saves; zero until a few have been
    /// seen. It saves nothing where one request is worth its lanes. Until full batches were seen, one is taken
    /// to cost as much through aws-lc-rs as a batch between the fills of `table` and the one below it.
    pub(super) fn alone_and_savings(&self, op: Op, capacity: usize, table: usize) -> (Duration, Duration) {
        let Some(timing) = self.ops.get(op.index()) else { return Default::default() };
        let least = self.fill(op, capacity, table);
        let alone = if least == 1 { timing.lanes(1) } else { timing.scalar.known() };
        let alone = alone.unwrap_or(0);
        let savings = if (2..=capacity).contains(&least) {
            let full = timing.lanes(capacity).unwrap_or(alone * (2 * table as u64).saturating_sub(1) / 2);
            alone.saturating_sub(full / capacity as u64)
        } else {
            0
        };
        (Duration::from_nanos(alone), Duration::from_nanos(savings))
    }

    /// Takes note of a batch that aws-lc-rs has answered, one request after the other.
    pub(super) fn scalar(&mut self, op: Op, fill: usize, took: Duration) {
        self.of(op).scalar.record(nanos(took) / fill as u64);
    }

    /// Takes note of a batch that lanes have answered.
    pub(super) fn lanes(&mut self, op: Op, fill: usize, took: Duration) {
        let lanes = &mut self.of(op).lanes;
        lanes.resize(lanes.len().max(fill), Least::default());
        lanes[fill - 1].record(nanos(took));
    }

    fn of(&mut self, op: Op) -> &mut Timing {
        self.ops.resize(Op::ALL.len(), Timing::default());
        &mut self.ops[op.index()]
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OP: Op = Op::RsaSign2048;
    const CAPACITY: usize = 4;
    const TABLE: usize = 2;

    /// Measured: one request through aws-lc-rs takes 100 µs, batches in lanes what `lanes` says, by fill.
    fn measured(lanes: &[(usize, u64)]) -> Timings {
        let mut timings = Timings::default();
        for _ in 0..SAMPLES {
            timings.scalar(OP, 2, Duration::from_micros(200));
            for (fill, micros) in lanes {
                timings.lanes(OP, *fill, Duration::from_micros(*micros));
            }
        }
        timings
    }

    fn pay(timings: &Timings) -> [bool; CAPACITY] {
        std::array::from_fn(|i| timings.lanes_pay(OP, i + 1, CAPACITY, TABLE))
    }

    #[test]
    fn until_aws_lc_rs_is_measured_only_full_batches_run_in_lanes() {
        let mut timings = Timings::default();
        for _ in 0..SAMPLES {
            assert_eq!(pay(&timings), [false, false, false, true]);
            timings.scalar(OP, 1, Duration::from_micros(100));
        }
        assert_eq!(pay(&timings), [false, true, true, true], "then the table decides");
    }

    #[test]
    fn a_batch_that_costs_more_than_its_requests_does_not_run_in_lanes() {
        assert_eq!(pay(&measured(&[(2, 230), (3, 235), (4, 250)])), [false, false, true, true]);
        assert_eq!(pay(&measured(&[(4, 370)])), [false, false, false, false], "not even full");
        let timings = measured(&[(2, 230), (3, 235), (4, 250)]);
        assert_eq!(timings.fill(OP, CAPACITY, TABLE), 3);
        assert_eq!(measured(&[(4, 370)]).fill(OP, CAPACITY, TABLE), CAPACITY + 1);
    }

    #[test]
    fn a_smaller_batch_costs_no_more_than_a_larger_one() {
        assert_eq!(pay(&measured(&[(4, 80)])), [true; CAPACITY]);
        assert_eq!(
            pay(&measured(&[(1, 50), (4, 1000)])),
            [true, false, false, false],
            "split over the lanes"
        );
    }

    #[test]
    fn a_tenth_is_left_for_company_on_the_core() {
        assert_eq!(pay(&measured(&[(2, 185)])), [false, false, true, true], "3 and 4 by the table");
        assert_eq!(pay(&measured(&[(2, 180)])), [false, true, true, true]);
    }

    #[test]
    fn a_full_batch_saves_what_its_requests_would_cost_alone() {
        let costs = |timings: &Timings| {
            let (alone, savings) = timings.alone_and_savings(OP, CAPACITY, TABLE);
            (alone.as_micros(), savings.as_micros())
        };
        assert_eq!(costs(&measured(&[(4, 120)])), (100, 70));
        assert_eq!(costs(&measured(&[])), (100, 62), "full batches cost one and a half until they are seen");
        assert_eq!(costs(&measured(&[(1, 50), (4, 120)])), (50, 0), "one is worth its lanes");
        assert_eq!(costs(&measured(&[(2, 300), (3, 350), (4, 390)])), (100, 0), "not even full");
        assert_eq!(costs(&Timings::default()), (0, 0));
    }

    #[test]
    fn what_was_disturbed_does_not_count() {
        let mut timings = measured(&[(2, 150)]);
        timings.lanes(OP, 2, Duration::from_millis(9));
        timings.scalar(OP, 1, Duration::from_millis(9));
        assert_eq!(pay(&timings), [false, true, true, true]);
    }
}

//! What batches take on this machine, and from which fill on they are worth their lanes.
//!
//! A batch costs much the same however many of its lanes are filled, so below some fill aws-lc-rs is faster
//! one by one. Which fill that is depends on the CPU: aws-lc-rs has kernels of its own for some, and wide
//! multiplications take twice as long on others. So an engine starts with the table of `op`, and goes by what
//! its own batches take as soon as it has seen a few of each kind.
//!
//! Whichever way is not taken is tried again from time to time: what was measured in a noisy minute would
//! otherwise decide for ever. It is tried several times in a row, because the first time its code and its
//! tables are not in the caches, as those of the way that is taken are. Such attempts are made when the time
//! that batches have spent since the last ones is a multiple of what they cost, so that all together cost at
//! most a part in [`AGAIN`].

use super::Op;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Batches to see before their times are believed.
const SAMPLES: usize = 3;
/// So many batches are remembered, and so many in a row are an attempt.
const LAST: usize = 5;
/// How many times the cost of an attempt has been spent before a way that is not taken is tried again.
const AGAIN: u64 = 128;
/// What a way that was never measured is taken to cost: so many times what the other costs.
const UNKNOWN: u64 = 4;

/// A set of fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fills(u16);

impl Fills {
    /// Those of `1..=capacity` that satisfy this.
    pub(super) fn of(capacity: usize, holds: impl Fn(usize) -> bool) -> Self {
        (1..=capacity).filter(|fill| holds(*fill)).fold(Self::default(), Self::with)
    }

    pub(super) fn with(self, fill: usize) -> Self {
        Self(self.0 | 1 << fill)
    }

    pub(super) fn contains(self, fill: usize) -> bool {
        fill < u16::BITS as usize && self.0 >> fill & 1 == 1
    }
}

impl fmt::Display for Fills {
    /// Such as `1, 3-4`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fill, mut separator) = (0, "");
        while fill < u16::BITS as usize {
            let last = (fill..u16::BITS as usize).take_while(|n| self.contains(*n)).last();
            match last {
                Some(last) if last > fill => write!(f, "{separator}{fill}-{last}")?,
                Some(_) => write!(f, "{separator}{fill}")?,
                None => {}
            }
            separator = if last.is_some() { ", " } else { separator };
            fill = last.unwrap_or(fill) + 1;
        }
        f.write_str(if separator.is_empty() { "none" } else { "" })
    }
}

/// Which batches of an operation one thread runs in lanes, by what it has measured. Other batches are
/// answered by aws-lc-rs, one request after the other.
///
/// It is written as `p256-ecdh: batches of 2-4 run in lanes, 186 µs for 4; aws-lc-rs takes 112 µs for one`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakEven {
    /// The operation that was measured.
    pub op: Op,
    /// How many requests fill all lanes.
    pub capacity: usize,
    /// What one request typically took through aws-lc-rs when this was decided.
    pub scalar: Duration,
    /// `lanes[n]` is what a batch of `n` requests typically took in lanes when this was decided; `None` where
    /// it was not measured. The last index is the capacity.
    pub lanes: Vec<Option<Duration>>,
    fills: Fills,
}

impl BreakEven {
    /// Whether a batch of so many requests runs in lanes. Fills that were not seen yet are judged by what is
    /// known of larger ones, or by a table that was measured on other machines.
    pub fn runs_in_lanes(&self, fill: usize) -> bool {
        self.fills.contains(fill)
    }
}

impl fmt::Display for BreakEven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, scalar, lanes, fills, .. } = self;
        let micros = |time: &Duration| time.as_secs_f64() * 1e6;
        write!(f, "{}: batches of {fills} run in lanes", op.name())?;
        if let Some((fill, Some(time))) = lanes.iter().enumerate().rfind(|(_, time)| time.is_some()) {
            write!(f, ", {:.0} µs for {fill}", micros(time))?;
        }
        write!(f, "; aws-lc-rs takes {:.0} µs for one", micros(scalar))
    }
}

/// What batches of one kind took of late, in nanoseconds: the median of the last few. That is the same
/// measure for a way that is taken all the time and for one that is only tried. The least time is not: it is
/// the lower the more batches were seen, and on a server with little to do, whose caches are cold, none is
/// as fast.
#[derive(Clone, Copy, Debug, Default)]
struct Typical {
    last: [u64; LAST],
    samples: usize,
    /// The median, or one from which it differs by no more than a part in 32.
    nanos: u64,
    /// What the other way has taken since this one was last taken, for batches that could have gone it.
    elsewhere: u64,
    /// How many more batches are to go this way, although it is not the one that is taken.
    tries: usize,
}

impl Typical {
    /// Says whether what is known has changed.
    fn record(&mut self, nanos: u64) -> bool {
        self.last[self.samples % LAST] = nanos;
        self.samples += 1;
        self.elsewhere = 0;
        let mut last = self.last;
        let seen = &mut last[..self.samples.min(LAST)];
        seen.sort_unstable();
        let median = seen[(seen.len() - 1) / 2];
        let has_changed = self.samples == SAMPLES || median.abs_diff(self.nanos) > self.nanos / 32;
        if has_changed {
            self.nanos = median;
        }
        has_changed && self.samples >= SAMPLES
    }

    fn known(&self) -> Option<u64> {
        (self.samples >= SAMPLES).then_some(self.nanos)
    }

    /// Takes note of a batch that is to go the other way, which takes `nanos`; says whether it shall go this
    /// one, which takes `own`, after all.
    fn is_due(&mut self, nanos: u64, own: u64) -> bool {
        if self.tries == 0 {
            self.elsewhere = self.elsewhere.saturating_add(nanos);
            if self.elsewhere / AGAIN < own.saturating_mul(LAST as u64) {
                return false;
            }
            (self.elsewhere, self.tries) = (0, LAST);
        }
        self.tries -= 1;
        true
    }
}

/// What the batches of one operation took.
#[derive(Clone, Debug)]
struct Timing {
    /// The smallest fill that runs in lanes until batches were measured.
    table: usize,
    /// One request through aws-lc-rs.
    scalar: Typical,
    /// A batch in lanes; `lanes[n - 1]` is one of `n` requests.
    lanes: Vec<Typical>,
    /// The fills that are worth their lanes.
    fills: Fills,
    /// What a request costs that is alone, and how much of that a full batch saves.
    alone_and_savings: (u64, u64),
    /// The fills that were worth their lanes, and those that were measured, when somebody was told last.
    told: Option<[Fills; 2]>,
}

impl Timing {
    fn new(capacity: usize, table: usize) -> Self {
        let mut timing = Self {
            table,
            scalar: Typical::default(),
            lanes: vec![Typical::default(); capacity],
            fills: Fills::default(),
            alone_and_savings: (0, 0),
            told: None,
        };
        timing.judge();
        timing
    }

    /// Draws the conclusions from what is known, which changes rarely.
    fn judge(&mut self) {
        self.fills = Fills::of(self.capacity(), |fill| self.lanes_pay(fill));
        self.alone_and_savings = self.weigh();
    }

    fn capacity(&self) -> usize {
        self.lanes.len()
    }

    /// A batch in lanes takes at most this: a smaller batch does not cost more than a larger one.
    fn lanes(&self, fill: usize) -> Option<u64> {
        self.lanes.iter().skip(fill - 1).filter_map(Typical::known).min()
    }

    fn scalar(&self, fill: usize) -> Option<u64> {
        Some(self.scalar.known()? * fill as u64)
    }

    /// Whether a batch is worth its lanes: whether they are faster by a tenth, since they lose about as much
    /// while somebody else uses the core. The first batches that are not full go to aws-lc-rs, so that there
    /// is something to compare with.
    fn lanes_pay(&self, fill: usize) -> bool {
        match (self.lanes(fill), self.scalar(fill)) {
            (Some(lanes), Some(scalar)) => lanes * 10 <= scalar * 9,
            (None, Some(_)) => fill >= self.table,
            (_, None) => fill >= self.capacity(),
        }
    }

    /// What a request costs that is alone, and how much of that a full batch saves. It saves nothing of
    /// operations that are split over the lanes. Until full batches were seen, one is taken to cost the
    /// least that the table allows: as much as the largest batch that still goes to aws-lc-rs.
    fn weigh(&self) -> (u64, u64) {
        let capacity = self.capacity();
        let least = (1..=capacity).find(|fill| self.fills.contains(*fill));
        let scalar = self.scalar.known().filter(|_| least != Some(1));
        let alone = scalar.or(self.lanes(1)).or(self.scalar.known()).unwrap_or(0);
        let full = self.lanes(capacity);
        // Split over the lanes, one request costs less than half of a full batch.
        let is_split = scalar.is_none() && full.is_none_or(|full| full >= 2 * alone);
        let estimate = alone * (self.table as u64).saturating_sub(1);
        let savings = match least {
            Some(_) if !is_split => alone.saturating_sub(full.unwrap_or(estimate) / capacity as u64),
            _ => 0,
        };
        (alone, savings)
    }

    fn is_measured(&self) -> bool {
        self.scalar.known().is_some() && self.lanes(1).is_some()
    }

    fn choose(&mut self, fill: usize) -> bool {
        let pays = self.fills.contains(fill);
        let (own, other) = match pays {
            true => (self.lanes(fill), self.scalar(fill)),
            false => (self.scalar(fill), self.lanes(fill)),
        };
        let Some(own) = own else { return pays };
        let way = if pays { &mut self.scalar } else { &mut self.lanes[fill - 1] };
        pays != way.is_due(own, other.unwrap_or(UNKNOWN * own))
    }
}

/// What the batches of one runner took.
#[derive(Debug)]
pub(super) struct Timings {
    /// By [`Op::index`].
    ops: Vec<Timing>,
    /// What is known of each operation: as of when other fills were worth their lanes, or were measured.
    shown: Arc<[BreakEven]>,
    /// The operations of which that has changed, until somebody asks.
    changed: Vec<Op>,
}

impl Timings {
    /// Of a runner that has run no batch: `known` tells the capacity of an operation, and the smallest fill
    /// that runs in lanes until its batches were measured.
    pub(super) fn new(known: impl Fn(Op) -> (usize, usize)) -> Self {
        let timing = |(capacity, table)| Timing::new(capacity, table);
        Self {
            ops: Op::ALL.iter().map(|op| timing(known(*op))).collect(),
            shown: Arc::default(),
            changed: Vec::new(),
        }
    }

    /// The fills that are worth their lanes.
    pub(super) fn fills(&self, op: Op) -> Fills {
        self.ops[op.index()].fills
    }

    /// What a request costs that is alone, and how much of that a full batch saves; zero until a few have
    /// been seen.
    pub(super) fn alone_and_savings(&self, op: Op) -> (Duration, Duration) {
        let (alone, savings) = self.ops[op.index()].alone_and_savings;
        (Duration::from_nanos(alone), Duration::from_nanos(savings))
    }

    /// Whether the next batch shall run in lanes: if they are worth it, but for attempts.
    pub(super) fn choose(&mut self, op: Op, fill: usize) -> bool {
        self.ops[op.index()].choose(fill)
    }

    /// Takes note of a batch that aws-lc-rs has answered, one request after the other.
    pub(super) fn scalar(&mut self, op: Op, fill: usize, took: Duration) {
        if self.ops[op.index()].scalar.record(nanos(took) / fill as u64) {
            self.judge(op);
        }
    }

    /// Takes note of a batch that lanes have answered.
    pub(super) fn lanes(&mut self, op: Op, fill: usize, took: Duration) {
        if self.ops[op.index()].lanes[fill - 1].record(nanos(took)) {
            self.judge(op);
        }
    }

    fn judge(&mut self, op: Op) {
        let timing = &mut self.ops[op.index()];
        timing.judge();
        let known = Fills::of(timing.capacity(), |fill| timing.lanes[fill - 1].known().is_some());
        let now = timing.is_measured().then_some([timing.fills, known]);
        if now.is_some() && now != timing.told {
            timing.told = now;
            if !self.changed.contains(&op) {
                self.changed.push(op);
            }
            let others = self.shown.iter().filter(|known| known.op != op).cloned();
            let mut shown: Vec<_> = others.chain(self.measured(op)).collect();
            shown.sort_by_key(|known| known.op);
            self.shown = shown.into();
        }
    }

    fn measured(&self, op: Op) -> Option<BreakEven> {
        let timing = &self.ops[op.index()];
        let lanes = timing.lanes.iter().map(|least| least.known().map(Duration::from_nanos));
        Some(BreakEven {
            op,
            capacity: timing.capacity(),
            scalar: Duration::from_nanos(timing.scalar.known()?),
            lanes: std::iter::once(None).chain(lanes).collect(),
            fills: timing.fills,
        })
    }

    /// What was measured of each operation of which enough batches were seen, in the order of [`Op::ALL`].
    pub(super) fn break_even(&self) -> Arc<[BreakEven]> {
        self.shown.clone()
    }

    /// That of an operation of which it has changed, once.
    pub(super) fn take_changed(&mut self) -> Option<BreakEven> {
        let op = self.changed.pop()?;
        self.shown.iter().find(|known| known.op == op).cloned()
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
    /// So many batches pay for an attempt at something that costs as much as each of them.
    const ATTEMPT: usize = AGAIN as usize * LAST;

    fn new() -> Timings {
        Timings::new(|_| (CAPACITY, TABLE))
    }

    /// One request through aws-lc-rs takes 100 µs, batches in lanes what `lanes` says, by fill.
    fn measure(timings: &mut Timings, lanes: &[(usize, u64)]) {
        for _ in 0..SAMPLES {
            timings.scalar(OP, 2, Duration::from_micros(200));
            for (fill, micros) in lanes {
                timings.lanes(OP, *fill, Duration::from_micros(*micros));
            }
        }
    }

    fn measured(lanes: &[(usize, u64)]) -> Timings {
        let mut timings = new();
        measure(&mut timings, lanes);
        timings
    }

    fn pay(timings: &Timings) -> [bool; CAPACITY] {
        std::array::from_fn(|i| timings.fills(OP).contains(i + 1))
    }

    #[test]
    fn until_aws_lc_rs_is_measured_only_full_batches_run_in_lanes() {
        let mut timings = new();
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
            let (alone, savings) = timings.alone_and_savings(OP);
            (alone.as_micros(), savings.as_micros())
        };
        assert_eq!(costs(&measured(&[(4, 120)])), (100, 70));
        assert_eq!(costs(&measured(&[])), (100, 75), "full batches cost one until they are seen");
        assert_eq!(costs(&measured(&[(1, 50), (4, 120)])), (50, 0), "split over the lanes");
        assert_eq!(costs(&measured(&[(4, 87)])), (87, 65), "one is worth its lanes, and leaves them empty");
        assert_eq!(costs(&measured(&[(2, 300), (3, 350), (4, 390)])), (100, 0), "not even full");
        assert_eq!(costs(&new()), (0, 0));
        let mut timings = Timings::new(|_| (CAPACITY, 1));
        measure(&mut timings, &[]);
        assert_eq!(costs(&timings), (100, 0), "it is not known yet that one is worth its lanes");
    }

    #[test]
    fn what_was_disturbed_does_not_count() {
        let mut timings = measured(&[(2, 150)]);
        timings.lanes(OP, 2, Duration::from_millis(9));
        timings.scalar(OP, 1, Duration::from_millis(9));
        assert_eq!(pay(&timings), [false, true, true, true]);
    }

    /// Runs batches of two where one request takes 100 µs through aws-lc-rs and a batch `lanes` µs, and
    /// counts those in lanes.
    fn run(timings: &mut Timings, batches: usize, lanes: u64) -> usize {
        let in_lanes = |_: &usize| {
            let in_lanes = timings.choose(OP, 2);
            match in_lanes {
                true => timings.lanes(OP, 2, Duration::from_micros(lanes)),
                false => timings.scalar(OP, 2, Duration::from_micros(200)),
            }
            in_lanes
        };
        (0..batches).filter(in_lanes).count()
    }

    #[test]
    fn a_noisy_minute_does_not_decide_for_ever() {
        // Lanes took ten times as long as they do.
        let mut timings = measured(&[(2, 1000)]);
        assert_eq!(pay(&timings), [false, false, true, true]);
        // A batch in lanes costs as much as five through aws-lc-rs.
        assert_eq!(run(&mut timings, 5 * ATTEMPT - 1, 100), 0);
        assert_eq!(run(&mut timings, 10, 100), 10);
        // Or aws-lc-rs did, and lanes are no better.
        let mut timings = new();
        for _ in 0..SAMPLES {
            timings.scalar(OP, 2, Duration::from_micros(2000));
            timings.lanes(OP, 2, Duration::from_micros(500));
        }
        assert_eq!(run(&mut timings, 4 * ATTEMPT - 1, 500), 4 * ATTEMPT - 1);
        assert_eq!(run(&mut timings, 10, 500), 0);
    }

    /// The first batch of an attempt finds its code and tables nowhere in the caches.
    #[test]
    fn what_is_tried_is_tried_until_it_is_warm() {
        let mut timings = measured(&[(1, 95)]);
        let mut takes = [400, 60, 60, 60, 60].into_iter();
        for _ in 0..2 * ATTEMPT {
            match timings.choose(OP, 1) {
                true => timings.lanes(OP, 1, Duration::from_micros(takes.next().unwrap_or(60))),
                false => timings.scalar(OP, 1, Duration::from_micros(100)),
            }
        }
        assert!(timings.fills(OP).contains(1) && takes.next().is_none());
    }

    /// Of a way that is taken all the time some batches are fast by chance.
    #[test]
    fn many_batches_are_judged_as_few_are() {
        let mut timings = measured(&[(2, 195)]);
        for _ in 0..1000 {
            measure(&mut timings, &[(2, 195)]);
            timings.lanes(OP, 2, Duration::from_micros(120));
        }
        assert_eq!(pay(&timings), [false, false, true, true]);
    }

    #[test]
    fn attempts_cost_at_most_a_part_of_all() {
        for lanes in [50, 170, 230, 2000] {
            let mut timings = measured(&[(2, lanes)]);
            let batches = 100 * ATTEMPT;
            let in_lanes = run(&mut timings, batches, lanes);
            let pays = timings.fills(OP).contains(2);
            let (attempts, own, other) = match pays {
                true => (batches - in_lanes, lanes, 200),
                false => (in_lanes, 200, lanes),
            };
            assert!(attempts > 0, "{lanes}");
            assert!(attempts as u64 * other * AGAIN <= batches as u64 * own, "{lanes}: {attempts} attempts");
        }
    }

    /// A server that is never busy would not learn what a batch of one takes, nor one that always is what
    /// aws-lc-rs takes.
    #[test]
    fn a_way_that_was_never_taken_is_tried() {
        let mut timings = new();
        let mut one = |micros| {
            let in_lanes = timings.choose(OP, 1);
            match in_lanes {
                true => timings.lanes(OP, 1, Duration::from_micros(micros)),
                false => timings.scalar(OP, 1, Duration::from_micros(100)),
            }
            in_lanes
        };
        assert!(!(1..SAMPLES + UNKNOWN as usize * ATTEMPT).any(|_| one(60)));
        assert!((0..10).all(|_| one(60)));
        let mut timings = new();
        let mut full = || {
            let in_lanes = timings.choose(OP, CAPACITY);
            match in_lanes {
                true => timings.lanes(OP, CAPACITY, Duration::from_micros(300)),
                false => timings.scalar(OP, CAPACITY, Duration::from_micros(400)),
            }
            in_lanes
        };
        assert_eq!((0..UNKNOWN as usize * ATTEMPT + 10).filter(|_| !full()).count(), LAST);
    }

    #[test]
    fn what_changes_is_told() {
        let mut timings = new();
        timings.scalar(OP, 1, Duration::from_micros(100));
        assert!(timings.take_changed().is_none() && timings.break_even().is_empty());
        measure(&mut timings, &[(2, 230)]);
        assert!(timings.take_changed().is_some());
        measure(&mut timings, &[(4, 250)]);
        let told = timings.take_changed().unwrap();
        assert_eq!(&*timings.break_even(), std::slice::from_ref(&told));
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|fill| told.runs_in_lanes(fill)),
            [false, false, false, true, true, false]
        );
        assert_eq!((told.op, told.capacity, told.scalar), (OP, CAPACITY, Duration::from_micros(100)));
        assert_eq!(
            told.lanes.iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, false, true, false, true]
        );
        assert_eq!(
            told.to_string(),
            "rsa2048-sign: batches of 3-4 run in lanes, 250 µs for 4; aws-lc-rs takes 100 µs for one"
        );
        measure(&mut timings, &[(2, 240), (4, 245)]);
        assert!(timings.take_changed().is_none());
        measure(&mut timings, &[(2, 140)]);
        assert!(timings.take_changed().unwrap().runs_in_lanes(2));
    }

    #[test]
    fn fills_are_written_as_ranges() {
        let written = |fills: &[usize]| Fills::of(8, |fill| fills.contains(&fill)).to_string();
        assert_eq!(
            [&[][..], &[1], &[1, 3, 4], &[2, 3, 4, 5, 6, 7, 8]].map(written),
            ["none", "1", "1, 3-4", "2-8"]
        );
    }
}

//! The results: slots and their summaries.

mod lines;
mod tables;

pub(crate) use lines::{JsonFile, point_lines, scenario_line};
pub(crate) use tables::{LEGEND, cells, heads, table};

use crate::batches::Batches;
use crate::cli::{KeyKind, Level, Pace};
use crate::client::Outcome;
use crate::rotation::Rotated;
use crate::sides::Provider;
use crate::stats::{self, Latencies};
use crate::usage::Usage;
use rustls_multibuffer::handshake::BreakEven;
use std::time::Duration;

/// The share of the rate asked for that has to be made.
const REACHED: f64 = 0.95;

/// One slot of load on one implementation.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) handshakes: usize,
    /// Those among them that resumed a session.
    pub(crate) resumed: usize,
    /// In an open loop: handshakes that were due, and those of them that could not be started in time.
    pub(crate) due: usize,
    pub(crate) unstarted: usize,
    /// How long handshakes were started.
    pub(crate) duration: Duration,
    pub(crate) elapsed: Duration,
    /// Of all server threads, and those of their engine.
    pub(crate) usage: Usage,
    pub(crate) p50_us: f64,
    pub(crate) batches: Batches,
    /// Those of the clients' engines.
    pub(crate) client_batches: Batches,
}

impl Slot {
    pub(crate) fn rate(&self) -> f64 {
        self.handshakes as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.usage.cpu.as_secs_f64() * 1e6 / self.handshakes as f64
    }

    /// How often a server thread, or one of its engine, began to run, for each handshake.
    pub(crate) fn switches(&self) -> f64 {
        self.usage.switches as f64 / self.handshakes as f64
    }

    /// CPU seconds of the server threads in each second.
    pub(crate) fn busy(&self) -> f64 {
        self.usage.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// One implementation at one load.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) provider: Provider,
    pub(crate) slots: Vec<Slot>,
    pub(crate) latencies: Latencies,
    pub(crate) failures: usize,
    pub(crate) first_failure: Option<String>,
}

impl Side {
    pub(crate) fn new(provider: Provider) -> Self {
        Self {
            provider,
            slots: Vec::new(),
            latencies: Latencies::default(),
            failures: 0,
            first_failure: None,
        }
    }

    /// Adds what one slot has shown.
    pub(crate) fn add(&mut self, slot: Slot, outcome: Outcome) {
        self.slots.push(slot);
        self.latencies.append(&outcome.latencies);
        self.failures += outcome.failures;
        self.first_failure = self.first_failure.take().or(outcome.first_failure);
    }

    fn each(&self, value: impl Fn(&Slot) -> f64) -> Vec<f64> {
        self.slots.iter().map(value).collect()
    }

    pub(crate) fn median(&self, value: impl Fn(&Slot) -> f64) -> f64 {
        stats::median(self.each(value)).expect("there is at least one slot")
    }

    fn sum(&self, batches: impl Fn(&Slot) -> &Batches) -> Batches {
        let mut sum = Batches::default();
        self.slots.iter().for_each(|slot| sum.merge(batches(slot)));
        sum
    }

    pub(crate) fn batches(&self) -> Batches {
        self.sum(|slot| &slot.batches)
    }

    fn client_batches(&self) -> Batches {
        self.sum(|slot| &slot.client_batches)
    }

    fn total(&self, value: impl Fn(&Slot) -> usize) -> usize {
        self.slots.iter().map(value).sum()
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.total(|slot| slot.handshakes)
    }

    /// Of all handshakes of all slots, in microseconds.
    pub(crate) fn percentiles<const N: usize>(&self, wanted: [f64; N]) -> [f64; N] {
        self.latencies.percentiles_us(wanted).expect("every slot has handshakes")
    }

    /// Whether as many handshakes were made as were due: all were started in time, and as fast as they were
    /// due, but for [`REACHED`]. What took longer would have piled up. A slot's last handshakes may end
    /// after it by what a handshake takes that nothing holds up.
    pub(crate) fn kept_pace(&self) -> bool {
        let seconds =
            |time: fn(&Slot) -> Duration| self.slots.iter().map(time).sum::<Duration>().as_secs_f64();
        let due = self.total(|slot| slot.due) as f64 / seconds(|slot| slot.duration);
        let last = self.percentiles([1.0])[0] / 1e6 * self.slots.len() as f64;
        let made = self.handshakes() as f64 / (seconds(|slot| slot.elapsed) - last);
        self.total(|slot| slot.unstarted) == 0 && made >= REACHED * due
    }
}

/// Both implementations at one load, the baseline first.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) level: Level,
    pub(crate) pace: Pace,
    /// What was rotated meanwhile, if that was asked for.
    pub(crate) rotated: Option<Rotated>,
    pub(crate) sides: Vec<Side>,
}

impl Point {
    /// The multibuffer's value over the baseline's, median over the pairs of neighbouring slots.
    pub(crate) fn ratio(&self, value: impl Fn(&Slot) -> f64) -> f64 {
        let [baseline, multibuffer] = [&self.sides[0], &self.sides[1]].map(|side| side.each(&value));
        stats::median_ratio(&multibuffer, &baseline).expect("there is at least one slot")
    }
}

/// What stock rustls can make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Handshakes a second.
    pub(crate) per_s: f64,
    /// CPU seconds of the server a second meanwhile.
    pub(crate) busy: f64,
}

/// One scenario at all loads.
#[derive(Clone, Debug)]
pub(crate) struct ScenarioResult {
    pub(crate) scenario: String,
    pub(crate) key: KeyKind,
    /// One word for where servers and clients ran.
    pub(crate) placement: &'static str,
    /// If some load is a part of it.
    pub(crate) capacity: Option<Capacity>,
    pub(crate) points: Vec<Point>,
    /// What the server's engines have found in the end.
    pub(crate) break_even: Vec<BreakEven>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(due: usize, handshakes: usize, unstarted: usize, elapsed_ms: u64) -> Side {
        let mut side = Side::new(Provider::Baseline);
        side.slots.push(Slot {
            handshakes,
            resumed: 0,
            due,
            unstarted,
            duration: Duration::from_secs(1),
            elapsed: Duration::from_millis(elapsed_ms),
            usage: Usage::default(),
            p50_us: 50_000.0,
            batches: Batches::default(),
            client_batches: Batches::default(),
        });
        // They are ever later, up to a tenth of a second.
        (1..=100).for_each(|ms| side.latencies.push(Duration::from_millis(ms)));
        side
    }

    #[test]
    fn a_rate_that_was_not_reached_is_noticed() {
        assert!(side(100, 100, 0, 1040).kept_pace());
        assert!(!side(100, 100, 0, 1100).kept_pace(), "the backlog took a tenth of a second");
        assert!(!side(100, 94, 0, 1000).kept_pace(), "six failed");
        assert!(!side(100, 99, 1, 1000).kept_pace(), "one was not started");
    }
}

//! What an engine tells about itself.

use super::calls::Calls;
use super::{EngineConfig, Unaccelerated};
use crate::arch::{Detection, Tier, TierKind};
use crate::batch::Stats;
use crate::fiber::Counts;
use crate::ops::{BreakEven, Counters};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Once};

/// Chooses the tier, and logs once in the life of the process what was chosen and why nothing better.
pub(super) fn detect(config: &EngineConfig) -> Detection {
    static LOGGED: Once = Once::new();
    let detection = Tier::detect_up_to(config.max_tier);
    LOGGED.call_once(|| {
        let reasons: Vec<_> =
            detection.passed_over.iter().map(|(kind, why)| format!("{kind} {why}")).collect();
        let reasons = if reasons.is_empty() { "the best there is".to_owned() } else { reasons.join("; ") };
        log::info!("batches run on tier {} ({reasons})", detection.tier.kind());
    });
    detection
}

/// What a thread has done so far, for others to see.
#[derive(Debug)]
pub(super) struct ThreadStats {
    pub(super) batches: Stats,
    pub(super) runner: Counters,
    pub(super) break_even: Arc<[BreakEven]>,
}

/// What others may look at while a thread works.
#[derive(Clone, Debug)]
pub(super) struct Gauges {
    pub(super) fibers: Arc<Counts>,
    pub(super) calls: Arc<Calls>,
}

impl Gauges {
    pub(super) fn new(fibers: Arc<Counts>) -> Self {
        Self { fibers, calls: Arc::default() }
    }
}

/// What an engine has done so far, all its threads together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineStats {
    /// The tier that runs the batches.
    pub tier: TierKind,
    /// The better tiers, best first, each with the reason why it was not chosen.
    pub passed_over: Vec<(TierKind, &'static str)>,
    /// The batches of every operation.
    pub batches: Stats,
    /// How the requests in them were answered.
    pub runner: Counters,
    /// Which fills run in lanes: for each thread, and each operation of which it has measured enough batches,
    /// what it has found. None with [`EngineConfig::break_even`] or without lanes. The log has the same at
    /// the level `debug`.
    pub break_even: Vec<BreakEven>,
    /// Fibers that have started and not ended.
    pub live_fibers: usize,
    /// Stacks that exist, in use or pooled.
    pub stacks: usize,
    /// Stacks in use.
    pub stacks_in_use: usize,
    /// The depth in bytes of the deepest trace that a fiber left on its stack. A lower bound of what was
    /// used: aws-lc cleanses its largest frames, so that they look as if nobody had used them.
    pub deepest_stack: usize,
    /// Verifications that were answered without waiting for a batch, because whoever asked may hold a lock
    /// ([`batch_verifications`](crate::provider::batch_verifications)).
    pub verified_at_once: u64,
    /// Calls into rustls that held a thread for over 10 ms without parking: certificate resolvers, verifiers
    /// and signers that block or compute for long, or a machine that gives the thread no time.
    pub long_calls: u64,
    /// Handshakes of acceptors and connectors that succeeded without all that could have been batched; the
    /// log says once what to change. Signatures with keys that have no lanes, and what runs on no engine,
    /// are counted for the process: [`unaccelerated_signatures`](crate::provider::unaccelerated_signatures)
    /// and [`operations_off_engine`](crate::provider::operations_off_engine).
    pub unaccelerated: Unaccelerated,
    /// Handshakes and other futures that are admitted and not ended.
    pub in_flight: usize,
    /// Handshakes that ended well, and other futures that ended.
    pub succeeded: u64,
    /// Handshakes that ended with an error, timeouts not included.
    pub failed: u64,
    /// Handshakes that took longer than `handshake_timeout`.
    pub timed_out: u64,
    /// Handshakes whose future was dropped.
    pub cancelled: u64,
}

impl EngineStats {
    pub(super) fn new(detection: &Detection) -> Self {
        Self {
            tier: detection.tier.kind(),
            passed_over: detection.passed_over.clone(),
            batches: Stats::default(),
            runner: Counters::default(),
            break_even: Vec::new(),
            live_fibers: 0,
            stacks: 0,
            stacks_in_use: 0,
            deepest_stack: 0,
            verified_at_once: 0,
            long_calls: 0,
            unaccelerated: Unaccelerated::default(),
            in_flight: 0,
            succeeded: 0,
            failed: 0,
            timed_out: 0,
            cancelled: 0,
        }
    }

    /// Adds what one thread has done.
    pub(super) fn add_thread(&mut self, stats: &ThreadStats, Gauges { fibers, calls }: &Gauges) {
        let ThreadStats { batches, runner, break_even } = stats;
        self.batches.merge(batches);
        self.break_even.extend(break_even.iter().cloned());
        self.runner.in_lanes += runner.in_lanes;
        self.runner.scalar += runner.scalar;
        self.runner.redone += runner.redone;
        self.runner.panicked += runner.panicked;
        self.live_fibers += fibers.live();
        self.stacks += fibers.stacks();
        self.stacks_in_use += fibers.stacks_in_use();
        self.deepest_stack = self.deepest_stack.max(fibers.deepest());
        self.verified_at_once += calls.at_once.load(Relaxed);
        self.long_calls += calls.long.load(Relaxed);
    }
}

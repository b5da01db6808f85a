//! Runs a batch: the same on an engine's thread and on a caller's.

use crate::batch::{Batch, Policy};
use crate::handshake::EngineConfig;
use crate::ops::{Op, Request, Runner};
use crate::provider::Answer;

/// When a thread with this runner starts batches.
pub(super) fn policy(config: &EngineConfig, runner: &Runner) -> Policy {
    Policy {
        capacities: Op::ALL.map(|op| runner.capacity(op).max(config.gather)),
        poll_delay: config.poll_delay,
        max_wait: config.max_wait,
        bound: config.queue_bound,
    }
}

/// Every ticket of the batch with its answer, in order.
pub(super) fn run<T>(
    runner: &mut Runner,
    batch: Batch<T, Request>,
) -> impl Iterator<Item = (T, Answer)> + use<T> {
    let requests: Vec<_> = batch.entries.iter().map(|entry| &entry.request).collect();
    let mut answers = Vec::with_capacity(requests.len());
    for lanes in requests.chunks(runner.capacity(batch.op).max(1)) {
        let panicked = runner.counters().panicked;
        runner.run(lanes, &mut answers);
        if runner.counters().panicked > panicked {
            log::error!("a batch of {} panicked and was done again by aws-lc-rs: a bug", batch.op.name());
        }
    }
    debug_assert_eq!(answers.len(), requests.len());
    batch.entries.into_iter().map(|entry| entry.ticket).zip(answers)
}

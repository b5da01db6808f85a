//! Runs a batch: the same on an engine's thread and on a caller's.

use crate::batch::{Batch, Policy};
use crate::error::Error;
use crate::handshake::EngineConfig;
use crate::ops::{Op, Request, Runner};
use crate::provider::Answer;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
        let before = answers.len();
        // A panic in a kernel is a bug, but one that must not take every handshake of the thread with it.
        if catch_unwind(AssertUnwindSafe(|| runner.run(lanes, &mut answers))).is_err() {
            log::error!("a batch of {} panicked", batch.op.name());
            answers.truncate(before);
            answers.extend(lanes.iter().map(|_| Err(Error::Panicked)));
        }
    }
    debug_assert_eq!(answers.len(), requests.len());
    batch.entries.into_iter().map(|entry| entry.ticket).zip(answers)
}

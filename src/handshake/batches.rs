//! Runs a batch: the same on an engine's thread and on a caller's.

use crate::batch::{Batch, Policy, Queue};
use crate::handshake::EngineConfig;
use crate::ops::{Request, Runner};
use crate::provider::answer::Answer;

/// The queue of a thread with this runner.
pub(super) fn queue<T>(config: &EngineConfig, runner: &Runner) -> Queue<T, Request> {
    let EngineConfig { poll_delay, max_wait, queue_bound: bound, .. } = *config;
    Queue::new(Policy { poll_delay, max_wait, bound }, |op| runner.capacity(op).max(config.gather))
}

/// Every ticket of the batch with its answer, in order.
pub(super) fn run<T>(
    runner: &mut Runner,
    batch: Batch<T, Request>,
) -> impl Iterator<Item = (T, Answer)> + use<T> {
    let requests: Vec<_> = batch.entries.iter().map(|entry| &entry.request).collect();
    let mut answers = Vec::with_capacity(requests.len());
    for lanes in requests.chunks(runner.capacity(batch.op).max(1)) {
        answer(runner, lanes, &mut answers);
    }
    debug_assert_eq!(answers.len(), requests.len());
    batch.entries.into_iter().map(|entry| entry.ticket).zip(answers)
}

/// The answer to a request that waits for nobody.
pub(super) fn run_alone(runner: &mut Runner, request: &Request) -> Answer {
    let mut answers = Vec::with_capacity(1);
    answer(runner, &[request], &mut answers);
    answers.pop().expect("one for each request")
}

fn answer(runner: &mut Runner, requests: &[&Request], answers: &mut Vec<Answer>) {
    let panicked = runner.counters().panicked;
    runner.run(requests, answers);
    if runner.counters().panicked > panicked {
        let op = requests.first().map_or("nothing", |request| request.op().name());
        log::error!("a batch of {op} panicked and was done again by aws-lc-rs: a bug");
    }
}

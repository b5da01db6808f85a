//! The batch queue as a state machine: arrivals, cancellations, time and load as the bytes say, against a
//! model that knows which requests wait.

use super::Bytes;
use rustls_multibuffer::internals::batch::{Batch, Load, Policy, Queue};
use rustls_multibuffer::internals::ops::Op;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

type Leaving = Batch<u32, (Op, u32)>;

struct Model {
    policy: Policy,
    /// By [`Op::index`].
    capacities: Vec<usize>,
    /// What waits: by operation, in the order of arrival.
    waiting: BTreeMap<usize, Vec<(u32, Instant)>>,
}

impl Model {
    fn len(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Takes a batch out, which must be one that may leave at this time.
    fn leave(&mut self, batch: &Leaving) {
        let i = batch.op.index();
        let waiting = self.waiting.entry(i).or_default();
        let expected = waiting.len().min(self.capacities[i]);
        assert_eq!(batch.entries.len(), expected, "a batch takes what waits, up to its capacity");
        assert!(expected > 0, "no empty batch");
        for (entry, (ticket, _)) in batch.entries.iter().zip(waiting.drain(..expected)) {
            assert_eq!(
                (entry.ticket, entry.request),
                (ticket, (batch.op, ticket)),
                "in the order of arrival"
            );
        }
    }

    /// When the first of an operation's requests must leave.
    fn deadline(&self) -> Option<Instant> {
        let delay =
            if self.policy.poll_delay.is_zero() { self.policy.max_wait } else { self.policy.poll_delay };
        self.waiting.values().filter_map(|waiting| Some(waiting.first()?.1 + delay)).min()
    }

    fn has_full(&self) -> bool {
        self.waiting.iter().any(|(i, waiting)| waiting.len() >= self.capacities[*i])
    }
}

/// Runs the commands that the bytes are. `tamper` stands between the queue and the model.
pub(crate) fn run_with(data: &[u8], tamper: impl Fn(&mut Leaving)) {
    let mut bytes = Bytes(data);
    let capacities: Vec<_> = Op::ALL.iter().map(|_| 1 + bytes.below(8)).collect();
    let mut policy = Policy::default();
    policy.poll_delay = Duration::from_micros(bytes.below(3) as u64 * 50);
    policy.max_wait = Duration::from_micros(200);
    policy.bound = 1 + bytes.below(40);
    let mut queue = Queue::new(policy, |op| capacities[op.index()]);
    let mut model = Model { policy, capacities, waiting: BTreeMap::new() };
    let (mut now, mut tickets) = (Instant::now(), 0);
    while !bytes.is_empty() {
        match bytes.below(8) {
            0..=2 => {
                let op = Op::ALL[bytes.below(Op::ALL.len())];
                let accepted = queue.push(now, op, tickets, (op, tickets)).is_ok();
                assert_eq!(accepted, model.len() < policy.bound, "the bound");
                if accepted {
                    model.waiting.entry(op.index()).or_default().push((tickets, now));
                }
                tickets += 1;
            }
            3 => {
                let ticket = u32::from(bytes.byte()).min(tickets);
                let waits = model.waiting.values().flatten().any(|(waiting, _)| *waiting == ticket);
                assert_eq!(queue.cancel(|t| *t == ticket), waits, "cancelling what waits");
                model.waiting.values_mut().for_each(|waiting| waiting.retain(|(t, _)| *t != ticket));
            }
            4 => now += Duration::from_micros(u64::from(bytes.byte())),
            load => {
                let load = [Load::Busy, Load::Idle, Load::Draining][load - 5];
                step(&mut queue, &mut model, now, load, &tamper);
            }
        }
        assert_eq!(queue.len(), model.len());
        assert_eq!(queue.next_deadline(), model.deadline());
    }
    while !queue.is_empty() {
        step(&mut queue, &mut model, now, Load::Draining, &tamper);
    }
    assert_eq!(model.len(), 0, "everything leaves");
}

fn step(
    queue: &mut Queue<u32, (Op, u32)>,
    model: &mut Model,
    now: Instant,
    load: Load,
    tamper: impl Fn(&mut Leaving),
) {
    let is_due = model.has_full() || model.deadline().is_some_and(|at| at <= now);
    let may_leave = match load {
        Load::Busy => is_due,
        Load::Idle => is_due || model.policy.poll_delay.is_zero(),
        Load::Draining => true,
    };
    let batch = queue.next(now, load);
    assert_eq!(batch.is_some(), may_leave && model.len() > 0, "leaves when due, and only then");
    if let Some(mut batch) = batch {
        tamper(&mut batch);
        model.leave(&batch);
    }
}

pub(crate) fn run(data: &[u8]) {
    run_with(data, |_| {});
}

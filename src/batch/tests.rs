use super::*;
use crate::arch::testing::Random;
use std::collections::BTreeMap;

const A: Op = Op::RsaSign2048;
const B: Op = Op::RsaSign3072;
const C: Op = Op::RsaSign4096;

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// Lanes for the first three operations; one for the others.
fn queue(first: [usize; 3]) -> Queue<u32, u32> {
    Queue::new(Policy::default(), |op| first.get(op.index()).copied().unwrap_or(1))
}

fn push(q: &mut Queue<u32, u32>, now: Instant, op: Op, ticket: u32) {
    q.push(now, op, ticket, ticket + 1000).unwrap();
}

fn tickets(batch: &Batch<u32, u32>) -> Vec<u32> {
    batch.entries.iter().map(|e| e.ticket).collect()
}

#[test]
fn full_leaves_at_once_in_order_and_no_larger_than_its_lanes() {
    let (mut q, now) = (queue([4, 2, 1]), Instant::now());
    (0..3).for_each(|i| push(&mut q, now, A, i));
    assert_eq!(q.next(now, Load::Busy), None);
    (3..9).for_each(|i| push(&mut q, now, A, i));
    for expected in [[0, 1, 2, 3], [4, 5, 6, 7]] {
        let batch = q.next(now, Load::Busy).unwrap();
        assert_eq!((batch.op, batch.reason, tickets(&batch)), (A, Reason::Full, expected.to_vec()));
    }
    assert_eq!(q.next(now, Load::Busy), None);
    assert_eq!(q.len(), 1);
    push(&mut q, now, C, 20);
    assert_eq!(q.next(now, Load::Busy).unwrap().reason, Reason::Full, "one lane is always full");
}

#[test]
fn of_two_full_queues_the_older_leaves_first() {
    let (mut q, now) = (queue([2, 2, 2]), Instant::now());
    push(&mut q, now, B, 0);
    push(&mut q, now + micros(1), A, 1);
    push(&mut q, now + micros(2), A, 2);
    push(&mut q, now + micros(3), B, 3);
    assert_eq!(q.next(now + micros(3), Load::Busy).unwrap().op, B);
    assert_eq!(q.next(now + micros(3), Load::Busy).unwrap().op, A);
}

/// A request that never finds company runs although another operation is full at every moment.
#[test]
fn an_overdue_request_does_not_starve_behind_full_batches() {
    let mut q = queue([2, 2, 2]);
    let (start, busy, lone) = (Instant::now(), A, B);
    push(&mut q, start, lone, 99);
    let wait = Policy::default().max_wait;
    let mut ran = Vec::new();
    for i in 0..20 {
        let now = start + wait / 8 * i;
        (0..2).for_each(|j| push(&mut q, now, busy, 2 * i + j));
        ran.push(q.next(now, Load::Busy).unwrap().op);
    }
    // It is overdue after eight rounds, and then the oldest of all.
    assert_eq!(ran.iter().position(|op| *op == lone), Some(8));
    assert_eq!(ran.iter().filter(|op| **op == busy).count(), 19);
}

#[test]
fn idle_takes_the_fullest_then_the_oldest() {
    let (mut q, now) = (queue([8, 4, 2]), Instant::now());
    (0..3).for_each(|i| push(&mut q, now, A, i)); // 3/8
    (3..5).for_each(|i| push(&mut q, now + micros(1), B, i)); // 2/4
    push(&mut q, now + micros(2), C, 5); // 1/2, as full as B, but younger
    assert_eq!(q.next(now, Load::Busy), None);
    let order: Vec<_> = std::iter::from_fn(|| q.next(now + micros(2), Load::Idle)).collect();
    let order: Vec<_> = order.iter().map(|b| (b.op, b.reason, b.entries.len())).collect();
    assert_eq!(order, [(B, Reason::Idle, 2), (C, Reason::Idle, 1), (A, Reason::Idle, 3)]);
}

#[test]
fn a_poll_delay_waits_for_company_even_when_idle() {
    let delay = micros(50);
    let mut q = Queue::new(Policy { poll_delay: delay, ..Policy::default() }, |_| 4);
    let now = Instant::now();
    push(&mut q, now, A, 0);
    push(&mut q, now + micros(20), A, 1);
    assert_eq!(q.next_deadline(), Some(now + delay));
    assert_eq!(q.next(now + micros(49), Load::Idle), None);
    let batch = q.next(now + delay, Load::Busy).unwrap();
    assert_eq!((batch.reason, tickets(&batch)), (Reason::Deadline, vec![0, 1]), "the company comes along");
    assert_eq!(q.next_deadline(), None);
}

#[test]
fn without_poll_delay_nothing_waits_for_ever_on_a_busy_thread() {
    let (mut q, now) = (queue([4, 4, 4]), Instant::now());
    push(&mut q, now, A, 0);
    let limit = Policy::default().max_wait;
    assert_eq!(q.next(now + limit - micros(1), Load::Busy), None);
    assert_eq!(q.next(now + limit, Load::Busy).unwrap().reason, Reason::Deadline);
}

#[test]
fn draining_does_not_wait_for_a_poll_delay() {
    let poll_delay = Duration::from_secs(1);
    let mut q = Queue::new(Policy { poll_delay, ..Policy::default() }, |_| 4);
    let now = Instant::now();
    push(&mut q, now, B, 0);
    assert_eq!(q.next(now, Load::Idle), None);
    assert_eq!(q.next(now, Load::Draining).unwrap().reason, Reason::Drain);
    assert!(q.is_empty());
}

#[test]
fn a_delay_beyond_the_clock_is_no_deadline() {
    let mut q = Queue::new(Policy { max_wait: Duration::MAX, ..Policy::default() }, |_| 4);
    let now = Instant::now();
    push(&mut q, now, A, 0);
    assert_eq!((q.next_deadline(), q.next(now, Load::Busy)), (None, None));
    assert!(q.next(now, Load::Idle).is_some());
}

#[test]
fn cancelled_requests_do_not_run_and_the_bound_holds() {
    let mut q = Queue::new(Policy { bound: 2, ..Policy::default() }, |_| 4);
    let now = Instant::now();
    push(&mut q, now, A, 0);
    push(&mut q, now, B, 1);
    assert_eq!(q.push(now, A, 2, 1002), Err(Refused(1002)));
    assert!(q.cancel(|t| *t == 0));
    assert!(!q.cancel(|t| *t == 0), "only once");
    push(&mut q, now, A, 3);
    let left: Vec<u32> =
        std::iter::from_fn(|| q.next(now, Load::Draining)).flat_map(|b| tickets(&b)).collect();
    assert_eq!(left, [1, 3]);
    assert_eq!((q.stats().of(A).cancelled, q.stats().of(A).refused), (1, 1));
}

#[test]
fn statistics_count_fills_reasons_and_waits() {
    let (mut q, now) = (queue([2, 2, 2]), Instant::now());
    push(&mut q, now, A, 0);
    push(&mut q, now + micros(3), A, 1);
    q.next(now + micros(5), Load::Busy).unwrap();
    push(&mut q, now + micros(5), A, 2);
    q.next(now + micros(5), Load::Idle).unwrap();
    let stats = q.stats().of(A);
    assert_eq!(stats.fills, [0, 1, 1]);
    assert_eq!((stats.batches(), stats.requests(), stats.mean_fill()), (2, 3, 1.5));
    assert_eq!(Vec::from_iter(Reason::ALL.iter().map(|reason| stats.left(*reason))), [1, 1, 0, 0]);
    assert_eq!((stats.waits.sum, stats.waits.max), (micros(7), micros(5)));
    assert_eq!(stats.waits.buckets[..4], [1, 0, 1, 1], "0, 2 and 5 µs");
    let mut twice = q.stats().clone();
    twice.merge(q.stats());
    assert_eq!(twice.of(A).requests(), 6);
}

/// Every run of the tests makes the same moves.
struct Moves(Random);

impl Moves {
    fn below(&mut self, n: u64) -> u64 {
        self.0.word() % n
    }
}

/// What the queue must do, told by a model that remembers every request that waits.
struct Model {
    policy: Policy,
    /// By [`Op::index`].
    lanes: Vec<usize>,
    waiting: BTreeMap<u32, (Op, Instant)>,
    gone: u32,
    batches: u64,
}

impl Model {
    fn deadline(&self, since: Instant) -> Instant {
        let delay = self.policy.poll_delay;
        since + if delay.is_zero() { self.policy.max_wait } else { delay }
    }

    fn in_queue(&self, op: Op) -> Vec<u32> {
        self.waiting.iter().filter(|(_, (o, _))| *o == op).map(|(ticket, _)| *ticket).collect()
    }

    /// A batch holds the oldest requests of its operation, in order, and has a reason to leave.
    fn check_batch(&mut self, batch: &Batch<u32, u32>, now: Instant, load: Load) {
        let (queued, lanes) = (self.in_queue(batch.op), self.lanes[batch.op.index()]);
        let expected = &queued[..queued.len().min(lanes)];
        assert_eq!(tickets(batch), expected);
        assert!(batch.entries.iter().all(|e| e.request == e.ticket + 1000));
        let overdue = self.deadline(self.waiting[&expected[0]].1) <= now;
        match batch.reason {
            Reason::Full => assert_eq!(expected.len(), lanes),
            Reason::Deadline => assert!(overdue),
            Reason::Drain => assert_eq!(load, Load::Draining),
            Reason::Idle => assert!(load == Load::Idle && self.policy.poll_delay.is_zero()),
        }
        for ticket in expected {
            self.waiting.remove(ticket);
        }
        self.gone += expected.len() as u32;
        self.batches += 1;
    }

    /// When the queue says that nothing is to run, nothing has a reason to.
    fn check_nothing_due(&self, q: &Queue<u32, u32>, now: Instant, load: Load) {
        for (op, lanes) in Op::ALL.iter().zip(&self.lanes) {
            assert!(self.in_queue(*op).len() < *lanes, "{op:?} is full");
        }
        assert!(self.waiting.values().all(|(_, since)| self.deadline(*since) > now), "overdue");
        let idle_flushes = load == Load::Idle && self.policy.poll_delay.is_zero();
        assert!(self.waiting.is_empty() || !(idle_flushes || load == Load::Draining));
        assert_eq!(q.next_deadline(), self.waiting.values().map(|(_, since)| self.deadline(*since)).min());
    }
}

#[test]
fn random_histories_lose_nothing_and_keep_every_promise() {
    for seed in 1..=200_u64 {
        let mut rng = Moves(Random(seed));
        let policy = Policy {
            poll_delay: micros([0, 0, 40][rng.below(3) as usize]),
            max_wait: micros(100),
            bound: 1 + rng.below(24) as usize,
        };
        let lanes: Vec<_> = Op::ALL.iter().map(|_| 1 + rng.below(8) as usize).collect();
        let mut q = Queue::new(policy, |op| lanes[op.index()]);
        let mut model = Model { policy, lanes, waiting: BTreeMap::new(), gone: 0, batches: 0 };
        run_history(&mut rng, &mut q, &mut model);
    }
}

fn run_history(rng: &mut Moves, q: &mut Queue<u32, u32>, model: &mut Model) {
    let (mut now, mut pushed, mut cancelled, mut refused) = (Instant::now(), 0_u32, 0_u32, 0_u32);
    for step in 0..2_000 {
        now += micros(rng.below(4) * rng.below(12));
        match rng.below(10) {
            0..6 => {
                let op = Op::ALL[rng.below(Op::ALL.len() as u64) as usize];
                let accepted = q.push(now, op, step, step + 1000).is_ok();
                assert_eq!(accepted, model.waiting.len() < model.policy.bound);
                if accepted {
                    model.waiting.insert(step, (op, now));
                    pushed += 1;
                } else {
                    refused += 1;
                }
            }
            6 => {
                let ticket = rng.below(u64::from(step) + 1) as u32;
                let was_waiting = model.waiting.remove(&ticket).is_some();
                assert_eq!(q.cancel(|t| *t == ticket), was_waiting);
                cancelled += u32::from(was_waiting);
            }
            roll => {
                let load = [Load::Busy, Load::Idle, Load::Draining][(roll - 7) as usize];
                // An engine takes everything that is due: draining and idling only now and then, to let
                // queues grow.
                let load = if rng.below(8) == 0 { load } else { Load::Busy };
                while let Some(batch) = q.next(now, load) {
                    model.check_batch(&batch, now, load);
                }
                model.check_nothing_due(q, now, load);
            }
        }
        assert_eq!(q.len(), model.waiting.len());
    }
    while let Some(batch) = q.next(now, Load::Draining) {
        model.check_batch(&batch, now, Load::Draining);
    }
    assert!(q.is_empty() && model.waiting.is_empty());
    assert_eq!(pushed, model.gone + cancelled, "every request came out once or was cancelled");
    let total = |f: fn(&OpStats) -> u64| q.stats().iter().map(f).sum::<u64>();
    assert_eq!(total(OpStats::requests), u64::from(model.gone));
    assert_eq!(total(OpStats::batches), model.batches);
    assert_eq!(total(|s| s.cancelled), u64::from(cancelled));
    assert_eq!(total(|s| s.refused), u64::from(refused));
    assert_eq!(total(|s| s.waits.buckets.iter().sum()), u64::from(model.gone));
}

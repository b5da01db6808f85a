//! Which thread a handshake goes to: sans-IO, no clock, no thread.
//!
//! Operations share lanes only with what waits on the same thread. Spread over many threads, handshakes meet
//! nobody; on few threads they do. So [`Placement`] packs them: a handshake goes to the **first** thread
//! that is expected to delay it by no more than the **latency budget**, and to the next one only beyond
//! that. Where all are beyond it, it goes to the one with the shortest delay.
//!
//! 1. **Expected delay.** How much later a handshake ends here than on an idle thread: what the handshakes
//!    before it cost, at the price that handshakes have had on this thread of late, and what it will itself
//!    cost more than elsewhere. Before it are those that the thread has not begun and those that wait there
//!    for a batch, not those that wait for their peers. Time that passes shortens the delay; a thread that
//!    is late by some time is expected to stay away as long again. So one that is slow, blocked or without a
//!    CPU is passed over.
//! 2. **Hysteresis.** A thread that was beyond the budget gets no handshake before its delay is down to half
//!    of it. Meanwhile the next thread gets all of them, and they meet there.
//! 3. **Spreading.** The thread with the fewest handshakes has the next one if the budget is zero, and also
//!    while full batches would save less than a third of what operations have cost of late: there, company
//!    would cost latency and gain little, because operations are only a part of a handshake.
//!
//! ```
//! # #[cfg(feature = "internals")] {
//! use rustls_multibuffer::internals::batch::Placement;
//! use std::time::{Duration, Instant};
//!
//! let (mut placement, now) = (Placement::new(2, Duration::ZERO), Instant::now());
//! assert_eq!([placement.place(now), placement.place(now), placement.place(now)], [0, 1, 0]);
//! # }
//! ```

use std::time::{Duration, Instant};

/// Of so many parts of what operations cost, full batches must save one.
const WORTHWHILE: u32 = 3;

/// How much work is recent: what is older counts half, and half of that, and so on. A thread that has slept
/// as long is taken for one like the others.
const RECENT: Duration = Duration::from_millis(250);

/// What was done of late.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    worked: Duration,
    handshakes: u32,
    /// What operations would have cost, had each been alone.
    alone: Duration,
    /// What full batches would have saved of that.
    savings: Duration,
}

impl Recent {
    fn add(&mut self, worked: Duration) {
        self.worked += worked;
        if self.worked > RECENT {
            let Self { worked, handshakes, alone, savings } = *self;
            *self = Self {
                worked: worked / 2,
                handshakes: handshakes / 2,
                alone: alone / 2,
                savings: savings / 2,
            };
        }
    }

    /// The price of a handshake; `None` before one has ended.
    fn price(&self) -> Option<Duration> {
        self.worked.checked_div(self.handshakes)
    }

    fn is_company_worthwhile(&self) -> bool {
        !self.savings.is_zero() && self.savings * WORTHWHILE >= self.alone
    }
}

/// What is known of one thread.
#[derive(Clone, Debug, Default)]
struct Thread {
    /// It takes no handshake any more.
    is_lost: bool,
    /// It was beyond the budget and has not come down since.
    is_closed: bool,
    /// Handshakes that were placed here and have not ended.
    handshakes: usize,
    /// Those of them that it has not begun.
    unbegun: usize,
    /// Those of them that wait for a batch; `None` while the thread sleeps.
    waiting: Option<usize>,
    /// When it said so.
    since: Option<Instant>,
    recent: Recent,
}

impl Thread {
    /// How much later a handshake that is placed here at `now` ends than on an idle thread, where it costs
    /// `elsewhere`.
    fn delay(&mut self, now: Instant, elsewhere: Duration) -> Duration {
        let elapsed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if self.waiting.is_none() && elapsed > RECENT {
            self.recent = Recent::default();
        }
        let elapsed = self.waiting.map_or(Duration::ZERO, |_| elapsed);
        let handshake = self.recent.price().unwrap_or(elsewhere);
        let before = u32::try_from(self.unbegun + self.waiting.unwrap_or(0)).unwrap_or(u32::MAX);
        let left = handshake.saturating_mul(before).abs_diff(elapsed);
        left.saturating_add(handshake).saturating_sub(elsewhere)
    }
}

/// The handshakes of an engine's threads.
#[derive(Clone, Debug)]
pub struct Placement {
    budget: Duration,
    threads: Vec<Thread>,
    /// Of all threads.
    recent: Recent,
}

impl Placement {
    /// No handshake on any of so many threads, which sleep.
    pub fn new(threads: usize, budget: Duration) -> Self {
        Self { budget, threads: vec![Thread::default(); threads], recent: Recent::default() }
    }

    /// The thread for a handshake that comes now. [`Placement::begin`] and [`Placement::end`] are to follow,
    /// once each, or [`Placement::withdraw`].
    ///
    /// # Panics
    /// If there is no thread.
    pub fn place(&mut self, now: Instant) -> usize {
        let is_packing = !self.budget.is_zero() && self.recent.is_company_worthwhile();
        let index = is_packing.then(|| self.pack(now)).flatten().unwrap_or_else(|| self.spread());
        let thread = &mut self.threads[index];
        thread.handshakes += 1;
        thread.unbegun += 1;
        index
    }

    /// The thread has begun a handshake.
    pub fn begin(&mut self, thread: usize) {
        self.threads[thread].unbegun -= 1;
    }

    /// A handshake that the thread has begun has ended, however that came.
    pub fn end(&mut self, thread: usize) {
        let thread = &mut self.threads[thread];
        thread.handshakes -= 1;
        for recent in [&mut thread.recent, &mut self.recent] {
            recent.handshakes = recent.handshakes.saturating_add(1);
        }
    }

    /// A handshake will not be begun: it has cost nothing.
    pub fn withdraw(&mut self, thread: usize) {
        let thread = &mut self.threads[thread];
        thread.handshakes -= 1;
        thread.unbegun -= 1;
    }

    /// The thread is awake, and so many of its handshakes wait for a batch.
    pub fn work(&mut self, thread: usize, now: Instant, waiting: usize) {
        self.say(thread, now, Some(waiting));
    }

    /// The thread sleeps until something arrives or is due.
    pub fn sleep(&mut self, thread: usize, now: Instant) {
        self.say(thread, now, None);
    }

    /// Requests were answered that would have cost so much, had each been `alone`; of that, full batches
    /// would have saved `savings`.
    pub fn answered(&mut self, alone: Duration, savings: Duration) {
        self.recent.alone += alone;
        self.recent.savings += savings;
    }

    /// The thread is gone.
    pub fn lose(&mut self, thread: usize) {
        self.threads[thread].is_lost = true;
    }

    fn say(&mut self, thread: usize, now: Instant, waiting: Option<usize>) {
        let thread = &mut self.threads[thread];
        let since = thread.since.replace(now);
        if let (Some(_), Some(since)) = (std::mem::replace(&mut thread.waiting, waiting), since) {
            let worked = now.saturating_duration_since(since);
            thread.recent.add(worked);
            self.recent.add(worked);
        }
    }

    /// The first thread within the budget, else the one with the shortest delay; `None` if all are lost.
    fn pack(&mut self, now: Instant) -> Option<usize> {
        let handshake = self.recent.price().unwrap_or_default();
        let mut shortest: Option<(Duration, usize)> = None;
        for (index, thread) in self.threads.iter_mut().enumerate().filter(|(_, thread)| !thread.is_lost) {
            let delay = thread.delay(now, handshake);
            thread.is_closed = delay > if thread.is_closed { self.budget / 2 } else { self.budget };
            if !thread.is_closed {
                return Some(index);
            }
            shortest = shortest.into_iter().chain([(delay, index)]).min();
        }
        shortest.map(|(_, index)| index)
    }

    /// The thread with the fewest handshakes, of those that live.
    fn spread(&self) -> usize {
        let load = |index: &usize| (self.threads[*index].is_lost, self.threads[*index].handshakes);
        (0..self.threads.len()).min_by_key(load).expect("an engine has a thread")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(1);

    fn micros(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    /// Threads whose handshakes cost 400 µs each, of which full batches would save `savings`.
    fn placement(threads: usize, budget: Duration, savings: u64) -> (Placement, Instant) {
        let (mut placement, start) = (Placement::new(threads, budget), Instant::now());
        assert_eq!(placement.place(start), 0);
        placement.begin(0);
        placement.work(0, start, 1);
        placement.answered(micros(300), micros(savings));
        placement.sleep(0, start + micros(400));
        placement.end(0);
        (placement, start + micros(400))
    }

    fn place(placement: &mut Placement, now: Instant, n: usize) -> Vec<usize> {
        (0..n).map(|_| placement.place(now)).collect()
    }

    /// Places a handshake that begins and ends at once.
    fn pass(placement: &mut Placement, now: Instant) -> usize {
        let thread = placement.place(now);
        placement.begin(thread);
        placement.threads[thread].handshakes -= 1;
        thread
    }

    #[test]
    fn packs_up_to_the_budget_and_takes_the_next_thread_beyond_it() {
        let (mut p, now) = placement(3, BUDGET, 200);
        // 0, 400 and 800 µs.
        assert_eq!(place(&mut p, now, 7), [0, 0, 0, 1, 1, 1, 2]);
        (0..3).for_each(|_| p.begin(0));
        assert_eq!(p.place(now), 0, "they wait for their peers");
    }

    #[test]
    fn what_was_never_begun_has_cost_nothing() {
        let (mut p, now) = placement(2, BUDGET, 200);
        for _ in 0..1000 {
            let thread = p.place(now);
            p.withdraw(thread);
        }
        assert_eq!(p.recent.price(), Some(micros(400)));
        assert_eq!(place(&mut p, now, 4), [0, 0, 0, 1]);
    }

    #[test]
    fn a_zero_budget_spreads() {
        let (mut p, now) = placement(3, Duration::ZERO, 200);
        assert_eq!(place(&mut p, now, 6), [0, 1, 2, 0, 1, 2]);
        p.end(1);
        p.work(1, now, 100);
        assert_eq!(p.place(now), 1, "it has the fewest");
    }

    #[test]
    fn company_that_gains_next_to_nothing_is_not_sought() {
        let (mut p, now) = placement(2, BUDGET, 99);
        assert_eq!(place(&mut p, now, 2), [0, 1], "below a third");
        p.answered(micros(0), micros(1));
        assert_eq!(place(&mut p, now, 2), [0, 0]);
        let mut nothing_known = Placement::new(2, BUDGET);
        assert_eq!(place(&mut nothing_known, now, 2), [0, 1]);
    }

    #[test]
    fn a_thread_beyond_the_budget_is_closed_until_it_is_down_to_half() {
        let (mut p, now) = placement(2, BUDGET, 200);
        // Three of them take 1200 µs.
        p.work(0, now, 3);
        let mut at = |later| pass(&mut p, now + micros(later));
        assert_eq!([at(0), at(300), at(699)], [1, 1, 1]);
        assert_eq!([at(700), at(800)], [0, 0]);
    }

    #[test]
    fn a_thread_that_is_late_is_passed_over() {
        let (mut p, now) = placement(2, BUDGET, 200);
        p.work(0, now, 1);
        for (later, expected) in [(400, 0), (1400, 0), (1401, 1), (9000, 1)] {
            assert_eq!(pass(&mut p, now + micros(later)), expected, "{later}");
        }
        p.work(0, now + micros(9001), 0);
        assert_eq!(pass(&mut p, now + micros(9001)), 0);
    }

    /// The first thread takes eight times as long as the other: what it has done says so, until that is old.
    #[test]
    fn a_slow_thread_is_passed_over_and_tried_again_later() {
        let (mut p, start) = placement(2, BUDGET, 0);
        for thread in [0, 1] {
            for n in 0..8 {
                p.work(thread, start + BUDGET * 4 * n, 1);
                p.sleep(thread, start + BUDGET * 4 * n + micros(if thread == 0 { 4000 } else { 500 }));
                p.answered(micros(300), micros(300));
                p.threads[thread].recent.handshakes += 1;
                p.recent.handshakes += 1;
            }
        }
        let now = start + BUDGET * 32;
        assert_eq!(pass(&mut p, now), 1);
        assert_eq!(pass(&mut p, now + RECENT * 2), 0);
    }

    #[test]
    fn lost_threads_get_nothing_unless_all_are() {
        for budget in [Duration::ZERO, BUDGET] {
            let (mut p, now) = placement(3, budget, 200);
            p.lose(0);
            assert!(!place(&mut p, now, 20).contains(&0));
            p.lose(1);
            assert!(place(&mut p, now, 20).iter().all(|thread| *thread == 2));
            p.lose(2);
            p.place(now);
        }
    }

    #[test]
    fn beyond_all_budgets_the_shortest_delay_has_it() {
        let (mut p, now) = placement(3, BUDGET, 200);
        for (thread, waiting) in [7, 5, 9].into_iter().enumerate() {
            p.work(thread, now, waiting);
        }
        assert_eq!(p.place(now), 1);
    }

    #[test]
    fn old_work_fades() {
        let (mut p, now) = placement(2, BUDGET, 200);
        p.work(0, now, 0);
        p.sleep(0, now + RECENT);
        assert_eq!(p.recent.savings, micros(100));
        assert!(p.recent.worked < RECENT);
    }
}

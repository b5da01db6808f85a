//! What an engine's threads and whoever gives them handshakes tell each other, for placement.

use crate::batch::Placement;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The threads of one engine.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    placement: Arc<Mutex<Placement>>,
    /// Whether the budget is not zero, so that it matters what a thread does.
    may_pack: bool,
}

impl Seats {
    pub(super) fn new(threads: usize, budget: Duration) -> Self {
        let placement = Arc::new(Mutex::new(Placement::new(threads, budget)));
        Self { placement, may_pack: !budget.is_zero() }
    }

    /// The seat of one thread.
    pub(super) fn seat(&self, thread: usize) -> Seat {
        Seat { seats: self.clone(), thread }
    }

    /// The thread for a handshake that begins now.
    pub(super) fn place(&self) -> usize {
        let now = Instant::now();
        self.lock().place(now)
    }

    /// A thread has begun a handshake.
    pub(super) fn begin(&self, thread: usize) {
        self.lock().begin(thread);
    }

    /// A handshake that a thread has not begun, and will not.
    pub(super) fn withdraw(&self, thread: usize) {
        self.lock().withdraw(thread);
    }

    /// A handshake that a thread has begun has ended.
    pub(super) fn end(&self, thread: usize) {
        self.lock().end(thread);
    }

    fn lock(&self) -> MutexGuard<'_, Placement> {
        // It is whole between any two of its calls.
        self.placement.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread, which tells what it does. It takes no handshake any more when its seat is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    thread: usize,
}

impl Seat {
    pub(super) fn begin(&self) {
        self.seats.begin(self.thread);
    }

    /// So many handshakes wait for a batch.
    pub(super) fn work(&self, waiting: usize) {
        if self.seats.may_pack {
            let now = Instant::now();
            self.seats.lock().work(self.thread, now, waiting);
        }
    }

    /// Nothing is left to do.
    pub(super) fn sleep(&self) {
        if self.seats.may_pack {
            let now = Instant::now();
            self.seats.lock().sleep(self.thread, now);
        }
    }

    /// What a batch's requests would have cost alone, and what full batches would have saved of that.
    pub(super) fn cost(&self, (alone, savings): (Duration, Duration)) {
        if self.seats.may_pack {
            self.seats.lock().answered(alone, savings);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().lose(self.thread);
    }
}

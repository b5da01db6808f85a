//! Who may start a handshake, and how handshakes ended: one for each engine.

use super::asked::Counts;
use super::{EngineStats, HandshakeError};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const CLOSED: u8 = 2;

/// Admits handshakes in order, and ends them all when the engine closes.
#[derive(Debug)]
pub struct Gate {
    state: AtomicU8,
    slots: Semaphore,
    in_flight: AtomicUsize,
    changed: Notify,
    pub(super) ended: Ended,
    pub(super) unaccelerated: Counts,
}

/// How many handshakes ended in which way.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) cancelled: AtomicU64,
}

impl Gate {
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self {
            state: AtomicU8::new(OPEN),
            slots: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            in_flight: AtomicUsize::new(0),
            changed: Notify::new(),
            ended: Ended::default(),
            unaccelerated: Counts::default(),
        }
    }

    /// Says in `stats` what became of handshakes.
    pub(super) fn report(&self, stats: &mut EngineStats) {
        stats.unaccelerated = self.unaccelerated.read();
        stats.in_flight = self.in_flight();
        stats.succeeded = self.ended.succeeded.load(Relaxed);
        stats.failed = self.ended.failed.load(Relaxed);
        stats.timed_out = self.ended.timed_out.load(Relaxed);
        stats.cancelled = self.ended.cancelled.load(Relaxed);
    }

    /// Waits for a free slot, in order.
    pub(super) async fn enter(&self) -> Result<Inside<'_>, HandshakeError> {
        let slot = self.slots.acquire().await.map_err(|_| self.refusal())?;
        self.in_flight.fetch_add(1, SeqCst);
        let inside = Inside { gate: self, _slot: slot };
        if self.state.load(SeqCst) == OPEN { Ok(inside) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> HandshakeError {
        if self.state.load(SeqCst) == CLOSED { HandshakeError::ShutDown } else { HandshakeError::Draining }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state.load(Relaxed) != OPEN
    }

    /// Refuses new handshakes; those waiting for a slot are refused too.
    pub(super) fn start_draining(&self) {
        self.set(DRAINING);
    }

    /// Ends every handshake.
    pub(super) fn close(&self) {
        self.set(CLOSED);
    }

    fn set(&self, state: u8) {
        self.state.fetch_max(state, SeqCst);
        self.slots.close();
        self.changed.notify_waiters();
    }

    /// Ready when the engine is closed.
    pub(super) async fn closed(&self) {
        self.until(|| self.state.load(SeqCst) == CLOSED).await;
    }

    /// Ready when no handshake is in flight.
    pub(super) async fn empty(&self) {
        self.until(|| self.in_flight() == 0).await;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            // Created before the condition is tested: no change in between is missed.
            let changed = self.changed.notified();
            if condition() {
                return;
            }
            changed.await;
        }
    }
}

/// A handshake's place in the engine.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    gate: &'a Gate,
    _slot: SemaphorePermit<'a>,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let was_last = self.gate.in_flight.fetch_sub(1, SeqCst) == 1;
        if was_last && self.gate.is_draining() {
            self.gate.changed.notify_waiters();
        }
    }
}

/// Counts how a handshake ends; one that is dropped before was cancelled.
pub(super) struct Tally<'a>(Option<&'a Ended>);

impl<'a> Tally<'a> {
    pub(super) fn new(gate: &'a Gate) -> Self {
        Self(Some(&gate.ended))
    }

    /// Counts what a handshake came to, or why it was given up.
    pub(super) fn record<T, E>(mut self, outcome: &Result<Result<T, E>, HandshakeError>) {
        let Some(ended) = self.0.take() else { return };
        let counter = match outcome {
            Ok(Ok(_)) => &ended.succeeded,
            Err(HandshakeError::TimedOut) => &ended.timed_out,
            Ok(Err(_)) | Err(_) => &ended.failed,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if let Some(ended) = self.0 {
            ended.cancelled.fetch_add(1, Relaxed);
        }
    }
}

//! What an engine and its threads tell each other.

use super::job::Job;
use super::report::{Gauges, Shown};
use super::timers::Timers;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// What a thread is told.
pub(super) enum Message {
    Run(Job),
    /// Something that the job waits for has happened.
    Poll(u64),
    /// Nobody waits for the job any more.
    Cancel(u64),
    /// There is a timer.
    Timer,
    /// Flush what is queued, from now on at once.
    Drain,
    /// End everything, and the thread.
    Stop,
}

/// What a thread and its engine share.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) shown: Mutex<Option<Shown>>,
    pub(super) gauges: OnceLock<Gauges>,
    /// Whether the thread is gone, however that came.
    pub(super) has_ended: AtomicBool,
    /// Ends of handshakes.
    pub(super) timers: Timers,
    /// Ends of attempts to write an alert.
    pub(super) alerts: Timers,
}

/// Says so when its thread ends.
pub(super) struct Presence(pub(super) Arc<Board>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Relaxed);
    }
}

impl Board {
    /// Wakes whose time is up at `now`; says when to call again.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let next = [&self.timers, &self.alerts].map(|timers| timers.expire(now));
        next.into_iter().flatten().min()
    }
}

//! What an engine and its threads tell each other.

use super::job::Job;
use super::report::{Gauges, ThreadStats};
use super::timers::Timers;
use std::sync::{Mutex, OnceLock};
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

/// What a thread and its engine share: its statistics, and the timers that the engine starts.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) stats: Mutex<Option<ThreadStats>>,
    pub(super) gauges: OnceLock<Gauges>,
    /// Ends of handshakes.
    pub(super) timers: Timers,
    /// Ends of attempts to write an alert.
    pub(super) alerts: Timers,
}

impl Status {
    /// Wakes whose time is up at `now`; says when to call again.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let next = [&self.timers, &self.alerts].map(|timers| timers.expire(now));
        next.into_iter().flatten().min()
    }
}

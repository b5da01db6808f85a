//! What an engine and its threads tell each other.

use super::HandshakeError;
use super::calls::Calls;
use super::timers::Timers;
use super::work::{Finished, Work};
use crate::batch::Stats;
use crate::fiber::Counts;
use crate::ops::Counters;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A call into rustls, and for whom.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) caller: Caller,
}

/// Who asked, and how to tell.
pub(super) struct Caller {
    /// Unique in the engine.
    pub(super) number: u64,
    /// The runtime that it asked from: callbacks may want to spawn, or to wait for a timer.
    pub(super) runtime: Option<Handle>,
    /// Absent while the caller polls what it was told to await.
    pub(super) told: Option<oneshot::Sender<News>>,
}

impl Caller {
    /// Tells what it waits for. Whoever has gone meanwhile needs to be told nothing.
    pub(super) fn tell(&mut self, news: News) {
        if let Some(told) = self.told.take() {
            drop(told.send(news));
        }
    }

    pub(super) fn has_gone(&self) -> bool {
        self.told.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// What a caller is told.
pub(super) enum News {
    Ended(Result<Finished, HandshakeError>),
    /// To be polled, and [`Message::Resume`] sent when it is ready.
    Await(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// What a thread is told.
pub(super) enum Message {
    Run(Job),
    /// What the job's fiber awaits is ready.
    Resume(u64, oneshot::Sender<News>),
    /// The job's future was dropped.
    Cancel(u64),
    /// Look at the timers.
    Wake,
    /// Flush what is queued, from now on at once.
    Drain,
    /// End everything, and the thread.
    Stop,
}

/// What a thread shows to others.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) batches: Stats,
    pub(super) runner: Counters,
}

/// What a thread and its engine share.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) shown: Mutex<Option<Shown>>,
    pub(super) counts: OnceLock<Arc<Counts>>,
    pub(super) calls: Calls,
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

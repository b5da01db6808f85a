//! What workers, signals and the admin endpoint share.

use crate::config::{Config, Direction, ListenerConfig};
use crate::metric::ListenerMetrics;
use crate::sockets::ListenSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Accepting.
    Running,
    /// Inbound listeners have closed, the others accept.
    InboundClosed,
    /// Nothing is accepted any more; connections finish.
    Draining,
    /// The same, and another process accepts from the same sockets.
    HandedOver,
    /// Connections are cut.
    Ended,
}

impl Phase {
    /// Whether listeners of that direction accept no more.
    pub(crate) fn closes(self, direction: Direction) -> bool {
        match direction {
            Direction::Inbound => self >= Self::InboundClosed,
            Direction::Outbound => self >= Self::Draining,
        }
    }
}

/// The process.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) epoch: u64,
    pub(crate) listeners: Vec<Arc<Listener>>,
    phase: watch::Sender<Phase>,
    /// The open listen sockets once more, to be handed over.
    sockets: Mutex<Vec<ListenSocket>>,
    /// What `/healthcheck/fail` was told.
    pub(crate) is_failed: AtomicBool,
    /// Whether the workers accept.
    pub(crate) is_started: AtomicBool,
}

impl State {
    pub(crate) fn new(config: Config, epoch: u64) -> Self {
        let logs_access = config.log.access;
        let listeners =
            config.listeners.iter().map(|config| Arc::new(Listener::new(config.clone(), logs_access)));
        Self {
            listeners: listeners.collect(),
            config,
            epoch,
            phase: watch::Sender::new(Phase::Running),
            sockets: Mutex::default(),
            is_failed: AtomicBool::new(false),
            is_started: AtomicBool::new(false),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The open listen sockets.
    pub(crate) fn sockets(&self) -> MutexGuard<'_, Vec<ListenSocket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on to a later phase; never back.
    pub(crate) fn advance(&self, to: Phase) {
        // A socket closes with its last handle: this one goes before its worker's, which empties the queue.
        self.sockets().retain(|socket| {
            let listener = self.config.listeners.iter().find(|l| l.name == socket.listener);
            listener.is_some_and(|listener| !to.closes(listener.direction))
        });
        self.phase.send_if_modified(|phase| {
            let is_later = to > *phase;
            if is_later {
                *phase = to;
            }
            is_later
        });
    }

    /// Connections that have not ended.
    pub(crate) fn active(&self) -> usize {
        self.listeners.iter().map(|listener| listener.active.load(Relaxed)).sum()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_started.load(Relaxed) && !self.is_failed.load(Relaxed) && self.phase() == Phase::Running
    }
}

/// A listener, on all workers together.
pub(crate) struct Listener {
    pub(crate) config: ListenerConfig,
    pub(crate) metrics: ListenerMetrics,
    /// Whether each connection gets a line in the log.
    pub(crate) logs_access: bool,
    active: AtomicUsize,
    pending: AtomicUsize,
}

impl Listener {
    fn new(config: ListenerConfig, logs_access: bool) -> Self {
        let metrics = ListenerMetrics::new(&config.name);
        Self { config, metrics, logs_access, active: AtomicUsize::new(0), pending: AtomicUsize::new(0) }
    }

    /// Places for one more connection; none: a limit is reached, which is counted.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Places> {
        self.metrics.connections.increment(1);
        let limits = self.config.limits;
        if !take(&self.active, limits.max_connections) {
            self.metrics.connection_overflow.increment(1);
            return None;
        }
        self.metrics.active.increment(1.0);
        let mut places = Places { listener: self.clone(), is_pending: false };
        if !take(&self.pending, limits.max_pending) {
            self.metrics.pending_overflow.increment(1);
            return None;
        }
        self.metrics.pending.increment(1.0);
        places.is_pending = true;
        Some(places)
    }
}

/// Adds one, unless there are `limit`.
fn take(count: &AtomicUsize, limit: usize) -> bool {
    count.fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1)).is_ok()
}

/// A connection's places within the limits.
pub(crate) struct Places {
    listener: Arc<Listener>,
    is_pending: bool,
}

impl Places {
    /// The connection is complete.
    pub(crate) fn established(&mut self) {
        if std::mem::take(&mut self.is_pending) {
            self.listener.pending.fetch_sub(1, Relaxed);
            self.listener.metrics.pending.decrement(1.0);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.established();
        self.listener.active.fetch_sub(1, Relaxed);
        self.listener.metrics.active.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_not_admitted() {
        let text = "
identities: {d: {tls_identity: {files: {certificate_chain: c, private_key: k, trusted_ca: b}}}}
listeners:
- {name: l, direction: inbound, address: '127.0.0.1:1', target: '127.0.0.1:2', identity: d, peers: {any: true},
   limits: {max_connections: 3, max_pending: 2}}";
        let state = State::new(Config::parse(text).unwrap(), 0);
        let listener = &state.listeners[0];
        let mut first = listener.admit().unwrap();
        let second = listener.admit().unwrap();
        assert!(listener.admit().is_none(), "two are pending");
        assert_eq!(state.active(), 2);
        first.established();
        let third = listener.admit().unwrap();
        drop(second);
        let fourth = listener.admit().unwrap();
        assert!(listener.admit().is_none(), "three are active");
        drop((first, third, fourth));
        assert_eq!(state.active(), 0);
        assert!(listener.admit().is_some());
    }

    #[test]
    fn phases_only_advance() {
        let text = "
identities: {d: {tls_identity: {files: {certificate_chain: c, private_key: k, trusted_ca: b}}}}
listeners:
- {name: l, direction: inbound, address: '127.0.0.1:1', target: '127.0.0.1:2', identity: d, peers: {any: true}}";
        let state = State::new(Config::parse(text).unwrap(), 0);
        assert!(!state.is_ready());
        state.is_started.store(true, Relaxed);
        assert!(state.is_ready());
        state.advance(Phase::Draining);
        state.advance(Phase::InboundClosed);
        assert_eq!(state.phase(), Phase::Draining);
        assert!(!state.is_ready());
    }
}

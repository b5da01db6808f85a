//! What workers, signals and the admin endpoint share.

use crate::config::{Config, Direction, ListenerConfig, ProxyProtocol};
use crate::logging::Seldom;
use crate::lookup::Name;
use crate::metric::ListenerMetrics;
use crate::pending::{Pending, Slot};
use crate::sockets::ListenSocket;
use crate::upstream::Upstream;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// All listeners accept.
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

/// What all parts of the process share.
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
        let (logs_access, mut names) = (config.log.access, HashMap::new());
        let listeners = config
            .listeners
            .iter()
            .map(|config| Arc::new(Listener::new(config.clone(), logs_access, &mut names)));
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
        self.listeners.iter().map(|listener| listener.active()).sum()
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
    /// Where its connections go.
    pub(crate) upstream: Upstream,
    pending: Arc<Pending>,
    /// Those that are complete.
    established: AtomicUsize,
    overflows: Seldom,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Connections,
    Pending,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "max_connections",
            Self::Pending => "max_pending",
        })
    }
}

impl Listener {
    fn new(config: ListenerConfig, logs_access: bool, names: &mut HashMap<String, Arc<Name>>) -> Self {
        Self {
            metrics: ListenerMetrics::new(&config.name),
            logs_access,
            upstream: Upstream::new(&config.target, names),
            pending: Pending::new(config.limits.max_pending),
            established: AtomicUsize::new(0),
            overflows: Seldom::new(),
            config,
        }
    }

    /// Connections that have not ended.
    fn active(&self) -> usize {
        self.established.load(Relaxed) + self.pending.len()
    }

    /// Slots for one more connection.
    ///
    /// # Errors
    /// The limit that is reached, which is counted.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Slots, Limit> {
        self.metrics.connections.increment(1);
        if self.established.load(Relaxed) >= self.config.limits.max_connections {
            return Err(self.overflow(Limit::Connections));
        }
        // Applications of outbound listeners show no certificate: they are known, at the latest when their
        // PROXY header has been read.
        let is_known = self.config.direction == Direction::Outbound
            && self.config.proxy_protocol.accept == ProxyProtocol::Off;
        let admitted = self.pending.admit(is_known).ok_or_else(|| self.overflow(Limit::Pending))?;
        if admitted.has_evicted {
            self.overflow(Limit::Pending);
        }
        self.metrics.active.increment(1.0);
        self.metrics.pending.increment(1.0);
        Ok(Slots { listener: self.clone(), pending: Some(Arc::new(admitted.place)) })
    }

    fn overflow(&self, limit: Limit) -> Limit {
        let (counter, what) = match limit {
            Limit::Connections => (&self.metrics.connection_overflow, "new connections are closed"),
            Limit::Pending => (
                &self.metrics.pending_overflow,
                "the oldest connections that have shown no certificate are closed, else new ones",
            ),
        };
        counter.increment(1);
        if let Some(since) = self.overflows.count() {
            log::warn!(listener = self.config.name.as_str(), limit:%, since; "there is no room: {what}");
        }
        limit
    }
}

/// A connection's places within the limits.
pub(crate) struct Slots {
    listener: Arc<Listener>,
    /// Until it is complete.
    pending: Option<Arc<Slot>>,
}

impl Slots {
    /// The place among those that are not complete.
    pub(crate) fn pending(&self) -> Option<&Arc<Slot>> {
        self.pending.as_ref()
    }

    /// Ready when the place among those that are not complete was taken away.
    pub(crate) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let evicted = self.pending.as_ref().map(|place| place.evicted());
        async move {
            match evicted {
                Some(evicted) => evicted.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Who connected has shown who it is.
    pub(crate) fn is_known(&self) {
        self.pending.iter().for_each(|place| place.is_known());
    }

    /// The connection is complete.
    ///
    /// # Errors
    /// So many others are, that there is no room for it.
    pub(crate) fn establish(&mut self) -> Result<(), Limit> {
        if !take(&self.listener.established, self.listener.config.limits.max_connections) {
            return Err(self.listener.overflow(Limit::Connections));
        }
        // It is counted twice for a moment: a drain must not find none.
        if self.pending.take().is_some() {
            self.listener.metrics.pending.decrement(1.0);
        }
        Ok(())
    }
}

/// Adds one, unless there are `limit`.
fn take(count: &AtomicUsize, limit: usize) -> bool {
    count.fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1)).is_ok()
}

impl Drop for Slots {
    fn drop(&mut self) {
        match self.pending.take() {
            Some(_) => self.listener.metrics.pending.decrement(1.0),
            None => drop(self.listener.established.fetch_sub(1, Relaxed)),
        }
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
- {name: l, direction: inbound, address: '127.0.0.1:1', target: '127.0.0.1:2', identity: d,
   peers: {any: true},
   limits: {max_connections: 3, max_pending: 2}}";
        let state = State::new(Config::parse(text).unwrap(), 0);
        let listener = &state.listeners[0];
        let admit = || listener.admit();
        let [mut first, second] = [(); 2].map(|()| admit().unwrap());
        [&first, &second].into_iter().for_each(Slots::is_known);
        assert_eq!(admit().err(), Some(Limit::Pending), "two are pending");
        assert_eq!(state.active(), 2);
        first.establish().unwrap();
        assert_eq!(state.active(), 2);
        let mut third = admit().unwrap();
        drop(second);
        let (mut fourth, mut fifth) = (admit().unwrap(), admit().unwrap());
        assert_eq!(state.active(), 3, "the third, a stranger, has made room");
        assert!(fourth.establish().is_ok() && fifth.establish().is_ok());
        assert_eq!(third.establish(), Err(Limit::Connections), "three are complete");
        assert_eq!(admit().err(), Some(Limit::Connections));
        drop((first, third, fourth, fifth));
        assert_eq!(state.active(), 0);
        assert!(admit().is_ok());
    }

    #[test]
    fn phases_only_advance() {
        let text = "
identities: {d: {tls_identity: {files: {certificate_chain: c, private_key: k, trusted_ca: b}}}}
listeners:
- {name: l, direction: inbound, address: '127.0.0.1:1', target: '127.0.0.1:2', identity: d,
   peers: {any: true}}";
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

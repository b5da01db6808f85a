//! The handle to an identity that rotates.

use super::clock::{Clock, SystemClock};
use super::health::Health;
use super::metric::Metrics;
use super::snapshot::Snapshot;
use super::source::Source;
use super::store::Store;
use super::supervisor::{self, Backoff};
use super::unavailable::Unavailable;
use ::spiffe::TrustDomain;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An identity that rotates: what its source delivers is checked, and published as one [`Snapshot`] after
/// another.
///
/// Clones are handles to the same identity. Its tasks end with the last handle; acceptors and connectors hold
/// one each.
#[derive(Clone)]
pub struct Identity(Arc<Running>);

struct Running {
    store: Arc<Store>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Identity {
    /// An identity from `source`, with the default settings.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(source: impl Source) -> Self {
        Self::builder().start(source)
    }

    /// An identity with other settings.
    pub fn builder() -> IdentityBuilder {
        IdentityBuilder::default()
    }

    /// What new handshakes are to use now. Takes no lock.
    ///
    /// # Errors
    /// Why there must not be new handshakes now.
    pub fn current(&self) -> Result<Arc<Snapshot>, Unavailable> {
        self.0.store.current()
    }

    /// Waits until there is something to make handshakes with.
    pub async fn ready(&self) -> Arc<Snapshot> {
        let mut changes = self.changes();
        loop {
            match self.current() {
                Ok(snapshot) => return snapshot,
                Err(_) => changes.changed().await,
            }
        }
    }

    /// A watch on this identity, which sees every change from now on.
    pub fn changes(&self) -> Changes {
        Changes { store: self.0.store.clone(), receiver: self.0.store.changes() }
    }

    /// Whether peers can accept us now: for a readiness probe.
    ///
    /// # Errors
    /// Why they cannot: there is no SVID, it was withdrawn, it has expired, or by our clock it is not valid
    /// yet.
    pub fn acceptable(&self) -> Result<(), Unavailable> {
        self.0.store.acceptable()
    }

    /// How this identity is doing.
    pub fn health(&self) -> Health {
        self.0.store.health()
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.0.store
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.current()).finish()
    }
}

/// Sees the changes of an identity. It does not keep the identity running.
#[derive(Clone)]
pub struct Changes {
    store: Arc<Store>,
    receiver: watch::Receiver<u64>,
}

impl Changes {
    /// Waits until the identity has changed since the last call, or since the watch was made: another
    /// generation, a withdrawal, an expiry, or an SVID that is held back. Several changes may be seen as one.
    pub async fn changed(&mut self) {
        // The sender lives in the store that we hold.
        let _ = self.receiver.changed().await;
    }

    /// What new handshakes are to use now.
    ///
    /// # Errors
    /// Why there must not be new handshakes now.
    pub fn current(&self) -> Result<Arc<Snapshot>, Unavailable> {
        self.store.current()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

/// The settings of an [`Identity`].
#[derive(Clone, Debug)]
pub struct IdentityBuilder {
    name: Option<String>,
    trust_domain: Option<TrustDomain>,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    rejected: Backoff,
}

impl Default for IdentityBuilder {
    fn default() -> Self {
        Self {
            name: None,
            trust_domain: None,
            clock: Arc::new(SystemClock),
            backoff: Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) },
            rejected: Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(600) },
        }
    }
}

impl IdentityBuilder {
    /// Its name in metrics; default: the source's.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The only trust domain that our own SVID may be of; default: any whose bundle comes with it.
    #[must_use]
    pub fn trust_domain(mut self, domain: TrustDomain) -> Self {
        self.trust_domain = Some(domain);
        self
    }

    /// What tells the time that validities are compared with, those of peers included; default: the system's
    /// clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long a source that was lost is left alone, before jitter: the first time, and at most; default:
    /// 0.2 s and 10 s.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest: longest.max(first) };
        self
    }

    /// The same for a source that rejects our request itself (InvalidArgument); default: 30 s and 10 minutes.
    #[must_use]
    pub fn rejected_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.rejected = Backoff { first, longest: longest.max(first) };
        self
    }

    /// Starts the identity: its tasks run on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self, source: impl Source) -> Identity {
        let metrics = Metrics::new(self.name.unwrap_or_else(|| source.name().to_owned()));
        let store = Arc::new(Store::new(self.clock, self.trust_domain, metrics));
        let tasks = [
            tokio::spawn(supervisor::keep_time(store.clone())),
            tokio::spawn(supervisor::run(source, store.clone(), self.backoff, self.rejected)),
        ];
        Identity(Arc::new(Running { store, tasks }))
    }
}

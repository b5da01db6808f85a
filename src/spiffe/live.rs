//! What becomes of live connections when identities rotate.

use super::chain::{Chain, ChainError};
use super::close_reason::CloseReason;
use super::roots::Roots;
use super::store::Store;
use ::spiffe::SpiffeId;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use webpki::KeyUsage;

/// When live connections should be closed; the default is never. A rotation by itself closes none.
///
/// ```
/// use rustls_multibuffer::spiffe::LivePolicy;
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// let policy = LivePolicy::keep().max_age(hour, hour / 6).close_on_bundle_removal(Duration::from_secs(10));
/// assert_ne!(policy, LivePolicy::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LivePolicy {
    max_age: Option<(Duration, Duration)>,
    bundle_removal: Option<Duration>,
}

impl LivePolicy {
    /// Live connections are kept.
    pub fn keep() -> Self {
        Self::default()
    }

    /// A connection should be closed when it is `age` old, less a random part of `jitter`, which spreads the
    /// new handshakes.
    #[must_use]
    pub fn max_age(mut self, age: Duration, jitter: Duration) -> Self {
        self.max_age = Some((age, jitter));
        self
    }

    /// A connection should be closed when the bundle of its peer's trust domain is removed, when the peer's
    /// chain does not verify any more with the roots that are left in it, when its rules do not admit the
    /// peer any more, when the chain is revoked, or when our own identity is withdrawn; after a random part
    /// of `spread`, because that concerns many connections at once.
    #[must_use]
    pub fn close_on_bundle_removal(mut self, spread: Duration) -> Self {
        self.bundle_removal = Some(spread);
        self
    }

    /// The age at which a new connection should be closed.
    pub(super) fn draw_age(self) -> Option<Duration> {
        self.max_age.map(|(age, jitter)| age.saturating_sub(jitter.mul_f64(fastrand::f64())))
    }

    pub(super) fn draw_spread(self) -> Option<Duration> {
        self.bundle_removal.map(|spread| spread.mul_f64(fastrand::f64()))
    }
}

/// A peer's chain, and how it was verified.
pub(super) struct PeerChain {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) usage: KeyUsage,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// When it was verified: later expiry is no removal.
    pub(super) at: UnixTime,
}

/// Watches whether the trust in a peer's chain is taken back.
pub(super) struct TrustWatch {
    store: Arc<Store>,
    changes: watch::Receiver<u64>,
    peer: SpiffeId,
    /// The roots that the chain is known to verify with.
    roots: Option<Arc<Roots>>,
    chain: PeerChain,
}

impl TrustWatch {
    pub(super) fn new(
        store: Arc<Store>,
        peer: &SpiffeId,
        roots: Option<Arc<Roots>>,
        chain: PeerChain,
    ) -> Self {
        let mut changes = store.changes();
        // What changed while the handshake ran is a change, too.
        changes.mark_changed();
        Self { changes, store, peer: peer.clone(), roots, chain }
    }

    /// Ready when trust is taken back. Dropping the future loses nothing.
    pub(super) async fn lost(&mut self) -> CloseReason {
        loop {
            // The sender lives in the store that we hold.
            let _ = self.changes.changed().await;
            if let Some(reason) = self.judge() {
                return reason;
            }
        }
    }

    fn judge(&mut self) -> Option<CloseReason> {
        let published = self.store.last_published();
        let Ok(snapshot) = &*published else { return Some(CloseReason::Withdrawn) };
        let Some(roots) = snapshot.bundles().get(self.peer.trust_domain()) else {
            return Some(CloseReason::BundleRemoved);
        };
        let is_covered =
            self.roots.as_ref().is_some_and(|known| Arc::ptr_eq(known, roots) || roots.covers(known));
        if !is_covered && let Err(reason) = self.verify(roots) {
            return Some(reason);
        }
        self.roots = Some(roots.clone());
        None
    }

    /// An expired revocation list closes nothing: like expiry, it is no removal.
    fn verify(&self, roots: &Roots) -> Result<(), CloseReason> {
        let PeerChain { certificates, usage, algorithms, at } = &self.chain;
        let Some((leaf, intermediates)) = certificates.split_first() else {
            return Err(CloseReason::RootRemoved);
        };
        if !roots.admits(&self.peer) {
            return Err(CloseReason::Revoked);
        }
        let chain = Chain { leaf, intermediates, now: *at, usage: *usage, algorithms: algorithms.all };
        let domain = self.peer.trust_domain();
        match roots.verify(chain, domain) {
            Err(ChainError::WebPki(webpki::Error::CertRevoked)) => Err(CloseReason::Revoked),
            _ => roots.verify_unrevoked(chain, domain).map_err(|_| CloseReason::RootRemoved),
        }
    }
}

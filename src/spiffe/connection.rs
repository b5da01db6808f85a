//! What is known of a connection beside its stream.

use super::chain::Chain;
use super::close_reason::CloseReason;
use super::failure::handshake_failure;
use super::live::{LivePolicy, PeerChain, TrustWatch};
use super::peer_error::PeerError;
use super::sessions::{ConnectionSessions, Resumable};
use super::side::Side;
use super::snapshot::Snapshot;
use super::store::Store;
use super::verify::{peer_id, recheck};
use super::{Authorizer, SpiffeId};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CommonState, HandshakeKind};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// What is known of a connection beside its stream: who the peer is, since when, and when it should be
/// closed.
pub struct Connection {
    peer: SpiffeId,
    generation: u64,
    since: Instant,
    /// When it is too old.
    ends: Option<Instant>,
    trust: Option<TrustWatch>,
    /// How long to wait once trust is lost.
    spread: Duration,
    /// When it should be closed because trust was lost.
    due: Option<(Instant, CloseReason)>,
    closed: Option<CloseReason>,
    side: Side,
    store: Arc<Store>,
}

impl Connection {
    /// The peer's verified and authorized SPIFFE ID.
    pub fn peer_id(&self) -> &SpiffeId {
        &self.peer
    }

    /// The generation of our own identity that the handshake was made with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the handshake was complete.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How long ago the handshake was complete.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits until the [`LivePolicy`] says that this connection should be closed; with the policy to keep,
    /// forever.
    ///
    /// The application finishes what it is doing, closes the stream, and, if it is the client, connects
    /// again. The future may be dropped and made again, for example in a `select!` loop. When it has been
    /// ready, it is ready at once.
    pub async fn closing(&mut self) -> CloseReason {
        if let Some(reason) = self.closed {
            return reason;
        }
        let reason = loop {
            match self.next_end() {
                Some((at, reason)) if self.due.is_some() => {
                    tokio::time::sleep_until(at.into()).await;
                    break reason;
                }
                end => {
                    if self.wait_for_loss_until(end.map(|(at, _)| at)).await {
                        break CloseReason::MaxAge;
                    }
                }
            }
        };
        self.closed = Some(reason);
        self.store.metrics().connection_closed(self.side, reason.as_label());
        reason
    }

    /// The earlier of the ends that are known.
    fn next_end(&self) -> Option<(Instant, CloseReason)> {
        let too_old = self.ends.map(|at| (at, CloseReason::MaxAge));
        too_old.into_iter().chain(self.due).min_by_key(|(at, _)| *at)
    }

    /// Waits until trust is lost, and notes when to close because of that. True if `at` came first.
    async fn wait_for_loss_until(&mut self, at: Option<Instant>) -> bool {
        let lost = {
            let mut lost = pin!(async {
                match &mut self.trust {
                    Some(trust) => trust.lost().await,
                    None => std::future::pending().await,
                }
            });
            let mut end = pin!(async {
                match at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|cx| match lost.as_mut().poll(cx) {
                Poll::Ready(reason) => Poll::Ready(Some(reason)),
                Poll::Pending => end.as_mut().poll(cx).map(|()| None),
            })
            .await
        };
        self.due = lost.map(|reason| (Instant::now() + self.spread, reason));
        lost.is_none()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer.to_string())
            .field("generation", &self.generation)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// What a finished handshake was made with.
pub(super) struct Context<C: Resumable> {
    pub(super) snapshot: Arc<Snapshot>,
    /// Where its sessions are remembered, if they are resumed.
    pub(super) sessions: Option<Arc<ConnectionSessions<C>>>,
    pub(super) store: Arc<Store>,
    pub(super) authorizer: Authorizer,
    pub(super) live: LivePolicy,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl<C: Resumable> Context<C> {
    /// The connection of a finished handshake. After a resumption the peer is looked at again.
    pub(super) fn admit(self, tls: &CommonState) -> io::Result<Connection> {
        let certificates = tls.peer_certificates().unwrap_or_default();
        // Both configurations demand a certificate.
        let leaf =
            certificates.first().ok_or(rustls::Error::NoCertificatesPresented).map_err(invalid_data)?;
        let now = self.snapshot.time().ok_or(rustls::Error::FailedToGetCurrentTime).map_err(invalid_data)?;
        let is_resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        let peer = match is_resumed {
            true => recheck(leaf, &self.authorizer, now),
            false => peer_id(leaf, C::SIDE.usage_of_peer(), self.snapshot.bundles()),
        };
        let peer = peer.map_err(invalid_data)?;
        match &self.sessions {
            Some(sessions) if is_resumed => sessions.admit_again(),
            Some(sessions) => sessions.admit(&peer, now, self.verified_until(certificates, now)),
            None => {}
        }
        let since = Instant::now();
        Ok(Connection {
            generation: self.snapshot.generation(),
            since,
            ends: self.live.draw_age().map(|age| since + age),
            trust: self.live.draw_spread().map(|_| self.watch(&peer, certificates, now)),
            spread: self.live.draw_spread().unwrap_or_default(),
            due: None,
            closed: None,
            side: C::SIDE,
            store: self.store,
            peer,
        })
    }

    /// How long the chain of a full handshake is known to verify.
    fn verified_until(&self, certificates: &[CertificateDer<'_>], now: UnixTime) -> Option<UnixTime> {
        let (leaf, intermediates) = certificates.split_first()?;
        let (usage, algorithms) = (C::SIDE.usage_of_peer(), self.algorithms.all);
        self.snapshot.bundles().verified().until(Chain { leaf, intermediates, now, usage, algorithms })
    }

    fn watch(&self, peer: &SpiffeId, certificates: &[CertificateDer<'_>], at: UnixTime) -> TrustWatch {
        let certificates = certificates.iter().map(|der| der.clone().into_owned()).collect();
        let chain =
            PeerChain { certificates, usage: C::SIDE.usage_of_peer(), algorithms: self.algorithms, at };
        let roots = self.snapshot.bundles().get(peer.trust_domain()).cloned();
        TrustWatch::new(self.store.clone(), peer, roots, chain)
    }
}

fn invalid_data(e: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}

/// A refused peer's reason itself, which rustls only shows as Rust prints it for debugging.
pub(super) fn in_words(error: io::Error) -> io::Error {
    match PeerError::of(&error) {
        Some(reason) => io::Error::new(error.kind(), reason.clone()),
        None => error,
    }
}

/// Counts a handshake that failed, by its reason.
pub(super) fn count_failure<T>(result: &io::Result<T>, store: &Store, side: Side) {
    if let Err(error) = result {
        store.metrics().handshake_failed(side, handshake_failure(error));
    }
}

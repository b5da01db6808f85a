//! SPIFFE identities that rotate without losing a handshake.
//!
//! What happens to an identity, from its source to a connection:
//!
//! 1. A [`Source`] delivers [`Material`]: an X.509-SVID, its key, and the trust bundles, always as one
//!    complete state. A supervisor runs it, and runs it again with a jittered backoff when it is lost. The
//!    last good identity outlives it.
//! 2. The acceptance rules are applied to the whole of it: the key is the leaf's, the leaf is valid and as
//!    the X.509-SVID standard wants it, and the chain verifies with the bundle of its own trust domain. What
//!    breaks a rule is refused with a [`Refusal`]; what is not valid yet is held back until it is.
//! 3. It becomes a [`Snapshot`], the next generation. Every [`Acceptor`] and [`Connector`] makes its rustls
//!    configuration from it, off the handshake path, before its source is told that the generation is
//!    published.
//! 4. A handshake takes the generation that is current when it begins, without a lock, and keeps it to its
//!    end: so no handshake fails because of a rotation. What is withdrawn, or removed from the bundles,
//!    counts for the next handshake; sessions, if [`TlsOptions::resumption`] is on, end with the generation.
//! 5. The peer's leaf is checked by X.509-SVID §5, its chain with the bundle of its own trust domain only,
//!    and its SPIFFE ID by the [`Authorizer`]. DNS names play no part. The verifications park on fibers, like
//!    everything else. A [`PeerError`] tells what is wrong. The chain of a peer that comes back is not
//!    verified again while the bundles are the same and all of its certificates valid; that the peer has the
//!    leaf's key it proves each time.
//! 6. The [`Connection`] that comes with the stream tells who the peer is, and when the [`LivePolicy`] wants
//!    it closed.
//!
//! Own keys are wiped when their last user drops them. A peer without certificate is refused. Revocation
//! lists are no part of X.509-SVID, but those that a bundle holds are enforced.
//!
//! ```no_run
//! use rustls_multibuffer::handshake::{Engine, EngineConfig};
//! use rustls_multibuffer::spiffe::{Acceptor, Authorizer, FileSource, Identity, TrustDomain};
//! use tokio::net::TcpListener;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::start(FileSource::new("/certs/tls.crt", "/certs/tls.key", "/certs/ca.crt"));
//! identity.ready().await;
//! let clients = Authorizer::path_prefix(TrustDomain::new("example.org")?, "/ns/billing");
//! let acceptor = Acceptor::new(Engine::new(EngineConfig::default())?, &identity, clients);
//! let listener = TcpListener::bind("0.0.0.0:8443").await?;
//! loop {
//!     let (socket, _) = listener.accept().await?;
//!     let handshake = acceptor.accept(socket);
//!     tokio::spawn(async move {
//!         let (_stream, connection) = handshake.await?;
//!         println!("{} is here", connection.peer_id());
//!         Ok::<_, std::io::Error>(())
//!     });
//! }
//! # }
//! ```
//!
//! # Metrics
//!
//! Through the facade of the crate `metrics`; each carries the label `identity`, which is
//! [`IdentityBuilder::name`]. Times are seconds since 1970.
//!
//! Gauges:
//!
//! * `spiffe_identity_available`: 1 while new handshakes can be made, else 0: nothing has arrived, or it has
//!   expired or was withdrawn
//! * `spiffe_svid_not_before_seconds`, `spiffe_svid_not_after_seconds`: the validity of the SVID that was
//!   published last
//! * `spiffe_generation`: number of the generation that was published last
//! * `spiffe_last_success_seconds`: when an update was last accepted
//! * `spiffe_source_connected`: 1 while the source is connected, else 0
//! * `spiffe_source_rejected`: 1 while the source refuses our request itself (InvalidArgument), else 0
//! * `spiffe_unusable_roots`, by `trust_domain`: certificates in the bundle that cannot be used as roots
//! * `spiffe_unusable_bundle`, by `trust_domain`: 1 while the bundle that another trust domain publishes
//!   cannot be used, so that the last good one counts; else 0
//! * `spiffe_crl_next_update_seconds`, by `trust_domain`: when the first of the bundle's revocation lists
//!   expires, and with it the trust in whoever it is about
//!
//! Counters:
//!
//! * `spiffe_updates_total`, by `result`: updates, which are `ok` or have the label of the [`Refusal`]
//! * `spiffe_withdrawals_total`, by `reason`: withdrawals of the identity, by the label of the
//!   [`Withdrawal`]; the same again is none
//! * `spiffe_handshake_failures_total`, by `side` and `reason`: handshakes that failed, by
//!   [`handshake_failure`]
//! * `spiffe_handshakes_resumed_total`, by `side`: handshakes that resumed a session
//! * `spiffe_resumptions_refused_total`, by `side` and `reason`: sessions that were not resumed, which makes
//!   a full handshake: the session is `unknown` (it was resumed before, made room, or is of another
//!   generation, listener or process; not counted by clients), the generation was `superseded` during the
//!   handshake, a certificate has `ended` or the session is too old, or the peer is `not_authorized` any more
//! * `spiffe_connections_closed_total`, by `side` and `reason`: connections told to close, by the label of
//!   the [`CloseReason`]

// The life of one update, file by file:
//
// 1. A source (`workload_api`, `sds`, `files`, `memory`) makes `Material` of what it reads, and gives it to
//    its `Updates` (`source`). `supervisor` runs the source, and runs it again.
// 2. `Updates` passes it to the one `Sink`, which is the `store`.
// 3. The store lets `accept` examine it: the leaf by itself (`leaf`, which reads `fields`), the key, and our
//    own chain (`chain`) with its `bundles`, each of which is the `roots` of one trust domain.
// 4. What is accepted becomes a `snapshot`: data, with a number. The store publishes it, then gives it to
//    each subscriber: the `party` in every `acceptor` and `connector`, which makes its rustls configuration
//    (`configs`).
// 5. The configuration verifies peers (`verify`) with the snapshot's bundles, which remember the chains that
//    they `verified`.
// 6. A session of a peer that was let in is remembered (`sessions`), if resumption is on, until the
//    generation ends.
// 7. The `connection` that comes of a handshake watches the store (`live`): the next update may end it.

mod accept;
mod acceptor;
#[cfg(feature = "spiffe-authority")]
pub mod authority;
mod authorizer;
mod bundles;
mod chain;
mod channel;
mod clock;
mod close_reason;
mod configs;
mod connection;
mod connector;
mod failure;
mod fields;
mod files;
mod health;
mod identity;
mod label;
mod leaf;
mod live;
mod memory;
mod metric;
mod options;
mod party;
mod peer_error;
mod proto;
mod refusal;
mod roots;
mod sds;
mod sessions;
mod side;
mod snapshot;
mod source;
mod store;
mod supervisor;
mod unavailable;
mod verified;
mod verify;
mod workload_api;

pub use self::acceptor::Acceptor;
pub use self::authorizer::Authorizer;
pub use self::channel::EndpointError;
pub use self::clock::{Clock, SystemClock};
pub use self::close_reason::CloseReason;
pub use self::connection::Connection;
pub use self::connector::Connector;
pub use self::failure::{handshake_failure, handshake_failures};
pub use self::files::FileSource;
pub use self::health::Health;
pub use self::identity::{Changes, Identity, IdentityBuilder};
pub use self::leaf::LeafError;
pub use self::live::LivePolicy;
pub use self::memory::{MemoryError, MemoryHandle, MemorySource, memory_source};
pub use self::options::TlsOptions;
pub use self::peer_error::PeerError;
pub use self::refusal::Refusal;
pub use self::sds::SdsSource;
pub use self::snapshot::Snapshot;
pub use self::source::{
    Material, Offered, Source, SourceError, Svid, SvidKey, TrustBundle, Updates, Withdrawal,
};
pub use self::unavailable::Unavailable;
pub use self::workload_api::WorkloadApiSource;
pub use crate::validation::UriMatcher;
pub use ::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

//! SPIFFE identities that rotate without losing a handshake.

mod accept;
mod acceptor;
#[cfg(feature = "spiffe-authority")]
pub mod authority;
mod authorizer;
mod bundles;
mod clock;
mod connection;
mod connector;
mod endpoint;
mod health;
mod identity;
mod leaf;
mod live;
mod memory;
mod metric;
mod options;
mod peer_error;
mod proto;
mod refusal;
mod snapshot;
mod source;
mod store;
mod supervisor;
mod unavailable;
mod verify;

pub use self::acceptor::Acceptor;
pub use self::authorizer::Authorizer;
pub use self::clock::{Clock, SystemClock};
pub use self::connection::Connection;
pub use self::connector::Connector;
pub use self::health::Health;
pub use self::identity::{Changes, Identity, IdentityBuilder};
pub use self::live::{CloseReason, LivePolicy};
pub use self::memory::{MemoryError, MemoryHandle, MemorySource, memory_source};
pub use self::options::TlsOptions;
pub use self::peer_error::PeerError;
pub use self::refusal::Refusal;
pub use self::snapshot::Snapshot;
pub use self::source::{Material, Offered, Source, SourceError, Svid, SvidKey, Updates, Withdrawal};
pub use self::unavailable::Unavailable;
pub use ::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

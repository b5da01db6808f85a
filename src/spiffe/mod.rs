//! SPIFFE identities that rotate without losing a handshake.

#[cfg(feature = "spiffe-authority")]
pub mod authority;
mod proto;
mod refusal;
mod source;

pub use self::refusal::Refusal;
pub use self::source::{Material, Offered, Source, SourceError, Svid, SvidKey, Updates, Withdrawal};
pub use ::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

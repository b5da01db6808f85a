//! SPIFFE identities that rotate without losing a handshake.

mod refusal;
mod source;

pub use self::refusal::Refusal;
pub use self::source::{Material, Offered, Source, SourceError, Svid, SvidKey, Updates, Withdrawal};
pub use ::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

//! What of Envoy's `CertificateValidationContext` is enforced, wherever the context comes from, and what PEM
//! files hold.
//!
//! A context narrows down who is admitted. So every field of it is either enforced or refused: [`judge`]
//! decides that for a static configuration and for the secrets of an SDS server alike.

mod judge;
mod matcher;
mod pem;

pub(crate) use judge::{Given, Rules, SPIFFE_VALIDATOR, judge};
pub use matcher::UriMatcher;
pub(crate) use matcher::{NameMatcher, StringMatcher};
pub(crate) use pem::{private_key, trusted};

/// A place in a context, to report about. Fields are named as protobuf has them.
pub(crate) trait Place {
    /// The field `name` of what is here.
    fn field(&self, name: &str) -> Self;

    /// The element `index` of what is here.
    fn index(&self, index: usize) -> Self;

    /// Says that it is wrong.
    fn error(&self, message: String);

    /// Says that it is right, and not supported.
    fn unsupported(&self, message: String);

    /// Says what deserves attention.
    fn warn(&self, message: String);
}

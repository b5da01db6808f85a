//! Envoy's `DownstreamTlsContext` and `UpstreamTlsContext`.
//!
//! [`find`] takes a whole bootstrap, a listener, a cluster, a transport socket, or a bare context, and gives
//! every TLS context in it. [`DownstreamTlsContext::read`] and [`UpstreamTlsContext::read`] take a bare
//! context.
//!
//! What differs from Envoy, on purpose:
//!
//! * Without anything to verify the peer with, `require_client_certificate` and every upstream context are
//!   errors. Envoy takes whoever comes.
//! * Keys of every kind are served: what has no lanes is signed by aws-lc-rs, with a warning. Envoy refuses
//!   them.
//! * The key may stand beside the certificate or in the provider's settings, with or without `fallback`.
//! * `poll_delay` may be left out or zero (a lone operation waits for nobody) and may be in microseconds.

mod certificate;
mod context;
mod find;
mod identity;
mod key;
mod params;
mod provider;
mod raw;
mod sds;
mod validation;

pub use crate::validation::UriMatcher;
pub use certificate::Certificate;
pub use context::{CertificateSource, CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext};
pub use find::{TlsContext, find};
pub use key::{KeyAcceleration, LoadedCertificate};
pub use params::TlsParameters;
pub use provider::{PrivateKeyProvider, ProviderName};
pub use sds::{SdsSecret, SdsServer};
pub use validation::{TrustedCa, ValidationContext};

#[cfg(test)]
pub(super) use raw::{Downstream, Upstream};

//! What an authority is told at its start.

use super::KeyKind;
use ::spiffe::TrustDomain;
use std::time::Duration;

/// How an [`Authority`](super::Authority) issues. Begin with [`AuthorityConfig::new`]; the values that it
/// sets are SPIRE's.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    pub(super) trust_domain: TrustDomain,
    pub(super) key_kind: KeyKind,
    pub(super) ca_key_kind: KeyKind,
    pub(super) svid_lifetime: Duration,
    pub(super) ca_lifetime: Duration,
    pub(super) announcement: Duration,
}

impl AuthorityConfig {
    /// For a trust domain: P-256 keys, SVIDs that live an hour, CAs that live a day and are announced four
    /// hours before they are used.
    pub fn new(trust_domain: TrustDomain) -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            trust_domain,
            key_kind: KeyKind::P256,
            ca_key_kind: KeyKind::P256,
            svid_lifetime: HOUR,
            ca_lifetime: 24 * HOUR,
            announcement: 4 * HOUR,
        }
    }

    /// The kind of the SVIDs' keys.
    #[must_use]
    pub fn key_kind(self, key_kind: KeyKind) -> Self {
        Self { key_kind, ..self }
    }

    /// The kind of the CAs' keys.
    #[must_use]
    pub fn ca_key_kind(self, ca_key_kind: KeyKind) -> Self {
        Self { ca_key_kind, ..self }
    }

    /// How long an SVID lives; it is rotated at half of that, ± 10 %. Certificates know whole seconds only.
    #[must_use]
    pub fn svid_lifetime(self, svid_lifetime: Duration) -> Self {
        Self { svid_lifetime, ..self }
    }

    /// How long a CA lives. The next one is in use from five sixths of that.
    #[must_use]
    pub fn ca_lifetime(self, ca_lifetime: Duration) -> Self {
        Self { ca_lifetime, ..self }
    }

    /// How long a new CA is in the bundle before it issues, at most half of a CA's life. Workloads have this
    /// time to hear of it.
    #[must_use]
    pub fn announcement(self, announcement: Duration) -> Self {
        Self { announcement, ..self }
    }
}

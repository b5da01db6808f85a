//! Why a peer was refused.

use super::label::labels;
use super::leaf::LeafError;
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::{CertificateError, OtherError};
use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, io};

/// Why a peer's certificate was refused. [`PeerError::of`] finds it in the error of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// The leaf is not as the standard wants it.
    Leaf(LeafError),
    /// The leaf has an extended key usage without the purpose that the peer uses it for (X.509-SVID §4.4).
    ExtendedKeyUsage,
    /// The leaf's validity is over.
    Expired {
        /// The last second of its validity (notAfter).
        not_after: SystemTime,
    },
    /// The leaf's validity has not begun: one of the two clocks is wrong.
    NotYetValid {
        /// When its validity begins (notBefore).
        not_before: SystemTime,
    },
    /// We never had a bundle for the peer's trust domain.
    UnknownTrustDomain(TrustDomain),
    /// The bundle of the peer's trust domain was taken back.
    BundleRemoved(TrustDomain),
    /// The chain leads to no root of its trust domain's bundle.
    NotInBundle(TrustDomain),
    /// The chain was made by another trust domain than the leaf claims.
    ForeignAuthority {
        /// The one that the leaf claims.
        domain: TrustDomain,
        /// The one that an intermediate belongs to, or whose bundle verifies the chain.
        authority: TrustDomain,
    },
    /// The chain leads to a root, and something else is wrong with it: a signature, an intermediate.
    BadChain(String),
    /// A certificate of the chain is in a revocation list.
    Revoked,
    /// Whether the chain is revoked is not known: the revocation list of one of its authorities is missing,
    /// has expired or is not signed by it.
    RevocationUnknown(String),
    /// The peer is who it says, and the authorizer does not let it in.
    NotAuthorized(SpiffeId),
}

labels! {
    PeerError with Leaf(LeafError),
    PeerError::ExtendedKeyUsage => "extended_key_usage",
    PeerError::Expired { .. } => "expired",
    PeerError::NotYetValid { .. } => "not_yet_valid",
    PeerError::UnknownTrustDomain(_) => "unknown_trust_domain",
    PeerError::BundleRemoved(_) => "bundle_removed",
    PeerError::NotInBundle(_) => "not_in_bundle",
    PeerError::ForeignAuthority { .. } => "foreign_authority",
    PeerError::BadChain(_) => "bad_chain",
    PeerError::Revoked => "revoked",
    PeerError::RevocationUnknown(_) => "revocation_unknown",
    PeerError::NotAuthorized(_) => "not_authorized",
}

impl PeerError {
    /// The reason inside the error of a handshake, if the handshake failed because of the peer's certificate.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<Self>() {
            Some(reason) => Some(reason),
            None => Self::of_rustls(inner.downcast_ref()?),
        }
    }

    /// The same for an error of rustls.
    pub fn of_rustls(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
                reason.downcast_ref()
            }
            _ => None,
        }
    }
}

impl From<LeafError> for PeerError {
    fn from(e: LeafError) -> Self {
        Self::Leaf(e)
    }
}

impl From<PeerError> for rustls::Error {
    fn from(e: PeerError) -> Self {
        CertificateError::Other(OtherError(Arc::new(e))).into()
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(e) => e.describe("the peer's certificate", f),
            Self::ExtendedKeyUsage => {
                f.write_str("the extended key usage of the peer's certificate lacks the purpose of its role")
            }
            Self::Expired { .. } => f.write_str("the peer's certificate has expired"),
            Self::NotYetValid { .. } => f.write_str("the peer's certificate is not valid yet"),
            Self::UnknownTrustDomain(domain) => write!(f, "there is no bundle for the trust domain {domain}"),
            Self::BundleRemoved(domain) => write!(f, "the bundle of the trust domain {domain} was removed"),
            Self::NotInBundle(domain) => write!(f, "the peer's chain leads to no root of {domain}"),
            Self::ForeignAuthority { domain, authority } => {
                write!(f, "the peer claims {domain}, but its chain was made by {authority}")
            }
            Self::BadChain(why) => write!(f, "the peer's chain does not verify: {why}"),
            Self::Revoked => f.write_str("the peer's chain is revoked"),
            Self::RevocationUnknown(why) => {
                write!(f, "whether the peer's chain is revoked is not known: {why}")
            }
            Self::NotAuthorized(id) => write!(f, "{id} is not authorized"),
        }
    }
}

impl Error for PeerError {}

//! Why an update was refused.

use super::label::labels;
use super::leaf::LeafError;
use ::spiffe::{SpiffeId, TrustDomain};
use std::error::Error;
use std::fmt;
use std::time::SystemTime;

/// Why the material that a source delivered was refused as a whole. The last good identity stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There are no certificates in it.
    Empty,
    /// It could not be read: truncated, or not what its format says.
    Malformed(String),
    /// The leaf is not as the standard wants it.
    Leaf(LeafError),
    /// The leaf has an extended key usage without server and client authentication (X.509-SVID §4.4).
    ExtendedKeyUsage,
    /// The leaf's validity is over.
    Expired {
        /// The last second of its validity (notAfter).
        not_after: SystemTime,
    },
    /// The private key cannot be read or used.
    Key(String),
    /// The private key is not the leaf's.
    KeyMismatch,
    /// The SVID is not of the trust domain that this identity was told to expect.
    WrongTrustDomain(SpiffeId),
    /// There is no bundle, or an empty one, for the SVID's own trust domain.
    NoBundle(TrustDomain),
    /// No certificate in the bundle can be used as a root: they are malformed, or no CAs.
    BadRoot(TrustDomain, String),
    /// A revocation list cannot be used, so that what it revokes would be admitted.
    BadCrl(TrustDomain, String),
    /// It restricts who is admitted, or how, in a way that is not enforced here.
    Unsupported(String),
    /// The SVID does not verify with the bundle of its own trust domain.
    NotInBundle(String),
}

labels! {
    Refusal with Leaf(LeafError),
    Refusal::Empty => "empty",
    Refusal::Malformed(_) => "malformed",
    Refusal::ExtendedKeyUsage => "extended_key_usage",
    Refusal::Expired { .. } => "expired",
    Refusal::Key(_) => "key",
    Refusal::KeyMismatch => "key_mismatch",
    Refusal::WrongTrustDomain(_) => "wrong_trust_domain",
    Refusal::NoBundle(_) => "no_bundle",
    Refusal::BadRoot(..) => "bad_root",
    Refusal::BadCrl(..) => "bad_crl",
    Refusal::Unsupported(_) => "unsupported",
    Refusal::NotInBundle(_) => "not_in_bundle",
}

impl From<LeafError> for Refusal {
    fn from(e: LeafError) -> Self {
        Self::Leaf(e)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the update is empty"),
            Self::Malformed(why) => write!(f, "the update is malformed: {why}"),
            Self::Leaf(e) => e.fmt(f),
            Self::ExtendedKeyUsage => {
                f.write_str("the leaf's extended key usage lacks server or client authentication")
            }
            Self::Expired { .. } => f.write_str("the SVID has expired"),
            Self::Key(why) => write!(f, "the private key is not usable: {why}"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the leaf"),
            Self::WrongTrustDomain(id) => write!(f, "{id} is not of the expected trust domain"),
            Self::NoBundle(domain) => write!(f, "there is no bundle for our own trust domain {domain}"),
            Self::BadRoot(domain, why) => write!(f, "the bundle of {domain} holds no root: {why}"),
            Self::BadCrl(domain, why) => {
                write!(f, "the bundle of {domain} holds a revocation list that cannot be used: {why}")
            }
            Self::Unsupported(what) => write!(f, "it asks for what is not enforced here: {what}"),
            Self::NotInBundle(why) => write!(f, "the SVID does not verify with its own bundle: {why}"),
        }
    }
}

impl Error for Refusal {}

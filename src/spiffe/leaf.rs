//! What the X.509-SVID standard asks of a leaf by itself, whether it is ours or a peer's.

use super::fields::Fields;
use super::label::labels;
use ::spiffe::SpiffeId;
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};
use x509_parser::asn1_rs::Tag;
use x509_parser::extensions::{GeneralName, KeyUsage};
use x509_parser::time::ASN1Time;

/// uniformResourceIdentifier among general names (RFC 5280 §4.2.1.6).
const URI: Tag = Tag(6);

/// A leaf that keeps the standard's rules for leaves.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) id: SpiffeId,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// The rule for leaves that a certificate breaks (X.509-SVID §2, §4 and §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafError {
    /// It could not be read.
    Malformed(String),
    /// It has no URI SAN.
    NoSpiffeId,
    /// It has more than one URI SAN.
    SeveralUris,
    /// Its URI SAN is not a valid SPIFFE ID of a workload.
    InvalidSpiffeId(String),
    /// It is a CA.
    Ca,
    /// Its key usage is absent, lacks digitalSignature, or has keyCertSign or cRLSign (§4.3).
    KeyUsage(&'static str),
}

labels! {
    LeafError,
    LeafError::Malformed(_) => "malformed",
    LeafError::NoSpiffeId => "no_spiffe_id",
    LeafError::SeveralUris => "several_uris",
    LeafError::InvalidSpiffeId(_) => "invalid_spiffe_id",
    LeafError::Ca => "ca_leaf",
    LeafError::KeyUsage(_) => "key_usage",
}

impl LeafError {
    /// What is wrong with the leaf that `leaf` names.
    pub(super) fn describe(&self, leaf: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "{leaf} is malformed: {why}"),
            Self::NoSpiffeId => write!(f, "{leaf} has no URI SAN"),
            Self::SeveralUris => write!(f, "{leaf} has more than one URI SAN"),
            Self::InvalidSpiffeId(why) => {
                write!(f, "the URI SAN of {leaf} is not a workload's SPIFFE ID: {why}")
            }
            Self::Ca => write!(f, "{leaf} is a CA"),
            Self::KeyUsage(why) => write!(f, "the key usage of {leaf} {why}"),
        }
    }
}

impl fmt::Display for LeafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("the leaf", f)
    }
}

impl Error for LeafError {}

impl Leaf {
    /// Reads a leaf and checks it by X.509-SVID §2, §4.1, §4.3 and §5.2. Its signature is not looked at.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub(super) fn read(der: &[u8]) -> Result<Self, LeafError> {
        let fields = Fields::read(der).map_err(|e| LeafError::Malformed(e.to_string()))?;
        if fields.is_ca {
            return Err(LeafError::Ca);
        }
        check_usage(fields.key_usage.as_ref())?;
        let early = || LeafError::Malformed("a validity before 1970".to_owned());
        Ok(Self {
            id: spiffe_id(&fields.names)?,
            not_before: system_time(fields.validity.not_before).ok_or_else(early)?,
            not_after: system_time(fields.validity.not_after).ok_or_else(early)?,
        })
    }

    /// Whether its validity is over.
    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        is_over(self.not_after, now)
    }
}

/// Whether a validity that ends with the second `not_after` is over. RFC 5280 §4.1.2.5 counts that second in.
pub(super) fn is_over(not_after: SystemTime, now: SystemTime) -> bool {
    now.duration_since(not_after).is_ok_and(|since| since >= Duration::from_secs(1))
}

/// Exactly one URI SAN, which is the SPIFFE ID of a workload: it has a path (X.509-SVID §2, §3.1).
fn spiffe_id(names: &[GeneralName<'_>]) -> Result<SpiffeId, LeafError> {
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(Some(*uri)),
        // A URI that is no text: it counts, too.
        GeneralName::Invalid(URI, _) => Some(None),
        _ => None,
    });
    let uri = uris.next().ok_or(LeafError::NoSpiffeId)?;
    if uris.next().is_some() {
        return Err(LeafError::SeveralUris);
    }
    let uri = uri.ok_or_else(|| LeafError::InvalidSpiffeId("it is no text".to_owned()))?;
    let id = SpiffeId::new(uri).map_err(|e| LeafError::InvalidSpiffeId(e.to_string()))?;
    match id.path() {
        "" => Err(LeafError::InvalidSpiffeId("it names a trust domain, not a workload".to_owned())),
        _ => Ok(id),
    }
}

/// A key usage for signatures of its own and no others (X.509-SVID §4.3).
fn check_usage(usage: Option<&KeyUsage>) -> Result<(), LeafError> {
    let Some(usage) = usage else { return Err(LeafError::KeyUsage("is absent")) };
    let rules = [
        (usage.digital_signature(), "lacks digitalSignature"),
        (!usage.key_cert_sign(), "has keyCertSign"),
        (!usage.crl_sign(), "has cRLSign"),
    ];
    match rules.into_iter().find(|(is_kept, _)| !is_kept) {
        Some((_, broken)) => Err(LeafError::KeyUsage(broken)),
        None => Ok(()),
    }
}

/// `None` before 1970.
fn system_time(time: ASN1Time) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;

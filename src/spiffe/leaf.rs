//! What the X.509-SVID standard asks of a leaf by itself, whether it is ours or a peer's.

use super::fields::Fields;
use ::spiffe::SpiffeId;
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

/// The rule that a leaf breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeafError {
    Malformed(String),
    NoUri,
    SeveralUris,
    InvalidId(String),
    Ca,
    KeyUsage(&'static str),
}

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
    let uri = uris.next().ok_or(LeafError::NoUri)?;
    if uris.next().is_some() {
        return Err(LeafError::SeveralUris);
    }
    let uri = uri.ok_or_else(|| LeafError::InvalidId("it is no text".to_owned()))?;
    let id = SpiffeId::new(uri).map_err(|e| LeafError::InvalidId(e.to_string()))?;
    match id.path() {
        "" => Err(LeafError::InvalidId("it names a trust domain, not a workload".to_owned())),
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

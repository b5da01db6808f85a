//! What the X.509-SVID standard asks of a leaf by itself, whether it is ours or a peer's.

use ::spiffe::SpiffeId;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

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
        let malformed = |e: &dyn std::fmt::Display| LeafError::Malformed(e.to_string());
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| malformed(&e))?;
        if !rest.is_empty() {
            return Err(LeafError::Malformed("bytes follow the certificate".to_owned()));
        }
        check_constraints(&certificate)?;
        let validity = certificate.validity();
        Ok(Self {
            id: spiffe_id(&certificate)?,
            not_before: system_time(validity.not_before).ok_or_else(|| malformed(&"validity before 1970"))?,
            not_after: system_time(validity.not_after).ok_or_else(|| malformed(&"validity before 1970"))?,
        })
    }

    /// Whether its validity is over. RFC 5280 §4.1.2.5 counts the last second in.
    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        is_over(self.not_after, now)
    }
}

/// Whether a validity that ends with the second `not_after` is over.
pub(super) fn is_over(not_after: SystemTime, now: SystemTime) -> bool {
    now.duration_since(not_after).is_ok_and(|since| since >= Duration::from_secs(1))
}

/// Exactly one URI SAN, which is the SPIFFE ID of a workload: it has a path (X.509-SVID §2, SPIFFE-ID §2.2).
fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, LeafError> {
    let names = certificate.subject_alternative_name().map_err(|e| LeafError::Malformed(e.to_string()))?;
    let mut uris = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(LeafError::NoUri)?;
    if uris.next().is_some() {
        return Err(LeafError::SeveralUris);
    }
    let id = SpiffeId::new(uri).map_err(|e| LeafError::InvalidId(e.to_string()))?;
    match id.path() {
        "" => Err(LeafError::InvalidId("it names a trust domain, not a workload".to_owned())),
        _ => Ok(id),
    }
}

/// Not a CA, and a key usage for signatures of its own and no others (X.509-SVID §4.1, §4.3).
fn check_constraints(certificate: &X509Certificate<'_>) -> Result<(), LeafError> {
    let malformed = |e: x509_parser::error::X509Error| LeafError::Malformed(e.to_string());
    if certificate.basic_constraints().map_err(malformed)?.is_some_and(|constraints| constraints.value.ca) {
        return Err(LeafError::Ca);
    }
    let Some(usage) = certificate.key_usage().map_err(malformed)? else {
        return Err(LeafError::KeyUsage("is absent"));
    };
    let rules = [
        (usage.value.digital_signature(), "lacks digitalSignature"),
        (!usage.value.key_cert_sign(), "has keyCertSign"),
        (!usage.value.crl_sign(), "has cRLSign"),
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

//! The acceptance rules: what must hold of material before anybody uses it.

use super::bundles::Bundles;
use super::chain::{Chain, ChainError};
use super::clock::unix_time;
use super::leaf::Leaf;
use super::refusal::Refusal;
use super::snapshot::OwnSvid;
use super::source::{Material, Svid};
use crate::provider::default_provider;
use crate::provider::sign::any_supported_type;
use ::spiffe::TrustDomain;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::SystemTime;
use webpki::KeyUsage;

/// Material that keeps every rule, except that it may not be valid yet.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) svid: OwnSvid,
    pub(super) bundles: Bundles,
}

/// Checks `material` as a whole.
///
/// A leaf that is not valid yet is checked as it will be when it is.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn examine(
    material: Material,
    expected: Option<&TrustDomain>,
    now: SystemTime,
) -> Result<Accepted, Refusal> {
    let Material { svid, bundles } = material;
    let first = svid.chain.first().ok_or(Refusal::Empty)?;
    let leaf = Leaf::read(first)?;
    if expected.is_some_and(|expected| !leaf.id.is_member_of(expected)) {
        return Err(Refusal::WrongTrustDomain(leaf.id));
    }
    if leaf.is_expired(now) {
        return Err(Refusal::Expired { not_after: leaf.not_after });
    }
    let certified = certify(svid)?;
    let Leaf { id, not_before, not_after } = leaf;
    let svid = OwnSvid { id, not_before, not_after, certified: Arc::new(certified) };
    let bundles = Bundles::new(bundles, svid.id.trust_domain())?;
    let accepted = Accepted { svid, bundles };
    verify_own(&accepted.svid, &accepted.bundles, now)?;
    Ok(accepted)
}

/// The chain with its signing key, which must be the leaf's.
fn certify(svid: Svid) -> Result<CertifiedKey, Refusal> {
    let key = any_supported_type(svid.key.expose()).map_err(|e| Refusal::Key(e.to_string()))?;
    let certified = CertifiedKey::new(svid.chain, key);
    certified.keys_match().map_err(|_| Refusal::KeyMismatch)?;
    Ok(certified)
}

/// Verifies our own chain with our own bundle, in both roles, as our peers will.
pub(super) fn verify_own(svid: &OwnSvid, bundles: &Bundles, now: SystemTime) -> Result<(), Refusal> {
    let domain = svid.id.trust_domain();
    let roots = bundles.get(domain).ok_or_else(|| Refusal::NoBundle(domain.clone()))?;
    let (leaf, intermediates) = svid.certified.cert.split_first().ok_or(Refusal::Empty)?;
    let now = unix_time(now.max(svid.not_before)).ok_or_else(|| too_early("the clock is before 1970"))?;
    let algorithms = default_provider().signature_verification_algorithms.all;
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        let chain = Chain { leaf, intermediates, now, usage, algorithms };
        roots.verify_unrevoked(chain, domain).map_err(|e| match e {
            ChainError::WebPki(webpki::Error::RequiredEkuNotFoundContext(_)) => Refusal::ExtendedKeyUsage,
            other => Refusal::NotInBundle(other.to_string()),
        })?;
    }
    Ok(())
}

fn too_early(why: &str) -> Refusal {
    Refusal::NotInBundle(why.to_owned())
}

/// Whether our own chain is in a revocation list of its bundle, so that our peers refuse it.
pub(super) fn is_revoked(svid: &OwnSvid, bundles: &Bundles, now: SystemTime) -> bool {
    let domain = svid.id.trust_domain();
    let (Some(roots), Some((leaf, intermediates)), Some(now)) =
        (bundles.get(domain), svid.certified.cert.split_first(), unix_time(now.max(svid.not_before)))
    else {
        return false;
    };
    let algorithms = default_provider().signature_verification_algorithms.all;
    let chain = Chain { leaf, intermediates, now, usage: KeyUsage::client_auth(), algorithms };
    matches!(roots.verify(chain, domain), Err(ChainError::WebPki(webpki::Error::CertRevoked)))
}

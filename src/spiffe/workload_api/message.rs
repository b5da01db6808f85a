//! A message of the Workload API as identity material.

use super::super::leaf::LeafError;
use super::super::proto::workload::{X509Svid, X509SvidResponse};
use super::super::source::{Material, Svid, TrustBundle};
use super::super::{Refusal, SpiffeId, TrustDomain};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeMap;
use x509_parser::asn1_rs::{Any, FromDer};

/// The identity that we want, if it is there; without `id` the default one, which is the first.
///
/// # Errors
/// There are no SVIDs at all, or what concerns our own trust domain cannot be read.
pub(super) fn material(
    response: X509SvidResponse,
    id: Option<&SpiffeId>,
) -> Result<Option<Material>, Refusal> {
    let X509SvidResponse { svids, federated_bundles } = response;
    if svids.is_empty() {
        return Err(Refusal::Empty);
    }
    let is_ours = |svid: &X509Svid| id.is_none_or(|id| svid.spiffe_id == id.to_string());
    let Some(ours) = svids.into_iter().find(is_ours) else { return Ok(None) };
    let own = SpiffeId::new(&ours.spiffe_id).map_err(|e| LeafError::InvalidSpiffeId(e.to_string()))?;
    let roots = certificates(&ours.bundle).map_err(Refusal::Malformed)?;
    let mut bundles = BTreeMap::from([(own.trust_domain().clone(), TrustBundle::new(roots))]);
    for (name, ders) in federated_bundles {
        match TrustDomain::new(&name) {
            // Nobody else speaks for our own trust domain. One without roots is not trusted, as if it were
            // not there.
            Ok(domain) => drop(bundles.entry(domain).or_insert_with(|| bundle(&ders))),
            Err(e) => log::warn!("a bundle of {name:?}, which is no trust domain, is not used: {e}"),
        }
    }
    Ok(Some(Material { svid: svid(&ours)?, bundles }))
}

fn svid(message: &X509Svid) -> Result<Svid, Refusal> {
    if message.x509_svid_key.is_empty() {
        return Err(Refusal::Key("there is none".to_owned()));
    }
    let chain = certificates(&message.x509_svid).map_err(Refusal::Malformed)?;
    let key = PrivatePkcs8KeyDer::from(message.x509_svid_key.to_vec());
    Ok(Svid { chain, key: PrivateKeyDer::from(key).into() })
}

fn bundle(ders: &[u8]) -> TrustBundle {
    certificates(ders).map_or_else(TrustBundle::unusable, TrustBundle::new)
}

/// Certificates that stand one after the other, each in DER.
fn certificates(mut ders: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    while !ders.is_empty() {
        let (rest, _) = Any::from_der(ders)
            .map_err(|_| format!("what follows {} certificates is not another one", certificates.len()))?;
        let (certificate, _) = ders.split_at(ders.len() - rest.len());
        certificates.push(certificate.to_vec().into());
        ders = rest;
    }
    Ok(certificates)
}

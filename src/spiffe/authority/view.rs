//! What an authority publishes, as one immutable value.

use super::ca::IssuedSvid;
use crate::spiffe::{Material, Svid};
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a workload is entitled to.
#[derive(Clone, Debug)]
pub(super) enum Entitlement {
    Svid(Arc<IssuedSvid>),
    Denied,
}

/// Everything that an authority says at one time.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) version: u64,
    pub(super) trust_domain: TrustDomain,
    pub(super) identities: BTreeMap<SpiffeId, Entitlement>,
    /// Its own bundle, unless that is taken back, and those that it federates with.
    pub(super) bundles: BTreeMap<TrustDomain, Arc<[CertificateDer<'static>]>>,
}

impl View {
    /// The SVID of a workload that is entitled to one. Without a bundle of its own domain it is of no use to
    /// anybody.
    pub(super) fn svid(&self, id: &SpiffeId) -> Option<&IssuedSvid> {
        match self.identities.get(id) {
            Some(Entitlement::Svid(svid)) if self.own_bundle().is_some() => Some(svid),
            _ => None,
        }
    }

    pub(super) fn own_bundle(&self) -> Option<&[CertificateDer<'static>]> {
        self.bundles.get(&self.trust_domain).map(|roots| &**roots)
    }

    /// The bundles of the other domains.
    pub(super) fn federated(&self) -> impl Iterator<Item = (&TrustDomain, &[CertificateDer<'static>])> {
        let others = self.bundles.iter().filter(|(domain, _)| **domain != self.trust_domain);
        others.map(|(domain, roots)| (domain, &**roots))
    }

    /// Everything that a workload gets.
    pub(super) fn material(&self, id: &SpiffeId) -> Option<Material> {
        let IssuedSvid { chain, key, .. } = self.svid(id)?;
        let svid = Svid { chain: chain.clone(), key: key.clone() };
        let bundles = self.bundles.iter().map(|(domain, roots)| (domain.clone(), roots.to_vec().into()));
        Some(Material { svid, bundles: bundles.collect() })
    }
}

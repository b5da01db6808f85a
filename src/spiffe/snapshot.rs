//! One generation of an identity, immutable.

use super::bundles::Bundles;
use super::clock::{Clock, unix_time};
use super::leaf::is_over;
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Our own SVID after the acceptance rules.
#[derive(Clone, Debug)]
pub(super) struct OwnSvid {
    pub(super) id: SpiffeId,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) certified: Arc<CertifiedKey>,
}

/// One generation of an identity: our SVID with its batching signing key, and the roots of every trust domain
/// that we know.
///
/// It never changes. Each handshake uses the snapshot that it began with to its end.
pub struct Snapshot {
    generation: u64,
    svid: OwnSvid,
    bundles: Bundles,
    clock: Arc<dyn Clock>,
}

impl Snapshot {
    pub(super) fn new(generation: u64, svid: OwnSvid, bundles: Bundles, clock: Arc<dyn Clock>) -> Self {
        Self { generation, svid, bundles, clock }
    }

    /// Its number: the first one published is 1, and each later one is greater by one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Our SPIFFE ID.
    pub fn id(&self) -> &SpiffeId {
        &self.svid.id
    }

    /// The beginning of our SVID's validity.
    pub fn not_before(&self) -> SystemTime {
        self.svid.not_before
    }

    /// The last second of our SVID's validity.
    pub fn not_after(&self) -> SystemTime {
        self.svid.not_after
    }

    /// Our certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.svid.certified.cert
    }

    /// The trust domains whose workloads we can verify.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.bundles.iter().map(|(domain, _)| domain)
    }

    /// The roots of a trust domain, none if we have no bundle for it.
    pub fn roots(&self, domain: &TrustDomain) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.bundles.get(domain).into_iter().flat_map(|roots| roots.certificates())
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// The time by this identity's clock; `None` before 1970.
    pub(super) fn time(&self) -> Option<UnixTime> {
        unix_time(self.clock.now())
    }

    pub(super) fn svid(&self) -> &OwnSvid {
        &self.svid
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        is_over(self.svid.not_after, now)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, svid, bundles, clock: _ } = self;
        let domains: Vec<_> = bundles.iter().map(|(domain, _)| domain.as_str()).collect();
        f.debug_struct("Snapshot")
            .field("generation", generation)
            .field("id", &svid.id.to_string())
            .field("not_before", &svid.not_before)
            .field("not_after", &svid.not_after)
            .field("trust_domains", &domains)
            .finish()
    }
}

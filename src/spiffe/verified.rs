//! Chains that were verified before. The peers of a proxy come back, and what webpki says of a chain depends
//! on its bytes, the roots, the usage, the algorithms and the time alone: for the same chain, while its
//! certificates are valid, it need not be asked again.
//!
//! Never remembered is what a handshake proves afresh, that the peer has the leaf's key, nor what the
//! authorizer says.

use super::chain::Chain;
use super::fields::first_end;
use ::spiffe::SpiffeId;
use arc_swap::ArcSwapOption;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use std::fmt;
use std::sync::Arc;
use webpki::KeyUsage;

/// A chain may replace another one that shares its place among these.
const PLACES: usize = 1024;

/// Longer chains are not remembered: that makes about 8 MiB at most for each set of bundles that is in use.
const MAX_BYTES: usize = 8 * 1024;

/// The chains that one set of bundles was found to verify. Readers and writers take no lock.
pub(super) struct VerifiedChains {
    places: Box<[ArcSwapOption<VerifiedChain>]>,
}

struct VerifiedChain {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    usage: KeyUsage,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// From its verification to the end of the first certificate that ends.
    from: UnixTime,
    until: UnixTime,
    id: SpiffeId,
}

impl Default for VerifiedChains {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| ArcSwapOption::empty()).collect() }
    }
}

impl VerifiedChains {
    /// The SPIFFE ID of a chain that was verified like this, if that still holds.
    pub(super) fn find(&self, chain: Chain<'_>) -> Option<SpiffeId> {
        let known = self.place(chain.leaf, chain.usage).load();
        known.as_ref().filter(|known| known.holds_for(chain)).map(|known| known.id.clone())
    }

    /// How long a chain that was verified like this is known to verify.
    pub(super) fn until(&self, chain: Chain<'_>) -> Option<UnixTime> {
        let known = self.place(chain.leaf, chain.usage).load();
        known.as_ref().filter(|known| known.holds_for(chain)).map(|known| known.until)
    }

    /// The SPIFFE ID of a leaf that was verified for this usage.
    pub(super) fn id(&self, leaf: &CertificateDer<'_>, usage: KeyUsage) -> Option<SpiffeId> {
        let known = self.place(leaf, usage).load();
        known.as_ref().filter(|known| known.leaf == *leaf).map(|known| known.id.clone())
    }

    /// Remembers a chain that was just verified up to an authority and with revocation lists that are valid
    /// until then.
    pub(super) fn insert(&self, chain: Chain<'_>, authority_until: UnixTime, id: &SpiffeId) {
        let certificates = || std::iter::once(chain.leaf).chain(chain.intermediates);
        // The path may do without an intermediate that cannot be read or has ended. Such a chain is not
        // remembered.
        let Some(end) = first_end(certificates()) else { return };
        let until = end.min(authority_until);
        let bytes: usize = certificates().map(|certificate| certificate.len()).sum();
        if bytes > MAX_BYTES || until < chain.now {
            return;
        }
        let verified = VerifiedChain {
            leaf: chain.leaf.clone().into_owned(),
            intermediates: chain.intermediates.iter().map(|der| der.clone().into_owned()).collect(),
            usage: chain.usage,
            algorithms: chain.algorithms,
            from: chain.now,
            until,
            id: id.clone(),
        };
        self.place(chain.leaf, chain.usage).store(Some(Arc::new(verified)));
    }

    /// The place of a leaf in one of two usages: its last bytes are of a signature. Whoever contrives that
    /// two leaves share a place gains nothing but work for us that we would have had anyway.
    fn place(&self, leaf: &CertificateDer<'_>, usage: KeyUsage) -> &ArcSwapOption<VerifiedChain> {
        let end = leaf.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
        let hash =
            (end ^ u64::from(usage == KeyUsage::server_auth())).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        &self.places[hash as usize % PLACES]
    }
}

impl VerifiedChain {
    fn holds_for(&self, chain: Chain<'_>) -> bool {
        (self.from..=self.until).contains(&chain.now)
            && self.usage == chain.usage
            && std::ptr::eq(self.algorithms, chain.algorithms)
            && self.leaf == *chain.leaf
            && self.intermediates == chain.intermediates
    }
}

impl fmt::Debug for VerifiedChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedChains").finish_non_exhaustive()
    }
}

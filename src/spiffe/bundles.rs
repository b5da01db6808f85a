//! Trust bundles: the roots of each trust domain, and chains verified with them.

use super::fields::Fields;
use super::refusal::Refusal;
use super::verified::VerifiedChains;
use ::spiffe::TrustDomain;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

/// The most trust domains that are remembered as removed, only to say so in errors.
const REMEMBERED: usize = 1024;

/// The roots of one trust domain.
pub(super) struct Roots {
    /// Sorted, each one once.
    certificates: Vec<CertificateDer<'static>>,
    /// One of each, in the same order.
    anchors: Vec<TrustAnchor<'static>>,
    /// Theirs: a trust anchor has no validity, but an authority that is over must not issue (as in Go's crypto/x509).
    not_after: Vec<UnixTime>,
}

impl Roots {
    /// `None` if one of the certificates cannot be a root: it is malformed, or it is no CA (RFC 5280 §4.2.1.9).
    pub(super) fn new(mut certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        certificates.sort_by(|a, b| a.as_ref().cmp(b));
        certificates.dedup();
        let anchor = |root| anchor_from_trusted_cert(root).map(|anchor| anchor.to_owned()).ok();
        let anchors = certificates.iter().map(anchor).collect::<Option<_>>()?;
        let not_after = certificates.iter().map(|root| end_of_authority(root)).collect::<Option<_>>()?;
        Some(Self { certificates, anchors, not_after })
    }

    pub(super) fn certificates(&self) -> impl ExactSizeIterator<Item = &CertificateDer<'static>> {
        self.certificates.iter()
    }

    /// Whether every root of `other` is one of these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let ours = |root| self.certificates.binary_search_by(|own| own.as_ref().cmp(root)).is_ok();
        other.certificates.iter().all(|root| ours(root.as_ref()))
    }

    /// Verifies a chain, leaf first, up to one of these roots (RFC 5280 §6, as webpki does it). Returns the end of that
    /// root's validity.
    ///
    /// # Errors
    /// What webpki says; [`ChainError::Foreign`] if an intermediate belongs to another trust domain than `domain`.
    pub(super) fn verify(&self, chain: Chain<'_>, domain: &TrustDomain) -> Result<UnixTime, ChainError> {
        let leaf = EndEntityCert::try_from(chain.leaf)?;
        let path = leaf.verify_for_usage(
            chain.algorithms,
            &self.anchors,
            chain.intermediates,
            chain.now,
            chain.usage,
            None,
            Some(&|path| self.check_root(path, chain.now)),
        )?;
        for authority in path.intermediate_certificates() {
            if let Some(other) = authority.valid_uri_names().filter_map(of_domain).find(|of| of != domain) {
                return Err(ChainError::Foreign(other));
            }
        }
        Ok(self.end_of_root(&path)?)
    }

    /// Whether the root of a path is still valid. If not, webpki looks for another path.
    fn check_root(&self, path: &VerifiedPath<'_>, time: UnixTime) -> Result<(), webpki::Error> {
        match self.end_of_root(path)? {
            not_after if time > not_after => Err(webpki::Error::CertExpired { time, not_after }),
            _ => Ok(()),
        }
    }

    /// The notAfter of the root that a path leads to.
    fn end_of_root(&self, path: &VerifiedPath<'_>) -> Result<UnixTime, webpki::Error> {
        let is_root = |anchor: &TrustAnchor<'static>| std::ptr::eq(anchor, path.anchor());
        let index = self.anchors.iter().position(is_root).ok_or(webpki::Error::UnknownIssuer)?;
        Ok(self.not_after[index])
    }
}

/// The notAfter of a CA's certificate.
fn end_of_authority(certificate: &[u8]) -> Option<UnixTime> {
    Fields::read(certificate).ok().filter(|fields| fields.is_ca)?.not_after()
}

/// The trust domain of a URI, if it is a SPIFFE ID.
fn of_domain(uri: &str) -> Option<TrustDomain> {
    uri.starts_with("spiffe://").then(|| TrustDomain::new(uri).ok()).flatten()
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.anchors.len())
    }
}

/// What is verified, and how.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) leaf: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
    pub(super) usage: KeyUsage,
    pub(super) algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

/// Why a chain does not verify.
#[derive(Debug)]
pub(super) enum ChainError {
    WebPki(webpki::Error),
    Foreign(TrustDomain),
}

impl From<webpki::Error> for ChainError {
    fn from(e: webpki::Error) -> Self {
        Self::WebPki(e)
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebPki(e) => e.fmt(f),
            Self::Foreign(domain) => write!(f, "an intermediate belongs to {domain}"),
        }
    }
}

/// The roots of every trust domain that we know.
#[derive(Clone, Debug, Default)]
pub(super) struct Bundles {
    roots: BTreeMap<TrustDomain, Arc<Roots>>,
    removed: BTreeSet<TrustDomain>,
    verified: Arc<VerifiedChains>,
}

impl Bundles {
    /// An empty bundle counts as none.
    ///
    /// # Errors
    /// [`Refusal::BadRoot`].
    pub(super) fn new(
        material: BTreeMap<TrustDomain, Vec<CertificateDer<'static>>>,
    ) -> Result<Self, Refusal> {
        let mut roots = BTreeMap::new();
        for (domain, certificates) in material {
            if !certificates.is_empty() {
                let bundle = Roots::new(certificates).ok_or_else(|| Refusal::BadRoot(domain.clone()))?;
                roots.insert(domain, Arc::new(bundle));
            }
        }
        Ok(Self { roots, removed: BTreeSet::new(), verified: Arc::default() })
    }

    /// Takes over from the bundles of the generation before: what did not change is shared with it, and what is missing
    /// is remembered as removed. The verified chains are taken over as a whole or not at all.
    pub(super) fn succeed(&mut self, before: &Self) {
        if self.holds_the_same(before) {
            self.verified = before.verified.clone();
        }
        for (domain, roots) in &mut self.roots {
            if let Some(old) = before.roots.get(domain).filter(|old| old.certificates == roots.certificates) {
                *roots = old.clone();
            }
        }
        let gone =
            before.roots.keys().chain(&before.removed).filter(|domain| !self.roots.contains_key(domain));
        self.removed = gone.take(REMEMBERED).cloned().collect();
    }

    pub(super) fn get(&self, domain: &TrustDomain) -> Option<&Arc<Roots>> {
        self.roots.get(domain)
    }

    /// The chains that these bundles were found to verify.
    pub(super) fn verified(&self) -> &VerifiedChains {
        &self.verified
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TrustDomain, &Arc<Roots>)> {
        self.roots.iter()
    }

    /// Whether an earlier generation had a bundle for `domain`.
    pub(super) fn was_removed(&self, domain: &TrustDomain) -> bool {
        self.removed.contains(domain)
    }

    /// Whether both hold the same roots for the same trust domains.
    pub(super) fn holds_the_same(&self, other: &Self) -> bool {
        self.roots.len() == other.roots.len()
            && self.roots.iter().zip(&other.roots).all(|((domain, roots), (other_domain, other_roots))| {
                domain == other_domain && roots.certificates == other_roots.certificates
            })
    }
}

//! The trust bundles of every trust domain that we know.

use super::metric::{BundleStatus, Metrics};
use super::refusal::Refusal;
use super::roots::Roots;
use super::source::TrustBundle;
use super::verified::VerifiedChains;
use ::spiffe::TrustDomain;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

/// The most trust domains that are remembered as removed, only to say so in errors.
const REMEMBERED: usize = 1024;

/// The roots of every trust domain that we know.
#[derive(Clone, Debug, Default)]
pub(super) struct Bundles {
    roots: BTreeMap<TrustDomain, Arc<Roots>>,
    removed: BTreeSet<TrustDomain>,
    verified: Arc<VerifiedChains>,
    /// Other domains' bundles that cannot be used: the last good ones count.
    unusable: BTreeSet<TrustDomain>,
    /// What an operator should know of them.
    notices: Vec<String>,
}

impl Bundles {
    /// Each trust domain stands alone: what is wrong with another domain's bundle concerns that domain only.
    /// An empty bundle counts as none.
    ///
    /// # Errors
    /// What is wrong with the bundle of our own trust domain, `own`.
    pub(super) fn new(
        material: BTreeMap<TrustDomain, TrustBundle>,
        own: &TrustDomain,
    ) -> Result<Self, Refusal> {
        let mut bundles = Self::default();
        for (domain, bundle) in material.into_iter().filter(|(_, bundle)| !bundle.is_empty()) {
            let notices = bundle.notices.iter().map(|notice| format!("in the bundle of {domain}: {notice}"));
            bundles.notices.extend(notices);
            match Roots::new(&domain, bundle) {
                Ok(roots) => bundles.insert(domain, roots),
                Err(why) if domain == *own => return Err(why),
                Err(why) => {
                    bundles.notices.push(format!("{why}; the last good one counts, if there is one"));
                    bundles.unusable.insert(domain);
                }
            }
        }
        Ok(bundles)
    }

    fn insert(&mut self, domain: TrustDomain, roots: Roots) {
        let left_out = roots.unusable().iter().map(|why| format!("not used as a root of {domain}: {why}"));
        self.notices.extend(left_out);
        self.roots.insert(domain, Arc::new(roots));
    }

    /// Takes the last good bundles of the domains whose new ones cannot be used.
    pub(super) fn keep_last_good(&mut self, before: &Self) {
        for domain in &self.unusable {
            if let Some(old) = before.roots.get(domain) {
                self.roots.insert(domain.clone(), old.clone());
            }
        }
    }

    /// Takes over from the bundles of the generation before: what did not change is shared with it, and what
    /// is missing is remembered as removed. The verified chains are taken over as a whole or not at all.
    pub(super) fn succeed(&mut self, before: &Self) {
        self.keep_last_good(before);
        if self.holds_the_same(before) {
            self.verified = before.verified.clone();
        }
        for (domain, roots) in &mut self.roots {
            if let Some(old) = before.roots.get(domain).filter(|old| old.is_same(roots)) {
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

    /// Whether both hold the same for the same trust domains.
    pub(super) fn holds_the_same(&self, other: &Self) -> bool {
        self.roots.len() == other.roots.len()
            && self.roots.iter().zip(&other.roots).all(|((domain, roots), (other_domain, other_roots))| {
                domain == other_domain && (Arc::ptr_eq(roots, other_roots) || roots.is_same(other_roots))
            })
    }

    /// What an operator should know of them.
    pub(super) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Sets the gauges of each domain.
    pub(super) fn report(&self, metrics: &Metrics) {
        for (domain, roots) in &self.roots {
            metrics.bundle(domain, roots.status());
        }
        for domain in &self.unusable {
            let old = self.roots.get(domain).map(|roots| roots.status()).unwrap_or_default();
            metrics.bundle(domain, BundleStatus { is_unusable: true, ..old });
        }
    }

    /// The domains whose revocation lists have expired, and when the next does.
    pub(super) fn expired_crls(&self, now: SystemTime) -> (Vec<&TrustDomain>, Option<SystemTime>) {
        let ends = self.roots.iter().filter_map(|(domain, roots)| Some((domain, roots.crl_next_update()?)));
        let (over, to_come): (Vec<_>, Vec<_>) = ends.partition(|(_, end)| *end < now);
        let next = to_come.into_iter().map(|(_, end)| end).min();
        (over.into_iter().map(|(domain, _)| domain).collect(), next)
    }
}

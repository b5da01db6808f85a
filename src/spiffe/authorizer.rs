//! Whom we talk to.

use ::spiffe::{SpiffeId, TrustDomain};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Decides which verified peers are let in. There is no default: whoever makes an acceptor or a connector
/// says whom it is for.
///
/// ```
/// use rustls_multibuffer::spiffe::{Authorizer, SpiffeId, TrustDomain};
///
/// let domain = TrustDomain::new("example.org")?;
/// let billing = Authorizer::path_prefix(domain, "/ns/billing");
/// assert!(billing.permits(&SpiffeId::new("spiffe://example.org/ns/billing/sa/db")?));
/// assert!(!billing.permits(&SpiffeId::new("spiffe://example.org/ns/billing-test/sa/db")?));
/// # Ok::<(), rustls_multibuffer::spiffe::SpiffeIdError>(())
/// ```
#[derive(Clone)]
pub struct Authorizer(Rule);

type Predicate = Arc<dyn Fn(&SpiffeId) -> bool + Send + Sync>;

#[derive(Clone)]
enum Rule {
    AnyOf(Arc<BTreeSet<SpiffeId>>),
    TrustDomain(TrustDomain),
    PathPrefix(TrustDomain, String),
    Anybody,
    Custom(Predicate),
}

impl Authorizer {
    /// Exactly this peer.
    pub fn exactly(id: SpiffeId) -> Self {
        Self::any_of([id])
    }

    /// Exactly these peers. An empty set lets nobody in.
    pub fn any_of(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self(Rule::AnyOf(Arc::new(ids.into_iter().collect())))
    }

    /// Every workload of a trust domain.
    pub fn trust_domain(domain: TrustDomain) -> Self {
        Self(Rule::TrustDomain(domain))
    }

    /// The workloads of a trust domain whose path is `prefix` or continues it with further segments: `/ns/a`
    /// permits `/ns/a` and `/ns/a/sa/b`, not `/ns/ab`.
    pub fn path_prefix(domain: TrustDomain, prefix: &str) -> Self {
        Self(Rule::PathPrefix(domain, format!("/{}", prefix.trim_matches('/'))))
    }

    /// Every peer whose SVID verifies with the bundle of its trust domain, federated domains included.
    pub fn anybody_verified() -> Self {
        Self(Rule::Anybody)
    }

    /// Whoever `permits` says. It is called on a fiber, during the handshake: it must not block.
    pub fn custom(permits: impl Fn(&SpiffeId) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::Custom(Arc::new(permits)))
    }

    /// Whoever this one lets in, or the other one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::custom(move |peer| self.permits(peer) || other.permits(peer))
    }

    /// Whoever both this one and the other one let in.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::custom(move |peer| self.permits(peer) && other.permits(peer))
    }

    /// Whether a peer with this verified identity is let in.
    pub fn permits(&self, peer: &SpiffeId) -> bool {
        match &self.0 {
            Rule::AnyOf(ids) => ids.contains(peer),
            Rule::TrustDomain(domain) => peer.is_member_of(domain),
            Rule::PathPrefix(domain, prefix) => {
                let rest = peer.path().strip_prefix(prefix.as_str());
                // A prefix of "/" alone leaves a rest that starts in the middle of nothing.
                let at_boundary = |rest: &str| prefix == "/" || rest.is_empty() || rest.starts_with('/');
                peer.is_member_of(domain) && rest.is_some_and(at_boundary)
            }
            Rule::Anybody => true,
            Rule::Custom(permits) => permits(peer),
        }
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::AnyOf(ids) => f.debug_tuple("AnyOf").field(ids).finish(),
            Rule::TrustDomain(domain) => f.debug_tuple("TrustDomain").field(domain).finish(),
            Rule::PathPrefix(domain, prefix) => {
                f.debug_tuple("PathPrefix").field(domain).field(prefix).finish()
            }
            Rule::Anybody => f.write_str("AnybodyVerified"),
            Rule::Custom(_) => f.write_str("Custom"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> TrustDomain {
        TrustDomain::new("home.test").unwrap()
    }

    /// Which of some peers are let in, by their paths; the last is of another domain.
    fn let_in(authorizer: &Authorizer) -> Vec<&'static str> {
        let home =
            ["/ns/a", "/ns/a/sa/b", "/ns/ab", "/ns"].map(|path| (path, format!("spiffe://home.test{path}")));
        let away = ("away", "spiffe://away.test/ns/a".to_owned());
        let peers = home.into_iter().chain([away]);
        peers
            .filter(|(_, id)| authorizer.permits(&SpiffeId::new(id).unwrap()))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn ids_are_exact() {
        let a = SpiffeId::new("spiffe://home.test/ns/a").unwrap();
        let ns = SpiffeId::new("spiffe://home.test/ns").unwrap();
        assert_eq!(let_in(&Authorizer::exactly(a.clone())), ["/ns/a"]);
        assert_eq!(let_in(&Authorizer::any_of([a, ns])), ["/ns/a", "/ns"]);
        assert!(let_in(&Authorizer::any_of([])).is_empty());
    }

    #[test]
    fn prefixes_end_at_segments() {
        for prefix in ["/ns/a", "ns/a", "/ns/a/"] {
            assert_eq!(
                let_in(&Authorizer::path_prefix(domain(), prefix)),
                ["/ns/a", "/ns/a/sa/b"],
                "{prefix}"
            );
        }
        let all = ["/ns/a", "/ns/a/sa/b", "/ns/ab", "/ns"];
        for prefix in ["", "/"] {
            assert_eq!(let_in(&Authorizer::path_prefix(domain(), prefix)), all, "{prefix}");
        }
        assert_eq!(let_in(&Authorizer::trust_domain(domain())), all);
    }

    #[test]
    fn anybody_and_closures() {
        assert_eq!(let_in(&Authorizer::anybody_verified()).len(), 5);
        let short = Authorizer::custom(|id| id.path().len() < 6);
        assert_eq!(let_in(&short), ["/ns/a", "/ns", "away"]);
    }
}

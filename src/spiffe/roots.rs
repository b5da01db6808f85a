//! The roots and revocation lists of one trust domain, and chains verified with them.

use super::chain::{Chain, ChainError, words};
use super::clock::system_time;
use super::fields::Fields;
use super::metric::BundleStatus;
use super::refusal::Refusal;
use super::source::TrustBundle;
use crate::validation::UriMatcher;
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::{Duration, SystemTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::asn1_rs::FromDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;

/// How many lists are tried as the first of their name.
const MAX_LISTS: usize = 8;

/// The roots and revocation lists of one trust domain.
pub(super) struct Roots {
    /// Sorted, each one once.
    certificates: Vec<CertificateDer<'static>>,
    /// One of each, in the same order.
    anchors: Vec<TrustAnchor<'static>>,
    /// Theirs: a trust anchor has no validity, but an authority that is over must not issue (as in Go's
    /// crypto/x509).
    not_after: Vec<UnixTime>,
    revocation: Revocation,
    uri_matchers: Vec<UriMatcher>,
    /// Certificates that cannot be used as roots, and why.
    unusable: Vec<String>,
}

/// The revocation lists, and how they are used: as BoringSSL does in Envoy, who wants one of each authority
/// of the chain, and takes none that has expired.
#[derive(Default)]
struct Revocation {
    /// Sorted, each one once.
    ders: Vec<CertificateRevocationListDer<'static>>,
    /// The newest of each authority.
    lists: Vec<CertRevocationList<'static>>,
    only_leaf: bool,
    /// When the first of them expires.
    next_update: Option<UnixTime>,
}

impl Roots {
    /// What can be used of a bundle.
    ///
    /// # Errors
    /// None of its certificates can be a root (RFC 5280 §4.2.1.9), or one of its revocation lists cannot be
    /// used.
    pub(super) fn new(domain: &TrustDomain, bundle: TrustBundle) -> Result<Self, Refusal> {
        if let Some(why) = bundle.defect {
            return Err(Refusal::BadRoot(domain.clone(), why));
        }
        let mut all = bundle.roots;
        all.sort_by(|a, b| a.as_ref().cmp(b));
        all.dedup();
        let (mut certificates, mut anchors, mut not_after, mut unusable) = (vec![], vec![], vec![], vec![]);
        for root in all {
            match anchor(&root) {
                Ok((anchor, end)) => {
                    anchors.push(anchor);
                    not_after.push(end);
                    certificates.push(root);
                }
                Err(why) => unusable.push(format!("{}: {why}", subject(&root))),
            }
        }
        if anchors.is_empty() {
            return Err(Refusal::BadRoot(domain.clone(), unusable.join("; ")));
        }
        let revocation = Revocation::new(bundle.crls, bundle.only_verify_leaf_crl)
            .map_err(|why| Refusal::BadCrl(domain.clone(), why))?;
        let uri_matchers = bundle.uri_matchers;
        Ok(Self { certificates, anchors, not_after, revocation, uri_matchers, unusable })
    }

    pub(super) fn certificates(&self) -> impl ExactSizeIterator<Item = &CertificateDer<'static>> {
        self.certificates.iter()
    }

    /// The certificates that were left out, and why.
    pub(super) fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// When the first of the revocation lists expires.
    pub(super) fn crl_next_update(&self) -> Option<SystemTime> {
        self.revocation.next_update.map(system_time)
    }

    pub(super) fn status(&self) -> BundleStatus {
        let unusable_roots = u32::try_from(self.unusable.len()).unwrap_or(u32::MAX);
        BundleStatus { unusable_roots, is_unusable: false, crl_next_update: self.crl_next_update() }
    }

    /// Whether its rules admit a peer that it verifies.
    pub(super) fn admits(&self, peer: &SpiffeId) -> bool {
        self.uri_matchers.is_empty() || {
            let name = peer.to_string();
            self.uri_matchers.iter().any(|matcher| matcher.matches(&name))
        }
    }

    /// Whether both admit the same peers.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.certificates == other.certificates && self.has_rules_of(other)
    }

    fn has_rules_of(&self, other: &Self) -> bool {
        self.revocation.ders == other.revocation.ders
            && self.revocation.only_leaf == other.revocation.only_leaf
            && self.uri_matchers == other.uri_matchers
    }

    /// Whether whoever `other` verifies is verified by these, too, for all that can be told without trying.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let ours = |root| self.certificates.binary_search_by(|own| own.as_ref().cmp(root)).is_ok();
        self.has_rules_of(other) && other.certificates.iter().all(|root| ours(root.as_ref()))
    }

    /// Verifies a chain, leaf first, up to one of these roots (RFC 5280 §6, as webpki does it), and that the
    /// revocation lists do not hold it. Returns when that may have changed: the end of that root's validity,
    /// or of a revocation list's.
    ///
    /// # Errors
    /// What webpki says; [`ChainError::Foreign`] if an intermediate belongs to another trust domain than
    /// `domain`.
    pub(super) fn verify(&self, chain: Chain<'_>, domain: &TrustDomain) -> Result<UnixTime, ChainError> {
        let mut lists: Vec<_> = self.revocation.lists.iter().collect();
        let mut result = self.verify_with(chain, domain, self.revocation.options(&lists));
        // webpki takes the first list of a name, and authorities of one name have keys and lists of their
        // own. A list that another key has signed is not believed, whatever it says.
        for _ in 1..lists.len().min(MAX_LISTS) {
            if matches!(result, Ok(_) | Err(ChainError::WebPki(webpki::Error::CertRevoked))) {
                break;
            }
            lists.rotate_left(1);
            let next = self.verify_with(chain, domain, self.revocation.options(&lists));
            if matches!(next, Ok(_) | Err(ChainError::WebPki(webpki::Error::CertRevoked))) {
                result = next;
            }
        }
        let end = result?;
        Ok(self.revocation.next_update.map_or(end, |next| end.min(next)))
    }

    /// The same without revocation lists, for our own chain: a list that is not there, or has expired, must
    /// not end our own rotation.
    pub(super) fn verify_unrevoked(&self, chain: Chain<'_>, domain: &TrustDomain) -> Result<(), ChainError> {
        self.verify_with(chain, domain, None).map(drop)
    }

    fn verify_with(
        &self,
        chain: Chain<'_>,
        domain: &TrustDomain,
        revocation: Option<RevocationOptions<'_>>,
    ) -> Result<UnixTime, ChainError> {
        let leaf = EndEntityCert::try_from(chain.leaf)?;
        let path = leaf.verify_for_usage(
            chain.algorithms,
            &self.anchors,
            chain.intermediates,
            chain.now,
            chain.usage,
            revocation,
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

impl Revocation {
    fn new(mut ders: Vec<CertificateRevocationListDer<'static>>, only_leaf: bool) -> Result<Self, String> {
        ders.sort_by(|a, b| a.as_ref().cmp(b));
        ders.dedup();
        let mut it = Self { only_leaf, ..Self::default() };
        let mut newest: BTreeMap<Signer, Newest> = BTreeMap::new();
        for der in &ders {
            let (signer, list) = read_list(der)?;
            match newest.entry(signer) {
                Entry::Occupied(mut known) if known.get().age < list.age => drop(known.insert(list)),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => drop(place.insert(list)),
            }
        }
        it.next_update = newest.values().filter_map(|list| list.next_update).min();
        it.lists = newest.into_values().map(|newest| newest.list).collect();
        it.ders = ders;
        Ok(it)
    }

    /// `None` if there are no lists.
    fn options<'a>(&self, lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
        let depth = match self.only_leaf {
            true => RevocationCheckDepth::EndEntity,
            false => RevocationCheckDepth::Chain,
        };
        let options = RevocationOptionsBuilder::new(lists).ok()?.with_depth(depth);
        let strict = options.with_status_policy(UnknownStatusPolicy::Deny);
        Some(strict.with_expiration_policy(ExpirationPolicy::Enforce).build())
    }
}

/// An authority's name and the identifier of its key: of its lists the newest counts, as in BoringSSL.
type Signer = (Vec<u8>, Vec<u8>);

struct Newest {
    list: CertRevocationList<'static>,
    /// When it was issued, and its number.
    age: (i64, Vec<u8>),
    next_update: Option<UnixTime>,
}

fn read_list(der: &CertificateRevocationListDer<'_>) -> Result<(Signer, Newest), String> {
    let parsed = CertificateRevocationList::from_der(der);
    let (_, parsed) = parsed.map_err(|_| "it is no revocation list".to_owned())?;
    let list = OwnedCertRevocationList::from_der(der).map_err(|e| {
        let why = words(&e);
        format!("that of {} is not a complete list of version 2 with a number ({why})", parsed.issuer())
    })?;
    let next = parsed.next_update().and_then(|end| u64::try_from(end.timestamp()).ok());
    let key = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|key| key.0.to_vec()),
        _ => None,
    });
    let number = parsed.crl_number().map(|number| number.to_bytes_be()).unwrap_or_default();
    // As long as any, so that bytes compare as numbers do.
    let number = [vec![0; 20_usize.saturating_sub(number.len())], number].concat();
    let newest = Newest {
        list: list.into(),
        age: (parsed.last_update().timestamp(), number),
        next_update: next.map(|end| UnixTime::since_unix_epoch(Duration::from_secs(end))),
    };
    Ok(((parsed.issuer().as_raw().to_vec(), key.unwrap_or_default()), newest))
}

/// A root, and the end of its validity.
fn anchor(root: &CertificateDer<'static>) -> Result<(TrustAnchor<'static>, UnixTime), String> {
    let anchor = anchor_from_trusted_cert(root).map_err(|e| format!("malformed ({})", words(&e)))?;
    let fields = Fields::read(root).map_err(|e| format!("malformed ({e})"))?;
    if !fields.is_ca {
        return Err("it is no CA by its basic constraints".to_owned());
    }
    let end = fields.not_after().ok_or("it ends before 1970")?;
    Ok((anchor.to_owned(), end))
}

/// A name for a certificate that cannot be used.
fn subject(certificate: &[u8]) -> String {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => parsed.subject().to_string(),
        Err(_) => "a certificate without a readable name".to_owned(),
    }
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

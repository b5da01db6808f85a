//! Where identity material comes from: what a source delivers, and whom it delivers it to.

use super::label::labels;
use super::refusal::Refusal;
use crate::validation::{UriMatcher, trusted};
use ::spiffe::TrustDomain;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;
use zeroize::Zeroize;

/// One complete state of an identity, as a source delivers it. What is absent is taken back.
#[derive(Clone, Debug)]
pub struct Material {
    /// Who we are.
    pub svid: Svid,
    /// The trust bundles: of our own trust domain, and of each one that we federate with.
    pub bundles: BTreeMap<TrustDomain, TrustBundle>,
}

/// What the peers of one trust domain are verified with.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrustBundle {
    /// The root certificates. One that cannot be used is left out, with a warning, as long as another one
    /// can.
    pub roots: Vec<CertificateDer<'static>>,
    /// Certificate revocation lists. If there are any, each authority of a peer's chain needs one that has
    /// not expired.
    pub crls: Vec<CertificateRevocationListDer<'static>>,
    /// Whether only the peer's own certificate is looked up in the revocation lists, so that only its issuer
    /// needs one.
    pub only_verify_leaf_crl: bool,
    /// Which SPIFFE IDs are admitted, beside what an authorizer says; one that matches is enough. Empty: all.
    pub uri_matchers: Vec<UriMatcher>,
    /// What is not used of its file.
    pub(super) notices: Vec<String>,
    /// Why it cannot be used at all.
    pub(super) defect: Option<String>,
}

impl TrustBundle {
    /// These roots alone.
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self { roots, ..Self::default() }
    }

    /// From PEM: the blocks `CERTIFICATE` are roots, the blocks `X509 CRL` revocation lists. Other kinds are
    /// named in a warning when the bundle is used.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], if a block does not end or is not base64.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Refusal> {
        let found = trusted(pem).map_err(Refusal::Malformed)?;
        let notice =
            |label| format!("a block {label:?} is neither a certificate nor a revocation list: not used");
        let notices = found.others.iter().map(notice).collect();
        Ok(Self { roots: found.certificates, crls: found.crls, notices, ..Self::default() })
    }

    /// One that is there and cannot be used.
    pub(super) fn unusable(why: impl fmt::Display) -> Self {
        Self { defect: Some(why.to_string()), ..Self::default() }
    }

    /// The same, but a file that holds something else than certificates is no bundle.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no certificate in it.
    pub(super) fn from_pem_with_roots(pem: &[u8]) -> Result<Self, Refusal> {
        match Self::from_pem(pem)? {
            bundle if bundle.roots.is_empty() => {
                Err(Refusal::Malformed("there is no certificate in it".to_owned()))
            }
            bundle => Ok(bundle),
        }
    }

    /// Whether there is nothing in it, which takes back what was there before.
    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.defect.is_none()
    }
}

impl From<Vec<CertificateDer<'static>>> for TrustBundle {
    fn from(roots: Vec<CertificateDer<'static>>) -> Self {
        Self::new(roots)
    }
}

/// An X.509-SVID with its private key, as a source delivers it: nothing is checked yet.
#[derive(Clone)]
pub struct Svid {
    /// The certificates, leaf first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key; wiped when dropped.
    pub key: SvidKey,
}

/// A private key in an encoding of [`PrivateKeyDer`]: wiped when dropped, never printed.
pub struct SvidKey(PrivateKeyDer<'static>);

impl SvidKey {
    /// The encoded key, for the computation that needs it.
    pub fn expose(&self) -> &PrivateKeyDer<'static> {
        &self.0
    }
}

impl From<PrivateKeyDer<'static>> for SvidKey {
    fn from(key: PrivateKeyDer<'static>) -> Self {
        Self(key)
    }
}

impl Clone for SvidKey {
    fn clone(&self) -> Self {
        Self(self.0.clone_key())
    }
}

impl Drop for SvidKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SvidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SvidKey")
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// What became of an offer that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// New handshakes use it, as this generation.
    Published(u64),
    /// It is not valid yet: it will be published when it is, unless a later offer replaces it.
    HeldBack {
        /// The leaf's notBefore.
        until: SystemTime,
    },
    /// It is what this generation already holds.
    Unchanged(u64),
}

/// Why an identity was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Withdrawal {
    /// The source says that we are not, or no longer, entitled to an identity (Workload API:
    /// PermissionDenied).
    Denied(String),
    /// The source's complete state holds no identity of ours any more.
    Removed,
}

labels! {
    Withdrawal,
    Withdrawal::Denied(_) => "denied",
    Withdrawal::Removed => "removed",
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "the source denies us an identity: {why}"),
            Self::Removed => f.write_str("the source holds no identity for us any more"),
        }
    }
}

/// What receives a source's updates. There is one, the store: the trait is there so that sources stand below
/// it, and know nothing of generations.
///
/// All calls may be made from any thread; none of them blocks on anything but the checks of the material,
/// which verify a handful of signatures.
pub(super) trait Sink: Send + Sync {
    fn connected(&self);
    fn examine(&self, material: Material) -> Result<(), Refusal>;
    fn offer(&self, material: Material) -> Result<Offered, Refusal>;
    fn refuse(&self, why: Refusal);
    fn withdraw(&self, why: Withdrawal);
}

/// What a source tells its updates to; the supervisor gives it to [`Source::run`].
pub struct Updates {
    sink: Arc<dyn Sink>,
}

impl Updates {
    pub(super) fn new(sink: Arc<dyn Sink>) -> Self {
        Self { sink }
    }

    /// Tells that the source is reachable, even if it has delivered nothing yet. An offer tells the same.
    pub fn connected(&self) {
        self.sink.connected();
    }

    /// What an offer would be told, without any consequence.
    pub(super) fn examine(&self, material: Material) -> Result<(), Refusal> {
        self.sink.examine(material)
    }

    /// Publishes the material if all acceptance rules are kept.
    ///
    /// # Errors
    /// Why it was refused as a whole: the last good identity stays, and the refusal is counted.
    pub fn offer(&self, material: Material) -> Result<Offered, Refusal> {
        self.sink.offer(material)
    }

    /// Counts an update that could not even be read as [`Material`]. The last good identity stays.
    pub fn refuse(&self, why: Refusal) {
        self.sink.refuse(why);
    }

    /// Takes the identity back: at once there are no new handshakes, until another offer is published. To say
    /// so again for the same reason changes nothing.
    pub fn withdraw(&self, why: Withdrawal) {
        self.sink.withdraw(why);
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Updates")
    }
}

/// Something that delivers identity material: a Workload API, files, Envoy's SDS, memory.
pub trait Source: Send + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Delivers updates until the source is lost.
    ///
    /// The supervisor calls it again after a jittered backoff, unless the error is final. The last good
    /// identity outlives both. The future is dropped when the identity is.
    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>>;
}

/// Why a source stopped delivering.
#[derive(Debug)]
pub enum SourceError {
    /// The source may come back: it is tried again.
    Lost(Box<dyn Error + Send + Sync>),
    /// The source refuses the request itself, and will most likely do so again (Workload API:
    /// InvalidArgument). It is asked rarely from now on.
    Rejected(Box<dyn Error + Send + Sync>),
    /// Trying again is useless: there is nothing to ask any more.
    Final(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(why) => write!(f, "lost: {why}"),
            Self::Rejected(why) => write!(f, "rejecting our request: {why}"),
            Self::Final(why) => write!(f, "ended: {why}"),
        }
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lost(why) | Self::Rejected(why) | Self::Final(why) => Some(&**why),
        }
    }
}

//! Identities in files: cert-manager's csi-driver-spiffe, spiffe-helper, Istio's `/etc/certs`.
//!
//! Writers differ: Kubernetes swaps a symbolic link to a whole directory, others rename file after file, and
//! some write in place. So nothing is believed until it has been quiet for a moment and fits together; what
//! does not is read again until it does, or until the writer can be expected to have finished.

mod read;
mod watch;

use super::refusal::Refusal;
use super::source::{Material, Source, SourceError, Updates};
use ::spiffe::TrustDomain;
use read::Contents;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use watch::Watch;

/// How long nothing must have happened before the files are read.
const QUIET: Duration = Duration::from_millis(50);

/// How often files that do not fit together are read again.
const RETRY: Duration = Duration::from_millis(50);

/// A source that reads PEM files, and follows their changes.
///
/// ```no_run
/// use rustls_multibuffer::spiffe::{FileSource, Identity, TrustDomain};
///
/// # fn example() -> Result<(), rustls_multibuffer::spiffe::SpiffeIdError> {
/// let files = FileSource::new("/certs/tls.crt", "/certs/tls.key", "/certs/ca.crt")
///     .federated(TrustDomain::new("partner.example")?, "/certs/partner.crt");
/// let identity = Identity::start(files);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    files: Paths,
    patience: Duration,
    poll: Duration,
    /// Keyed, so that it says nothing about the key among the files.
    fingerprints: RandomState,
    last: Option<Last>,
}

/// What was delivered last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    /// None if the files could not be read.
    fingerprint: Option<u64>,
    /// Why it was refused.
    refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
struct Paths {
    chain: PathBuf,
    key: PathBuf,
    /// Of our own trust domain; `None` if it is among the others.
    bundle: Option<PathBuf>,
    /// Of every trust domain.
    crl: Option<PathBuf>,
    federated: Vec<(TrustDomain, PathBuf)>,
    only_verify_leaf_crl: bool,
}

impl Paths {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let own = [&self.chain, &self.key].into_iter().chain(&self.bundle).chain(&self.crl);
        own.chain(self.federated.iter().map(|(_, path)| path))
    }
}

impl FileSource {
    /// The certificates of our SVID, leaf first; its private key, in PKCS#8, PKCS#1 or SEC 1; and the bundle
    /// of our own trust domain, which is the one that the leaf says: roots, and revocation lists if there are
    /// any. Nothing need exist yet.
    pub fn new(chain: impl Into<PathBuf>, key: impl Into<PathBuf>, bundle: impl Into<PathBuf>) -> Self {
        let mut source = Self::federation(chain, key);
        source.files.bundle = Some(bundle.into());
        source
    }

    /// The same without the bundle of our own trust domain: it is to be among the
    /// [`federated`](Self::federated).
    pub fn federation(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (chain.into(), key.into());
        let files =
            Paths { chain, key, bundle: None, crl: None, federated: Vec::new(), only_verify_leaf_crl: false };
        let (patience, poll) = (Duration::from_secs(2), Duration::from_secs(5));
        Self { files, patience, poll, fingerprints: RandomState::new(), last: None }
    }

    /// A file with more revocation lists, for all trust domains.
    #[must_use]
    pub fn crl(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.crl = Some(path.into());
        self
    }

    /// Looks only peers' own certificates up in the revocation lists; default: each certificate of their
    /// chains.
    #[must_use]
    pub fn only_verify_leaf_crl(mut self, only: bool) -> Self {
        self.files.only_verify_leaf_crl = only;
        self
    }

    /// Also the roots of a trust domain that we federate with. An empty file takes them back, and so does one
    /// that is missing for longer than [`FileSource::patience`].
    #[must_use]
    pub fn federated(mut self, domain: TrustDomain, bundle: impl Into<PathBuf>) -> Self {
        self.files.federated.push((domain, bundle.into()));
        self
    }

    /// How long files that do not fit together are taken for half-written, before they are refused; default:
    /// 2 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How often the files are looked at without any notice of a change: file systems of networks give none,
    /// and a system may have none left to give; default: 5 s.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// Delivers for ever: what cannot be read may be there the next time.
    async fn watch(&mut self, updates: &Updates) -> SourceError {
        let mut watch = Watch::default();
        loop {
            // Before reading, so that nothing is missed.
            let files = self.files.clone();
            let observed = tokio::task::spawn_blocking(move || {
                watch.observe(files.all());
                watch
            });
            watch = match observed.await {
                Ok(watch) => watch,
                Err(e) => return SourceError::Lost(e.into()),
            };
            self.deliver(updates).await;
            let _either = timeout(self.poll, watch.changed()).await;
            settle(&watch, self.patience).await;
        }
    }

    /// Offers what the files hold, if that is new, as soon as it fits together.
    ///
    /// What was refused is judged again each time, because the clock may have been to blame; only another
    /// judgement is news.
    async fn deliver(&mut self, updates: &Updates) {
        let give_up = Instant::now() + self.patience;
        loop {
            let files = self.files.clone();
            let read = tokio::task::spawn_blocking(move || Contents::read(&files)).await;
            let contents = match read.unwrap_or_else(|e| Err(Refusal::Malformed(e.to_string()))) {
                Ok(contents) => {
                    updates.connected();
                    contents
                }
                Err(why) if Instant::now() >= give_up => return self.refuse(None, why, updates),
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            let fingerprint = contents.fingerprint(&self.fingerprints);
            let known = self.last.as_ref().filter(|last| last.fingerprint == Some(fingerprint));
            if known.is_some_and(|last| last.refusal.is_none()) {
                return;
            }
            let material = contents.parse();
            let judgement = material.clone().and_then(|material| updates.examine(material));
            if known.is_some_and(|last| last.refusal.as_ref() == judgement.as_ref().err()) {
                return;
            }
            let fits = judgement.is_ok() && material.as_ref().is_ok_and(has_roots);
            if fits || Instant::now() >= give_up {
                contents.warn_of_missing();
                match material {
                    Ok(material) => self.offer(fingerprint, material, updates),
                    Err(why) => self.refuse(Some(fingerprint), why, updates),
                }
                return;
            }
            sleep(RETRY).await;
        }
    }

    fn offer(&mut self, fingerprint: u64, material: Material, updates: &Updates) {
        let refusal = updates.offer(material).err();
        self.last = Some(Last { fingerprint: Some(fingerprint), refusal });
    }

    /// Counts a refusal, unless it is the last one again.
    fn refuse(&mut self, fingerprint: Option<u64>, why: Refusal, updates: &Updates) {
        let now = Last { fingerprint, refusal: Some(why.clone()) };
        if self.last.replace(now.clone()) != Some(now) {
            updates.refuse(why);
        }
    }
}

/// A bundle without a root may be meant, or be a file that was just opened for writing.
fn has_roots(material: &Material) -> bool {
    !material.bundles.values().any(|bundle| bundle.roots.is_empty())
}

/// Waits until it has been quiet, but not longer than `at_most`.
async fn settle(watch: &Watch, at_most: Duration) {
    let busy = async { while timeout(QUIET, watch.changed()).await.is_ok() {} };
    let _either = timeout(at_most, busy).await;
}

impl Source for FileSource {
    fn name(&self) -> &'static str {
        "files"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(self.watch(updates))
    }
}

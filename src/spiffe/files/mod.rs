//! Identities in files: cert-manager's csi-driver-spiffe, spiffe-helper, Istio's `/etc/certs`.
//!
//! Writers differ: Kubernetes swaps a symbolic link to a whole directory, others rename file after file, and some write in
//! place. So nothing is believed until it has been quiet for a moment and fits together; what does not is read again
//! until it does, or until the writer can be expected to have finished.

mod read;
mod watch;

use super::accept::examine;
use super::refusal::Refusal;
use super::source::{Material, Source, SourceError, Updates};
use ::spiffe::TrustDomain;
use read::Contents;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
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
    /// Of what was offered last.
    offered: Option<u64>,
}

#[derive(Clone, Debug)]
struct Paths {
    chain: PathBuf,
    key: PathBuf,
    /// Of our own trust domain.
    bundle: PathBuf,
    federated: Vec<(TrustDomain, PathBuf)>,
}

impl Paths {
    fn all(&self) -> Vec<PathBuf> {
        let own = [&self.chain, &self.key, &self.bundle];
        own.into_iter().chain(self.federated.iter().map(|(_, path)| path)).cloned().collect()
    }
}

impl FileSource {
    /// The certificates of our SVID, leaf first; its private key, in PKCS#8, PKCS#1 or SEC 1; and the roots of our own
    /// trust domain, which is the one that the leaf says. The files need not exist yet, but their directories.
    pub fn new(chain: impl Into<PathBuf>, key: impl Into<PathBuf>, bundle: impl Into<PathBuf>) -> Self {
        let files =
            Paths { chain: chain.into(), key: key.into(), bundle: bundle.into(), federated: Vec::new() };
        let (patience, poll) = (Duration::from_secs(2), Duration::from_secs(60));
        Self { files, patience, poll, fingerprints: RandomState::new(), offered: None }
    }

    /// Also the roots of a trust domain that we federate with.
    #[must_use]
    pub fn federated(mut self, domain: TrustDomain, bundle: impl Into<PathBuf>) -> Self {
        self.files.federated.push((domain, bundle.into()));
        self
    }

    /// How long files that do not fit together are taken for half-written, before they are refused; default: 2 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How often the files are looked at without any notice of a change, for file systems that give none; default: 60 s.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// Delivers until the directories cannot be watched.
    async fn follow(&mut self, updates: &Updates) -> SourceError {
        loop {
            // Links may lead elsewhere than last time, so the watch is made anew; and before reading, so that nothing is missed.
            let files = self.files.all();
            let watch = match tokio::task::spawn_blocking(move || Watch::on(&files)).await {
                Ok(Ok(watch)) => watch,
                Ok(Err(e)) => return SourceError::Lost(e.into()),
                Err(e) => return SourceError::Lost(e.into()),
            };
            updates.connected();
            self.deliver(updates).await;
            let _either = timeout(self.poll, watch.changed()).await;
            settle(&watch, self.patience).await;
        }
    }

    /// Offers what the files hold, if that is new, as soon as it fits together.
    async fn deliver(&mut self, updates: &Updates) {
        let give_up = Instant::now() + self.patience;
        loop {
            let files = self.files.clone();
            let read = tokio::task::spawn_blocking(move || Contents::read(&files)).await;
            let contents = match read.unwrap_or_else(|e| Err(Refusal::Malformed(e.to_string()))) {
                Ok(contents) => contents,
                Err(why) if Instant::now() >= give_up => return updates.refuse(why),
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            let fingerprint = contents.fingerprint(&self.fingerprints);
            if self.offered == Some(fingerprint) {
                return;
            }
            let material = contents.parse();
            if material.clone().is_ok_and(fits_together) || Instant::now() >= give_up {
                self.offered = Some(fingerprint);
                match material {
                    Ok(material) => drop(updates.offer(material)),
                    Err(why) => updates.refuse(why),
                }
                return;
            }
            sleep(RETRY).await;
        }
    }
}

/// Whether nothing looks half-written. A bundle without a root may be meant, or be a file that was just opened for writing.
fn fits_together(material: Material) -> bool {
    let is_empty = |roots: &Vec<_>| roots.is_empty();
    !material.bundles.values().any(is_empty) && examine(material, None, SystemTime::now()).is_ok()
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
        Box::pin(self.follow(updates))
    }
}

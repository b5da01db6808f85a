//! An authority, a socket of either kind, and an identity that follows it.

use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig, SdsAnswer, Serving, ServingSds};
use rustls_multibuffer::spiffe::{
    Identity, IdentityBuilder, SdsSource, Snapshot, SpiffeId, TrustDomain, WorkloadApiSource,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How identities are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WorkloadApi,
    Sds,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::WorkloadApi, Self::Sds];
}

/// A folder that goes away with its owner. Not below `target`: addresses of sockets are short.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("multibuffer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn domain(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

pub(crate) fn id(name: &str) -> SpiffeId {
    SpiffeId::new(format!("spiffe://example.org/{name}")).unwrap()
}

/// An authority for `example.org` that has issued to these.
pub(crate) fn authority(names: &[&str]) -> Authority {
    let authority = Authority::start(AuthorityConfig::new(domain("example.org"))).unwrap();
    names.iter().for_each(|name| authority.allow(&id(name)).unwrap());
    authority
}

pub(crate) enum Server {
    WorkloadApi(Serving),
    Sds(ServingSds),
}

impl Server {
    pub(crate) fn start(kind: Kind, authority: &Authority, path: &Path, ids: &[SpiffeId]) -> Self {
        match kind {
            Kind::WorkloadApi => Self::WorkloadApi(authority.serve_workload_api(path, ids.to_vec()).unwrap()),
            Kind::Sds => Self::Sds(authority.serve_sds(path, ids.to_vec()).unwrap()),
        }
    }

    pub(crate) async fn stop(self) {
        match self {
            Self::WorkloadApi(serving) => serving.stop().await,
            Self::Sds(serving) => serving.stop().await,
        }
    }

    /// What SDS clients have refused.
    pub(crate) fn refusals(&self) -> Vec<String> {
        match self {
            Self::WorkloadApi(_) => Vec::new(),
            Self::Sds(serving) => {
                serving.answers().into_iter().filter_map(|answer: SdsAnswer| answer.refusal).collect()
            }
        }
    }
}

pub(crate) fn address(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// How long anything may take that is not about time, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long a source waits for an answer: a busy server is to be in time.
pub(crate) const IMPATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn builder() -> IdentityBuilder {
    Identity::builder().backoff(Duration::from_millis(10), Duration::from_millis(50))
}

/// An identity that follows a socket.
pub(crate) fn follow(kind: Kind, path: &Path) -> Identity {
    let address = address(path);
    match kind {
        Kind::WorkloadApi => builder().start(WorkloadApiSource::new(&address).unwrap().patience(IMPATIENCE)),
        Kind::Sds => builder().start(SdsSource::new(&address).unwrap().patience(IMPATIENCE)),
    }
}

/// Everything that most tests need: one authority, one socket, one identity that is ready.
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) authority: Authority,
    pub(crate) server: Server,
    pub(crate) identity: Identity,
    pub(crate) path: PathBuf,
    pub(crate) folder: Folder,
}

impl World {
    pub(crate) async fn new(kind: Kind) -> Self {
        let (folder, authority) = (Folder::new(), authority(&["web"]));
        let path = folder.join("socket");
        let server = Server::start(kind, &authority, &path, &[id("web")]);
        let identity = follow(kind, &path);
        identity.ready().await;
        Self { kind, authority, server, identity, path, folder }
    }

    /// What new handshakes are to use now.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.identity.current().unwrap()
    }

    /// Waits until the identity is what the authority issued last.
    pub(crate) async fn catch_up(&self) {
        let expected = self.authority.material(&id("web")).unwrap();
        eventually("the identity catches up", || {
            self.identity.current().is_ok_and(|current| {
                current.chain() == expected.svid.chain && trusts(&current, &self.authority)
            })
        })
        .await;
    }
}

/// Whether exactly the roots that this authority publishes are trusted for its domain.
pub(crate) fn trusts(snapshot: &Snapshot, authority: &Authority) -> bool {
    let (domain, bundle) = (authority.trust_domain(), authority.bundle());
    snapshot.roots(&domain).count() == bundle.len()
        && snapshot.roots(&domain).all(|root| bundle.contains(root))
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

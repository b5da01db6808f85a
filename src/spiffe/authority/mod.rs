//! An authority in this very process: it issues, rotates, expires and takes back X.509-SVIDs, and serves them
//! as a SPIRE agent does, through the SPIFFE Workload API and through Envoy's SDS.
//!
//! It is made for tests, demonstrations and development. **It is not a replacement for SPIRE**: its keys live
//! in memory and die with the process, and it attests nobody. Who may open a socket (mode 0600) gets the
//! identities that are served there.
//!
//! Its timing is SPIRE's in miniature: an SVID is rotated at half of its life ± 10 %; certificates are
//! back-dated by 10 seconds; the next CA stands in the bundle before it issues, and the old one stays there
//! until the last SVID that it issued has expired.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig};
//! use rustls_multibuffer::spiffe::{SpiffeId, TrustDomain};
//!
//! let authority = Authority::start(AuthorityConfig::new(TrustDomain::new("example.org")?))?;
//! let web = SpiffeId::new("spiffe://example.org/ns/demo/sa/web")?;
//! authority.allow(&web)?;
//! let first = authority.material(&web).expect("it is entitled");
//! authority.rotate_svid(&web)?;
//! assert_ne!(authority.material(&web).unwrap().svid.chain, first.svid.chain);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod ca;
mod config;
mod core;
mod defect;
mod error;
mod key;
#[cfg(unix)]
mod lenient;
#[cfg(unix)]
mod sds;
#[cfg(unix)]
mod secrets;
#[cfg(unix)]
mod server;
#[cfg(test)]
mod tests;
mod view;
#[cfg(unix)]
mod workload_api;

pub use self::config::AuthorityConfig;
pub use self::defect::Defect;
pub use self::error::AuthorityError;
pub use self::key::KeyKind;
#[cfg(unix)]
pub use self::sds::{SdsAnswer, ServingSds};
#[cfg(unix)]
pub use self::server::Serving;

use self::core::Core;
use self::view::View;
use super::{Material, SvidKey};
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::CertificateDer;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

struct Shared {
    core: Mutex<Core>,
    views: watch::Sender<Arc<View>>,
    /// Tells the rotation that its next time may have changed.
    replanned: Arc<Notify>,
    rotation: OnceLock<AbortHandle>,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        // Every change is whole even if a later one panicked.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and publishes it.
    fn change<T>(&self, change: impl FnOnce(&mut Core, SystemTime) -> T) -> T {
        let mut core = self.core();
        let result = change(&mut core, SystemTime::now());
        // Published under the lock, so that views never go back.
        self.views.send_replace(Arc::new(core.view()));
        self.replanned.notify_one();
        result
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(rotation) = self.rotation.get() {
            rotation.abort();
        }
    }
}

/// A running authority. Clones are the same one; it ends with the last of them and of its servers.
#[derive(Clone)]
pub struct Authority {
    shared: Arc<Shared>,
}

impl Authority {
    /// Makes the first CA, and starts to rotate what will be issued. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`AuthorityError::Issuing`] when no CA can be made.
    pub fn start(config: AuthorityConfig) -> Result<Self, AuthorityError> {
        let mut core = Core::new(config, fastrand::Rng::new(), SystemTime::now())?;
        let (views, _) = watch::channel(Arc::new(core.view()));
        let replanned = Arc::new(Notify::new());
        let shared = Arc::new(Shared { core: Mutex::new(core), views, replanned, rotation: OnceLock::new() });
        let rotation = tokio::spawn(rotate(Arc::downgrade(&shared), shared.replanned.clone()));
        shared.rotation.get_or_init(|| rotation.abort_handle());
        Ok(Self { shared })
    }

    /// Entitles a workload to an identity of the authority's trust domain, and issues its first SVID. Takes
    /// back what [`Authority::deny`] did.
    ///
    /// # Errors
    /// [`AuthorityError::ForeignIdentity`] for an identity of another domain.
    pub fn allow(&self, id: &SpiffeId) -> Result<(), AuthorityError> {
        self.shared.change(|core, now| core.allow(id, now))
    }

    /// Takes an identity back: workloads that ask for it are told PermissionDenied.
    ///
    /// # Errors
    /// [`AuthorityError::UnknownIdentity`] when there is no such identity.
    pub fn deny(&self, id: &SpiffeId) -> Result<(), AuthorityError> {
        self.shared.change(|core, _| core.deny(id))
    }

    /// Issues a new SVID before it is time.
    ///
    /// # Errors
    /// [`AuthorityError::UnknownIdentity`] when there is no such identity.
    pub fn rotate_svid(&self, id: &SpiffeId) -> Result<(), AuthorityError> {
        self.shared.change(|core, now| core.rotate_svid(id, now))
    }

    /// Announces the next CA in the bundle. It will issue when the time of [`AuthorityConfig::announcement`]
    /// is over, and everybody gets a new SVID then.
    ///
    /// # Errors
    /// [`AuthorityError::Issuing`] when it cannot be made.
    pub fn rotate_ca(&self) -> Result<(), AuthorityError> {
        self.shared.change(|core, now| core.announce_ca(now))
    }

    /// Lets the announced CA issue at once, without waiting for the time of announcement. Does nothing if
    /// none is announced.
    ///
    /// # Errors
    /// [`AuthorityError::Issuing`] when an SVID cannot be made.
    pub fn use_announced_ca(&self) -> Result<(), AuthorityError> {
        self.shared.change(|core, now| core.use_announced_ca(now))
    }

    /// Takes the CAs that issue no more out of the bundle at once, without waiting until the last of their
    /// SVIDs has expired.
    pub fn drop_old_cas(&self) {
        self.shared.change(|core, _| core.drop_old_cas());
    }

    /// Publishes another trust domain's bundle. It is as it is now; [`Authority::federate_with`] follows
    /// another authority.
    ///
    /// # Errors
    /// [`AuthorityError::OwnBundle`] for the authority's own domain.
    pub fn federate(
        &self,
        domain: TrustDomain,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<(), AuthorityError> {
        self.shared.change(|core, _| core.federate(domain, roots.into()))
    }

    /// Publishes another authority's bundle, and follows its changes as long as both live. A bundle that the
    /// other takes back is taken back here.
    pub fn federate_with(&self, other: &Self) {
        let (shared, mut views) = (Arc::downgrade(&self.shared), other.shared.views.subscribe());
        let follow = move |view: &View, shared: &Weak<Shared>| {
            let Some(shared) = shared.upgrade() else { return false };
            let result = shared.change(|core, _| match view.bundles.get(&view.trust_domain) {
                Some(roots) => core.federate(view.trust_domain.clone(), roots.clone()),
                None => {
                    core.remove_bundle(&view.trust_domain);
                    Ok(())
                }
            });
            result.is_ok()
        };
        let first = views.borrow_and_update().clone();
        if follow(&first, &shared) {
            tokio::spawn(async move {
                while views.changed().await.is_ok() {
                    let view = views.borrow_and_update().clone();
                    if !follow(&view, &shared) {
                        return;
                    }
                }
            });
        }
    }

    /// Takes a bundle back. Without the bundle of its own domain nobody can use an identity, so that all are
    /// told PermissionDenied.
    pub fn remove_bundle(&self, domain: &TrustDomain) {
        self.shared.change(|core, _| core.remove_bundle(domain));
    }

    /// Publishes the bundle of its own domain again.
    pub fn restore_bundle(&self) {
        self.shared.change(|core, _| core.restore_bundle());
    }

    /// Hands out an SVID with a defect, or again one without, to see how workloads take it.
    ///
    /// # Errors
    /// [`AuthorityError::UnknownIdentity`] when there is no such identity.
    pub fn set_defect(&self, id: &SpiffeId, defect: Option<Defect>) -> Result<(), AuthorityError> {
        self.shared.change(|core, _| core.set_defect(id, defect))
    }

    /// What a workload with this identity gets; nothing if it is not entitled to it.
    pub fn material(&self, id: &SpiffeId) -> Option<Material> {
        self.shared.views.borrow().material(id)
    }

    /// The trust domain that it issues for.
    pub fn trust_domain(&self) -> TrustDomain {
        self.shared.core().trust_domain().clone()
    }

    /// The roots of its own trust domain, oldest first; none if they were taken back.
    pub fn bundle(&self) -> Vec<CertificateDer<'static>> {
        self.shared.views.borrow().own_bundle().unwrap_or_default().to_vec()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("trust_domain", &self.trust_domain()).finish_non_exhaustive()
    }
}

/// Does what is due when it is, as long as the authority lives.
async fn rotate(shared: Weak<Shared>, replanned: Arc<Notify>) {
    loop {
        let Some(next) = shared.upgrade().map(|shared| shared.core().next_tick()) else { return };
        let pause = next.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = replanned.notified() => continue,
        }
        let Some(shared) = shared.upgrade() else { return };
        let result = shared.change(|core, now| core.tick(now));
        // The rotation will be due again at once: what cannot be issued must not keep a core busy.
        if let Err(why) = result {
            log::error!("the embedded authority cannot rotate: {why}");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

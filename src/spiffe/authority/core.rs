//! The authority without clock, tasks and sockets: time comes in as an argument, what is published comes out
//! as a [`View`].

use super::ca::{CertificateAuthority, IssuedSvid, Validity};
use super::view::{Entitlement, View};
use super::{AuthorityConfig, AuthorityError, Defect};
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far from half of its life an SVID may be rotated, as part of that half.
const JITTER: f64 = 0.1;

/// The next CA, which is in the bundle already.
struct Announced {
    authority: CertificateAuthority,
    use_at: SystemTime,
}

struct Identity {
    svid: Arc<IssuedSvid>,
    rotate_at: SystemTime,
    is_denied: bool,
    defect: Option<Defect>,
}

pub(super) struct Core {
    config: AuthorityConfig,
    rng: fastrand::Rng,
    /// How many CAs there have been.
    made: u64,
    issuing: CertificateAuthority,
    announced: Option<Announced>,
    /// CAs that issue no more, but whose SVIDs may still be in use.
    retired: Vec<CertificateAuthority>,
    identities: BTreeMap<SpiffeId, Identity>,
    /// Whether our own bundle is taken back.
    is_bundle_removed: bool,
    federated: BTreeMap<TrustDomain, Arc<[CertificateDer<'static>]>>,
    version: u64,
}

impl Core {
    pub(super) fn new(
        config: AuthorityConfig,
        rng: fastrand::Rng,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let announcement = config.announcement.min(config.ca_lifetime / 2);
        let config = AuthorityConfig { announcement, ..config };
        let validity = Validity::starting(now, config.ca_lifetime);
        let issuing = CertificateAuthority::new(&config.trust_domain, 1, config.ca_key_kind, validity)?;
        Ok(Self {
            config,
            rng,
            made: 1,
            issuing,
            announced: None,
            retired: Vec::new(),
            identities: BTreeMap::new(),
            is_bundle_removed: false,
            federated: BTreeMap::new(),
            version: 0,
        })
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        &self.config.trust_domain
    }

    /// Entitles a workload, and issues its first SVID. Undoes [`Core::deny`].
    pub(super) fn allow(&mut self, id: &SpiffeId, now: SystemTime) -> Result<(), AuthorityError> {
        if id.trust_domain() != &self.config.trust_domain {
            return Err(AuthorityError::ForeignIdentity(id.clone()));
        }
        let identity = self.issue(id, now)?;
        self.identities.insert(id.clone(), identity);
        Ok(())
    }

    pub(super) fn deny(&mut self, id: &SpiffeId) -> Result<(), AuthorityError> {
        self.identity(id)?.is_denied = true;
        Ok(())
    }

    pub(super) fn set_defect(&mut self, id: &SpiffeId, defect: Option<Defect>) -> Result<(), AuthorityError> {
        self.identity(id)?.defect = defect;
        Ok(())
    }

    pub(super) fn rotate_svid(&mut self, id: &SpiffeId, now: SystemTime) -> Result<(), AuthorityError> {
        self.identity(id)?;
        let issued = self.issue(id, now)?;
        let identity = self.identity(id)?;
        (identity.svid, identity.rotate_at) = (issued.svid, issued.rotate_at);
        Ok(())
    }

    /// Puts the next CA into the bundle, to be used after the time for announcement. Does nothing if there is
    /// one already.
    pub(super) fn announce_ca(&mut self, now: SystemTime) -> Result<(), AuthorityError> {
        if self.announced.is_none() {
            self.made += 1;
            let Self { config, made, .. } = self;
            let validity = Validity::starting(now, config.ca_lifetime);
            let authority =
                CertificateAuthority::new(&config.trust_domain, *made, config.ca_key_kind, validity)?;
            self.announced = Some(Announced { authority, use_at: now + self.config.announcement });
        }
        Ok(())
    }

    /// Lets the announced CA issue from now on, beginning with a new SVID for everybody.
    pub(super) fn use_announced_ca(&mut self, now: SystemTime) -> Result<(), AuthorityError> {
        let Some(Announced { authority, .. }) = self.announced.take() else { return Ok(()) };
        self.retired.push(std::mem::replace(&mut self.issuing, authority));
        for id in self.identities.keys().cloned().collect::<Vec<_>>() {
            self.rotate_svid(&id, now)?;
        }
        Ok(())
    }

    /// Takes the CAs that issue no more out of the bundle, even if their SVIDs are still valid.
    pub(super) fn drop_old_cas(&mut self) {
        self.retired.clear();
    }

    /// Trusts another domain's roots.
    pub(super) fn federate(
        &mut self,
        domain: TrustDomain,
        roots: Arc<[CertificateDer<'static>]>,
    ) -> Result<(), AuthorityError> {
        if domain == self.config.trust_domain {
            return Err(AuthorityError::OwnBundle(domain));
        }
        self.federated.insert(domain, roots);
        Ok(())
    }

    pub(super) fn remove_bundle(&mut self, domain: &TrustDomain) {
        if domain == &self.config.trust_domain {
            self.is_bundle_removed = true;
        } else {
            self.federated.remove(domain);
        }
    }

    pub(super) fn restore_bundle(&mut self) {
        self.is_bundle_removed = false;
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: SystemTime) -> Result<(), AuthorityError> {
        if now >= self.announce_at() {
            self.announce_ca(now)?;
        }
        if self.announced.as_ref().is_some_and(|next| now >= next.use_at) {
            self.use_announced_ca(now)?;
        }
        self.retired.retain(|authority| authority.needed_until > now);
        let due = self.identities.iter().filter(|(_, identity)| now >= identity.rotate_at);
        for id in due.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.rotate_svid(&id, now)?;
        }
        Ok(())
    }

    /// When [`Core::tick`] will have something to do.
    pub(super) fn next_tick(&self) -> SystemTime {
        let next_ca = self.announced.as_ref().map_or_else(|| self.announce_at(), |next| next.use_at);
        let ends = self.retired.iter().map(|authority| authority.needed_until);
        self.identities.values().map(|identity| identity.rotate_at).chain(ends).fold(next_ca, SystemTime::min)
    }

    /// What everybody is told from now on.
    pub(super) fn view(&mut self) -> View {
        self.version += 1;
        let present = |identity: &Identity| match identity {
            Identity { is_denied: true, .. } => Entitlement::Denied,
            Identity { defect: Some(defect), svid, .. } => Entitlement::Svid(defect.apply(svid)),
            Identity { svid, .. } => Entitlement::Svid(svid.clone()),
        };
        let identities = self.identities.iter().map(|(id, identity)| (id.clone(), present(identity)));
        let mut bundles = self.federated.clone();
        if !self.is_bundle_removed {
            bundles.insert(self.config.trust_domain.clone(), self.roots());
        }
        View {
            version: self.version,
            trust_domain: self.config.trust_domain.clone(),
            identities: identities.collect(),
            bundles,
        }
    }

    /// Our own bundle, oldest first.
    fn roots(&self) -> Arc<[CertificateDer<'static>]> {
        let next = self.announced.as_ref().map(|next| &next.authority);
        let all = self.retired.iter().chain([&self.issuing]).chain(next);
        all.map(|authority| authority.certificate().clone()).collect()
    }

    /// When the next CA must be announced, so that it can be used at five sixths of the present one's life.
    fn announce_at(&self) -> SystemTime {
        let sixth = self.config.ca_lifetime / 6;
        self.issuing.validity.not_after - sixth - self.config.announcement
    }

    fn issue(&mut self, id: &SpiffeId, now: SystemTime) -> Result<Identity, AuthorityError> {
        let validity = Validity::starting(now, self.config.svid_lifetime);
        let svid = self.issuing.issue(id, self.config.key_kind, validity)?;
        let half = svid.validity.not_after.duration_since(now).unwrap_or(Duration::ZERO) / 2;
        let jitter = 1.0 - JITTER + 2.0 * JITTER * self.rng.f64();
        let rotate_at = now + half.mul_f64(jitter);
        Ok(Identity { svid: Arc::new(svid), rotate_at, is_denied: false, defect: None })
    }

    fn identity(&mut self, id: &SpiffeId) -> Result<&mut Identity, AuthorityError> {
        self.identities.get_mut(id).ok_or_else(|| AuthorityError::UnknownIdentity(id.clone()))
    }
}

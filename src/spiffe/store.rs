//! What is published, and to whom: the one place where generations are made.

use super::accept::{Accepted, examine, is_revoked, verify_own};
use super::bundles::Bundles;
use super::clock::Clock;
use super::health::{Health, Report};
use super::leaf::is_over;
use super::metric::Metrics;
use super::refusal::Refusal;
use super::snapshot::{OwnSvid, Snapshot};
use super::source::{Material, Offered, Sink, SourceError, Withdrawal};
use super::unavailable::Unavailable;
use ::spiffe::TrustDomain;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// What new handshakes are made with, or why there are none.
pub(super) type Published = Result<Arc<Snapshot>, Unavailable>;

/// Makes something of each generation off the handshake path.
pub(super) trait Subscriber: Send + Sync {
    /// Takes what was published. Called in order, one call at a time.
    fn update(&self, published: &Published);
}

/// An identity's state. Readers take no lock.
pub(super) struct Store {
    clock: Arc<dyn Clock>,
    expected: Option<TrustDomain>,
    metrics: Metrics,
    published: ArcSwap<Published>,
    /// Counts the changes of what is published or held back.
    changes: watch::Sender<u64>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    generation: u64,
    held: Option<Accepted>,
    subscribers: Vec<Weak<dyn Subscriber>>,
    report: Report,
    /// Whether the expiry of what is published was noticed.
    told_expiry: bool,
    /// In how many domains the expiry of a revocation list was noticed.
    told_crls: usize,
    /// What was said of the bundles last.
    notices: Vec<String>,
}

impl Store {
    pub(super) fn new(clock: Arc<dyn Clock>, expected: Option<TrustDomain>, metrics: Metrics) -> Self {
        metrics.available(false);
        Self {
            clock,
            expected,
            metrics,
            published: ArcSwap::from_pointee(Err(Unavailable::NotYet)),
            changes: watch::Sender::new(0),
            inner: Mutex::default(),
        }
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What new handshakes are to use now. An SVID that has expired is not presented.
    pub(super) fn current(&self) -> Published {
        usable(&self.published.load(), &*self.clock)
    }

    /// What [`current`](Self::current) says, and an SVID that is not valid yet counts as none: the clock may
    /// have been set back since it was published. Handshakes are tried even so, since it is more likely that
    /// our clock is wrong.
    pub(super) fn acceptable(&self) -> Result<(), Unavailable> {
        match self.current()?.not_before() {
            until if until > self.clock.now() => Err(Unavailable::HeldBack { until }),
            _ => Ok(()),
        }
    }

    /// What was published last, even if it has expired since.
    pub(super) fn last_published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Gives `subscriber` what is published now, and everything that will be.
    pub(super) fn subscribe(&self, subscriber: &Arc<impl Subscriber + 'static>) {
        let mut inner = self.lock();
        subscriber.update(&self.published.load());
        inner.subscribers.retain(|old| old.strong_count() > 0);
        let weak: Weak<dyn Subscriber> = Arc::<_>::downgrade(subscriber) as Weak<dyn Subscriber>;
        inner.subscribers.push(weak);
    }

    /// The state of the source changed.
    pub(super) fn set_connected(&self, connected: bool, error: Option<String>) {
        let report = &mut self.lock().report;
        report.connected = connected;
        report.source_error = error;
        if connected && std::mem::take(&mut report.source_rejects) {
            self.metrics.rejected(false);
        }
        self.metrics.connected(connected);
    }

    /// The source has ended.
    pub(super) fn lose(&self, why: &SourceError) {
        self.set_connected(false, Some(why.to_string()));
        let rejects = matches!(why, SourceError::Rejected(_));
        self.lock().report.source_rejects = rejects;
        self.metrics.rejected(rejects);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lock().report.connected
    }

    /// Does what is due, and tells when the next thing is.
    pub(super) fn tick(&self) -> Option<SystemTime> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Some(ripe) = inner.held.take_if(|held| held.svid.not_before <= now) {
            if is_over(ripe.svid.not_after, now) {
                self.count_refusal(&mut inner, &Refusal::Expired { not_after: ripe.svid.not_after }, now);
            } else {
                self.publish(&mut inner, ripe, now);
            }
        }
        let ripe_at = inner.held.as_ref().map(|held| held.svid.not_before);
        let expires = self.notice_expiry(&mut inner, now);
        let crl_expires = self.notice_expired_crls(&mut inner, now);
        ripe_at.into_iter().chain(expires).chain(crl_expires).min()
    }

    /// Says once that a revocation list has expired; tells when the next will have.
    fn notice_expired_crls(&self, inner: &mut Inner, now: SystemTime) -> Option<SystemTime> {
        let published = self.published.load();
        let Ok(snapshot) = &**published else { return None };
        let (over, next) = snapshot.bundles().expired_crls(now);
        if over.len() > std::mem::replace(&mut inner.told_crls, over.len()) {
            for domain in over {
                log::error!("a revocation list of {domain} has expired: peers that it is about are refused");
            }
        }
        next.map(|end| end + Duration::from_secs(1))
    }

    /// Says once that our SVID has expired; else tells when it will have.
    fn notice_expiry(&self, inner: &mut Inner, now: SystemTime) -> Option<SystemTime> {
        let published = self.published.load();
        let Ok(snapshot) = &**published else { return None };
        if !snapshot.is_expired(now) {
            return Some(snapshot.not_after() + Duration::from_secs(1));
        }
        if !std::mem::replace(&mut inner.told_expiry, true) {
            log::error!("the SVID of {} has expired, and the source delivered no other", snapshot.id());
            self.metrics.available(false);
            self.changes.send_modify(|changes| *changes += 1);
        }
        None
    }

    /// How things stand.
    pub(super) fn health(&self) -> Health {
        let unavailable = self.current().err();
        let inner = self.lock();
        let held_back_until = inner.held.as_ref().map(|held| held.svid.not_before);
        Health::new(unavailable, &inner.report, held_back_until)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, mut accepted: Accepted) -> Result<Offered, Refusal> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Ok(current) = &**self.published.load() {
            accepted.bundles.keep_last_good(current.bundles());
        }
        self.tell_notices(&mut inner, &accepted, now);
        let offered = if accepted.svid.not_before > now {
            self.hold_back(&mut inner, accepted, now)
        } else {
            inner.held = None;
            match self.unchanged(&accepted) {
                Some(generation) => Offered::Unchanged(generation),
                None => Offered::Published(self.publish(&mut inner, accepted, now)),
            }
        };
        inner.report.accept(now);
        self.metrics.accepted(now);
        Ok(offered)
    }

    /// Says what is wrong with parts of an update that is accepted, unless that was said of the last one,
    /// too.
    fn tell_notices(&self, inner: &mut Inner, accepted: &Accepted, now: SystemTime) {
        let mut notices = accepted.bundles.notices().to_vec();
        if is_revoked(&accepted.svid, &accepted.bundles, now) {
            notices.push(format!("our own SVID {} is revoked: peers may refuse it", accepted.svid.id));
        }
        for notice in notices.iter().filter(|notice| !inner.notices.contains(notice)) {
            log::warn!("{notice}");
        }
        inner.notices = notices;
        accepted.bundles.report(&self.metrics);
    }

    /// The generation that holds the same already.
    fn unchanged(&self, accepted: &Accepted) -> Option<u64> {
        let published = self.published.load();
        let current = published.as_ref().as_ref().ok()?;
        let is_same = current.chain() == accepted.svid.certified.cert
            && current.bundles().holds_the_same(&accepted.bundles);
        is_same.then(|| current.generation())
    }

    /// Keeps an SVID that is not valid yet. Its bundles count at once, with the SVID that we have: what was
    /// taken back is not trusted until then.
    fn hold_back(&self, inner: &mut Inner, accepted: Accepted, now: SystemTime) -> Offered {
        let until = accepted.svid.not_before;
        log::warn!("the new SVID of {} is not valid yet: held back", accepted.svid.id);
        let published = self.published.load_full();
        match &*published {
            Ok(current) if !current.bundles().holds_the_same(&accepted.bundles) => {
                let (svid, bundles) = (current.svid().clone(), accepted.bundles.clone());
                // Else the bundles do not fit the SVID that we have: the last good identity stays as a whole.
                if verify_own(&svid, &bundles, now).is_ok() {
                    self.publish_parts(inner, svid, bundles, now);
                }
            }
            Err(Unavailable::NotYet | Unavailable::HeldBack { .. }) => {
                self.set(inner, Err(Unavailable::HeldBack { until }));
            }
            _ => {}
        }
        inner.held = Some(accepted);
        self.changes.send_modify(|changes| *changes += 1);
        Offered::HeldBack { until }
    }

    fn publish(&self, inner: &mut Inner, accepted: Accepted, now: SystemTime) -> u64 {
        self.publish_parts(inner, accepted.svid, accepted.bundles, now)
    }

    fn publish_parts(&self, inner: &mut Inner, svid: OwnSvid, mut bundles: Bundles, now: SystemTime) -> u64 {
        if let Ok(before) = &**self.published.load() {
            bundles.succeed(before.bundles());
        }
        inner.generation += 1;
        let snapshot = Arc::new(Snapshot::new(inner.generation, svid, bundles, self.clock.clone()));
        log::info!("generation {} of {} is published", inner.generation, snapshot.id());
        self.metrics.published(inner.generation, snapshot.not_before(), snapshot.not_after());
        (inner.told_expiry, inner.told_crls) = (false, 0);
        inner.report.publish(&snapshot, now);
        self.set(inner, Ok(snapshot));
        inner.generation
    }

    /// Publishes, and returns when every subscriber has taken it: whoever sees a subscriber's generation
    /// finds it published.
    fn set(&self, inner: &mut Inner, published: Published) {
        self.published.store(Arc::new(published.clone()));
        self.metrics.available(published.is_ok());
        inner.subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(subscriber) => {
                subscriber.update(&published);
                true
            }
            None => false,
        });
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn count_refusal(&self, inner: &mut Inner, why: &Refusal, now: SystemTime) {
        log::warn!("an identity update is refused: {why}");
        inner.report.refuse(why, now);
        self.metrics.refused(why);
    }
}

/// `published`, unless it has expired.
pub(super) fn usable(published: &Published, clock: &dyn Clock) -> Published {
    match published {
        Ok(snapshot) if snapshot.is_expired(clock.now()) => {
            Err(Unavailable::Expired { not_after: snapshot.not_after() })
        }
        other => other.clone(),
    }
}

impl Sink for Store {
    fn connected(&self) {
        self.set_connected(true, None);
    }

    fn examine(&self, material: Material) -> Result<(), Refusal> {
        examine(material, self.expected.as_ref(), self.clock.now()).map(drop)
    }

    fn offer(&self, material: Material) -> Result<Offered, Refusal> {
        self.connected();
        let accepted = examine(material, self.expected.as_ref(), self.clock.now());
        accepted.and_then(|accepted| self.receive(accepted)).inspect_err(|why| {
            let now = self.clock.now();
            self.count_refusal(&mut self.lock(), why, now);
        })
    }

    fn refuse(&self, why: Refusal) {
        let now = self.clock.now();
        self.count_refusal(&mut self.lock(), &why, now);
    }

    fn withdraw(&self, why: Withdrawal) {
        let mut inner = self.lock();
        inner.held = None;
        let withdrawn = Unavailable::Withdrawn(why.clone());
        // Sources that are denied are asked again, and say it again.
        if self.published.load().as_ref().as_ref().is_err_and(|now| *now == withdrawn) {
            return;
        }
        log::warn!("{why}: no new handshakes");
        self.metrics.withdrawn(&why);
        self.set(&mut inner, Err(withdrawn));
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("published", &**self.published.load()).finish_non_exhaustive()
    }
}

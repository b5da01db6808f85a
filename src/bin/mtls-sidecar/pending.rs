//! Connections that are not complete yet, on all workers together, and which of them makes room when there
//! are too many.
//!
//! Anybody may connect and say nothing. So whoever has shown no certificate keeps a place only until it is
//! needed: the oldest that has sent nothing for a while goes first, else the oldest. Whoever has just come
//! may not have been heard yet, and whoever is done in time is not the oldest for long. Those whose peer is
//! known, and who wait for the target, keep theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long whoever connected may take until its first bytes are here.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of whoever connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has sent nothing.
    Silent,
    /// It has sent something.
    Speaking,
    /// It has shown who it is, or need not.
    Known,
}

/// The pending connections of one listener.
#[derive(Debug)]
pub(crate) struct Pending {
    limit: usize,
    grace: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By their age.
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    since: Instant,
    must_go: Arc<Notify>,
}

/// A connection's place. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Slot {
    pending: Arc<Pending>,
    number: u64,
    must_go: Arc<Notify>,
}

/// A place, and whether another connection lost its own for it.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) place: Slot,
    pub(crate) has_evicted: bool,
}

impl Pending {
    /// Room for so many.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Self::with_grace(limit, GRACE)
    }

    fn with_grace(limit: usize, grace: Duration) -> Arc<Self> {
        Arc::new(Self { limit, grace, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// A place for one more, which need not show who it is if `is_known`. None: all are taken by connections
    /// that keep theirs.
    pub(crate) fn admit(self: &Arc<Self>, is_known: bool) -> Option<Admitted> {
        let mut inner = self.lock();
        let has_evicted = inner.entries.len() >= self.limit;
        if has_evicted && !inner.evict(self.grace) {
            return None;
        }
        let number = inner.next;
        inner.next += 1;
        let must_go = Arc::new(Notify::new());
        let stage = if is_known { Stage::Known } else { Stage::Silent };
        inner.entries.insert(number, Entry { stage, since: Instant::now(), must_go: must_go.clone() });
        Some(Admitted { place: Slot { pending: self.clone(), number, must_go }, has_evicted })
    }
}

impl Inner {
    /// Takes a place away; false: nobody has to give one up.
    fn evict(&mut self, grace: Duration) -> bool {
        let is_silent = |entry: &Entry| entry.stage == Stage::Silent && entry.since.elapsed() >= grace;
        let mut strangers = self.entries.iter().filter(|(_, entry)| entry.stage != Stage::Known);
        let silent = strangers.clone().find(|(_, entry)| is_silent(entry));
        let Some(number) = silent.or_else(|| strangers.next()).map(|(number, _)| *number) else {
            return false;
        };
        if let Some(entry) = self.entries.remove(&number) {
            entry.must_go.notify_one();
        }
        true
    }

    fn advance(&mut self, number: u64, stage: Stage) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.stage = stage;
        }
    }
}

impl Slot {
    /// Who connected has sent something.
    pub(crate) fn speaks(&self) {
        self.pending.lock().advance(self.number, Stage::Speaking);
    }

    /// Who connected has shown who it is.
    pub(crate) fn is_known(&self) {
        self.pending.lock().advance(self.number, Stage::Known);
    }

    /// Whether who connected has sent nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.pending.lock().entries.get(&self.number).is_some_and(|entry| entry.stage == Stage::Silent)
    }

    /// Ready when the place was taken away.
    pub(crate) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let must_go = self.must_go.clone();
        async move { must_go.notified().await }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pending.lock().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn is_evicted(place: &Slot) -> bool {
        pin!(place.evicted()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_oldest_silent_one_makes_room_then_the_oldest_stranger_and_nobody_who_is_known() {
        let pending = Pending::with_grace(3, Duration::ZERO);
        let admit = || pending.admit(false).map(|admitted| (admitted.place, admitted.has_evicted));
        let [(first, _), (second, _), (third, _)] = [(); 3].map(|()| admit().unwrap());
        first.speaks();
        let (fourth, has_evicted) = admit().unwrap();
        assert!(has_evicted && is_evicted(&second), "the first has spoken");
        assert!(![&first, &third, &fourth].into_iter().any(is_evicted));
        third.is_known();
        fourth.speaks();
        let (fifth, _) = admit().unwrap();
        assert!(is_evicted(&first), "none is silent");
        [&fourth, &fifth].into_iter().for_each(Slot::is_known);
        assert!(admit().is_none(), "three are known");
        assert_eq!(pending.len(), 3);
        drop((second, fourth));
        assert_eq!(pending.len(), 2, "a place that was lost is not given back");
        assert!(!admit().unwrap().1);
        assert!(![&third, &fifth].into_iter().any(is_evicted));
    }

    #[test]
    fn whoever_has_just_come_does_not_make_room_for_having_said_nothing() {
        let pending = Pending::with_grace(2, Duration::from_secs(3600));
        let admit = || pending.admit(false).unwrap().place;
        let [first, second] = [(); 2].map(|()| admit());
        first.speaks();
        let _third = admit();
        assert!(is_evicted(&first) && !is_evicted(&second));
    }
}

//! Public keys that are met often: certification authorities above all, and peers that come back.
//!
//! A key whose signatures were verified in lanes, and valid, often enough gets a table of its multiples, with which a
//! verification costs a third. (Batches below the break-even fill are not counted: they have no lanes at hand.)
//! Tables hold public keys and nothing else; all threads share them. Peers may learn from the time that a verification
//! takes whether a key was met often, and may displace others' keys, which costs what making a table costs.

use crate::ops::nist::NistCurve;
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Valid signatures after which a key gets its table: making it costs as much as this many verifications save.
pub(super) const THRESHOLD: u64 = 64;

/// The most keys that are counted, and of these the most that have a table: 4 to 5 MiB.
const COUNTED: usize = 128;
const PREPARED: usize = 16;

/// A table that was used within the last so many uses of all keys is not displaced: else more keys than there is room for
/// would displace each other's tables again and again.
const RECENT: u64 = 1 << 14;

/// A key that was met.
pub(super) struct Known {
    curve: NistCurve,
    /// Its uncompressed encoding.
    key: Box<[u8]>,
    uses: AtomicU64,
    /// When it was last used, in uses of all keys.
    last: AtomicU64,
    /// For one tier: the type tells which.
    table: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Known {
    /// The table, if there is one of this type.
    pub(super) fn table<T: Any>(&self) -> Option<&T> {
        self.table.get()?.downcast_ref()
    }
}

static KEYS: RwLock<Vec<Arc<Known>>> = RwLock::new(Vec::new());
static USES: AtomicU64 = AtomicU64::new(0);

fn position(keys: &[Arc<Known>], curve: NistCurve, key: &[u8]) -> Option<usize> {
    // The ends of keys differ, nearly always: one word tells.
    let tag = |key: &[u8]| key.last_chunk::<8>().copied();
    keys.iter().position(|known| tag(&known.key) == tag(key) && *known.key == *key && known.curve == curve)
}

/// The key, if it has a table.
pub(super) fn prepared(curve: NistCurve, key: &[u8]) -> Option<Arc<Known>> {
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    let known = &keys[position(&keys, curve, key)?];
    known.last.store(USES.fetch_add(1, Relaxed), Relaxed);
    known.table.get().map(|_| known.clone())
}

/// Counts a valid signature by `key`; `make` makes the table when it is due.
pub(super) fn count<T: Any + Send + Sync>(curve: NistCurve, key: &[u8], make: impl FnOnce() -> T) {
    let now = USES.fetch_add(1, Relaxed);
    let known = {
        let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
        position(&keys, curve, key).map(|i| keys[i].clone())
    };
    let Some(known) = known else { return insert(curve, key, now) };
    known.last.store(now, Relaxed);
    // Exactly one use is the one that is due.
    if known.uses.fetch_add(1, Relaxed) + 1 == THRESHOLD {
        known.uses.store(0, Relaxed);
        if has_room(now) {
            keep(&known, Box::new(make()));
        }
    }
}

/// Whether one more table may be made.
fn has_room(now: u64) -> bool {
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    let tables = || keys.iter().filter(|known| known.table.get().is_some());
    let oldest = tables().map(|known| known.last.load(Relaxed)).min();
    tables().count() < PREPARED || oldest.is_some_and(|last| last + RECENT < now)
}

/// Gives a key its table, if it is still counted and has none. Tables that were not used for the longest time make room.
fn keep(known: &Arc<Known>, table: Box<dyn Any + Send + Sync>) {
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if known.table.get().is_some() || !keys.iter().any(|other| Arc::ptr_eq(other, known)) {
        return;
    }
    while keys.iter().filter(|known| known.table.get().is_some()).count() >= PREPARED {
        remove_oldest(&mut keys, |known| known.table.get().is_some());
    }
    let _ = known.table.set(table);
}

/// Begins to count a key, in the place of the one that was not used for the longest time if there are too many.
fn insert(curve: NistCurve, key: &[u8], now: u64) {
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if position(&keys, curve, key).is_some() {
        return;
    }
    if keys.len() >= COUNTED {
        remove_oldest(&mut keys, |known| known.table.get().is_none());
    }
    let (uses, last) = (AtomicU64::new(1), AtomicU64::new(now));
    keys.push(Arc::new(Known { curve, key: key.into(), uses, last, table: OnceLock::new() }));
}

fn remove_oldest(keys: &mut Vec<Arc<Known>>, of: impl Fn(&Known) -> bool) {
    let candidates = keys.iter().enumerate().filter(|(_, known)| of(known));
    if let Some((oldest, _)) = candidates.min_by_key(|(_, known)| known.last.load(Relaxed)) {
        keys.swap_remove(oldest);
    }
}

/// Forgets all keys.
pub(in crate::ops) fn forget() {
    KEYS.write().unwrap_or_else(PoisonError::into_inner).clear();
}

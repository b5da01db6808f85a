//! Public keys that are met often: certification authorities above all, and peers that come back.
//!
//! A key whose signatures were verified in lanes, and valid, often enough gets a table of its multiples, with which a
//! verification costs a third. (Batches below the break-even fill are not counted: they have no lanes at hand.)
//! Tables hold public keys and nothing else; all threads share them. Peers may learn from the time that a verification
//! takes whether a key was met often, and may displace others' keys, which costs what making a table costs.

use crate::ops::nist::NistCurve;
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

    fn has_table(&self) -> bool {
        self.table.get().is_some()
    }
}

/// The keys that were met.
struct Registry {
    keys: RwLock<Vec<Arc<Known>>>,
    /// Uses of all keys so far: the clock of [`Known::last`].
    uses: AtomicU64,
}

static KEYS: Registry = Registry::new();

/// The key, if it has a table.
pub(super) fn prepared(curve: NistCurve, key: &[u8]) -> Option<Arc<Known>> {
    KEYS.prepared(curve, key)
}

/// Counts a valid signature by `key`; `make` makes the table when it is due.
pub(super) fn count<T: Any + Send + Sync>(curve: NistCurve, key: &[u8], make: impl FnOnce() -> T) {
    KEYS.count(curve, key, make);
}

/// Forgets all keys.
pub(in crate::ops) fn forget() {
    KEYS.write().clear();
}

impl Registry {
    const fn new() -> Self {
        Self { keys: RwLock::new(Vec::new()), uses: AtomicU64::new(0) }
    }

    fn prepared(&self, curve: NistCurve, key: &[u8]) -> Option<Arc<Known>> {
        let keys = self.read();
        let known = &keys[position(&keys, curve, key)?];
        known.last.store(self.uses.fetch_add(1, Relaxed), Relaxed);
        known.table.get().map(|_| known.clone())
    }

    fn count<T: Any + Send + Sync>(&self, curve: NistCurve, key: &[u8], make: impl FnOnce() -> T) {
        let now = self.uses.fetch_add(1, Relaxed);
        let known = {
            let keys = self.read();
            position(&keys, curve, key).map(|i| keys[i].clone())
        };
        let Some(known) = known else { return self.insert(curve, key, now) };
        known.last.store(now, Relaxed);
        // Exactly one use is the one that is due.
        if known.uses.fetch_add(1, Relaxed) + 1 == THRESHOLD {
            known.uses.store(0, Relaxed);
            if self.has_room(now) {
                self.keep(&known, Box::new(make()));
            }
        }
    }

    /// Whether one more table may be made.
    fn has_room(&self, now: u64) -> bool {
        let keys = self.read();
        let tables = || keys.iter().filter(|known| known.has_table());
        let oldest = tables().map(|known| known.last.load(Relaxed)).min();
        tables().count() < PREPARED || oldest.is_some_and(|last| last + RECENT < now)
    }

    /// Gives a key its table, if it is still counted and has none. Tables that were not used for the longest time make
    /// room.
    fn keep(&self, known: &Arc<Known>, table: Box<dyn Any + Send + Sync>) {
        let mut keys = self.write();
        if known.has_table() || !keys.iter().any(|other| Arc::ptr_eq(other, known)) {
            return;
        }
        while keys.iter().filter(|known| known.has_table()).count() >= PREPARED {
            remove_oldest(&mut keys, Known::has_table);
        }
        let _ = known.table.set(table);
    }

    /// Begins to count a key, in the place of the one that was not used for the longest time if there are too many.
    fn insert(&self, curve: NistCurve, key: &[u8], now: u64) {
        let mut keys = self.write();
        if position(&keys, curve, key).is_some() {
            return;
        }
        if keys.len() >= COUNTED {
            remove_oldest(&mut keys, |known| !known.has_table());
        }
        let (uses, last) = (AtomicU64::new(1), AtomicU64::new(now));
        keys.push(Arc::new(Known { curve, key: key.into(), uses, last, table: OnceLock::new() }));
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Known>>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<Known>>> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn position(keys: &[Arc<Known>], curve: NistCurve, key: &[u8]) -> Option<usize> {
    // The ends of keys differ, nearly always: one word tells.
    let tag = |key: &[u8]| key.last_chunk::<8>().copied();
    keys.iter().position(|known| tag(&known.key) == tag(key) && *known.key == *key && known.curve == curve)
}

fn remove_oldest(keys: &mut Vec<Arc<Known>>, of: impl Fn(&Known) -> bool) {
    let candidates = keys.iter().enumerate().filter(|(_, known)| of(known));
    if let Some((oldest, _)) = candidates.min_by_key(|(_, known)| known.last.load(Relaxed)) {
        keys.swap_remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: NistCurve = NistCurve::P256;

    fn key(number: usize) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Uses a key until its table is due; says whether one was made.
    fn meet(registry: &Registry, number: usize) -> bool {
        let mut made = false;
        for _ in 0..THRESHOLD {
            registry.count(CURVE, &key(number), || made = true);
        }
        made
    }

    fn has_table(registry: &Registry, number: usize) -> bool {
        let keys = registry.read();
        position(&keys, CURVE, &key(number)).is_some_and(|i| keys[i].has_table())
    }

    #[test]
    fn the_threshold_makes_one_table_for_one_curve() {
        let registry = Registry::new();
        let mut made = 0;
        for uses in 1..=10 * THRESHOLD {
            registry.count(CURVE, &key(1), || made += 1);
            assert_eq!(registry.prepared(CURVE, &key(1)).is_some(), uses >= THRESHOLD);
        }
        assert!(registry.prepared(NistCurve::P384, &key(1)).is_none());
        assert!(registry.prepared(CURVE, &key(2)).is_none());
        let known = registry.prepared(CURVE, &key(1)).unwrap();
        assert!(known.table::<()>().is_some() && known.table::<u8>().is_none());
    }

    #[test]
    fn tables_in_use_are_not_displaced() {
        let registry = Registry::new();
        assert!((0..PREPARED).all(|i| meet(&registry, i)));
        assert!(!meet(&registry, PREPARED));
        assert!((0..PREPARED).all(|i| has_table(&registry, i)));
    }

    #[test]
    fn the_table_that_was_not_used_for_longest_makes_room() {
        let registry = Registry::new();
        assert!((0..PREPARED).all(|i| meet(&registry, i)));
        for _ in 0..=RECENT {
            assert!(registry.prepared(CURVE, &key(0)).is_some());
        }
        assert!(meet(&registry, PREPARED));
        assert!(has_table(&registry, 0) && has_table(&registry, PREPARED) && !has_table(&registry, 1));
        assert_eq!(registry.read().iter().filter(|known| known.has_table()).count(), PREPARED);
    }

    #[test]
    fn a_crowd_of_keys_takes_no_more_room_and_displaces_no_table() {
        let registry = Registry::new();
        assert!(meet(&registry, 0));
        for i in 1..10 * COUNTED {
            registry.count(CURVE, &key(i), || unreachable!("it was met once"));
        }
        assert_eq!(registry.read().len(), COUNTED);
        assert!(has_table(&registry, 0));
    }
}

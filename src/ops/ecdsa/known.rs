//! Public keys that are seen often: certification authorities above all, and peers that come back.
//!
//! A key whose signatures were valid often enough gets a table of its multiples, with which a verification
//! costs a third or less: first a small one, which a few verifications pay for, then, if it stays, a large
//! one. It does not matter whether lanes verified or aws-lc-rs. Tables hold public keys and nothing else; all
//! threads share them. The timing of a verification reveals to peers whether a key was seen often, and they
//! may displace others' keys, which costs what making a table costs.
//!
//! RSA's public keys are prepared at once and by each thread, because that is cheap and small: see
//! `ops/rsa/public_keys.rs`.

use crate::ops::kinds::NistCurve;
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Valid signatures after which a key gets a table of that size: making it costs as much as so many
/// verifications save.
pub(super) const SMALL: u64 = 8;
pub(super) const LARGE: u64 = 64;

/// The most keys that are counted.
const COUNTED: usize = 1024;

/// The most bytes of all tables, unless [`limit_table_bytes`] says otherwise.
const BYTES: usize = 16 << 20;

/// A table that was used within the last so many uses of all keys is not displaced: else more keys than there
/// is room for would displace each other's tables again and again.
const RECENT: u64 = 1 << 14;

/// A table, for one tier: the type tells which.
struct Table {
    table: Arc<dyn Any + Send + Sync>,
    size: Size,
    bytes: usize,
}

/// How large a table is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Large,
}

/// A key that was seen.
pub(super) struct Known {
    curve: NistCurve,
    uses: AtomicU64,
    /// When it was last used, in uses of all keys.
    last: AtomicU64,
    /// One for each tier that has verified with the key often.
    tables: RwLock<Vec<Table>>,
}

impl Known {
    /// The table, if there is one of this type.
    pub(super) fn table<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.read().iter().find_map(|table| table.table.clone().downcast().ok())
    }

    /// The bytes of its tables, zero without one.
    fn bytes(&self) -> usize {
        self.read().iter().map(|table| table.bytes).sum()
    }

    /// Which table of this type is due after so many uses. One for which there was no room is due again
    /// later.
    fn due<T: Any>(&self, uses: u64) -> Option<Size> {
        let size = self.read().iter().find(|table| table.table.is::<T>()).map(|table| table.size);
        match size {
            None | Some(Size::Small) if uses.is_multiple_of(LARGE) => Some(Size::Large),
            None if uses.is_multiple_of(SMALL) => Some(Size::Small),
            _ => None,
        }
    }

    /// Keeps a table in the place of that of the same type.
    fn keep<T: Any>(&self, table: Table) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|other| !other.table.is::<T>());
        tables.push(table);
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By its uncompressed encoding, whose length tells the curve.
type Keys = HashMap<Box<[u8]>, Arc<Known>>;

/// The keys that were seen.
struct Registry {
    keys: RwLock<Keys>,
    limit: AtomicUsize,
    /// Uses of all keys so far: the clock of [`Known::last`].
    uses: AtomicU64,
    made: AtomicU64,
    displaced: AtomicU64,
}

static KEYS: LazyLock<Registry> = LazyLock::new(Registry::new);

/// What the process holds of public keys that it meets often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownKeys {
    /// Keys that are counted.
    pub keys: usize,
    /// Those of them that have a table.
    pub tables: usize,
    /// The bytes of the tables.
    pub bytes: usize,
    /// Tables made so far.
    pub made: u64,
    /// Tables that made room for others so far.
    pub displaced: u64,
}

/// The ECDSA public keys that this process meets often.
pub fn known_keys() -> KnownKeys {
    KEYS.statistics()
}

/// Bounds the tables of public keys that are seen often, for the whole process: 16 MiB at first. Tables take
/// 50 to 280 KiB each. Those that are there stay until others want their room.
pub fn limit_table_bytes(bytes: usize) {
    KEYS.limit.store(bytes, Relaxed);
}

/// The key, if it has a table.
pub(super) fn prepared(curve: NistCurve, key: &[u8]) -> Option<Arc<Known>> {
    KEYS.prepared(curve, key)
}

/// Counts a valid signature by `key`. `make` makes its table when one is due, and says how many bytes that
/// has.
pub(super) fn count<T: Any + Send + Sync>(
    curve: NistCurve,
    key: &[u8],
    make: impl FnOnce(Size) -> (T, usize),
) {
    KEYS.count(curve, key, make);
}

/// Forgets all keys.
pub(in crate::ops) fn forget() {
    KEYS.write().clear();
}

impl Registry {
    fn new() -> Self {
        let [uses, made, displaced] = [0; 3].map(AtomicU64::new);
        Self { keys: RwLock::default(), limit: AtomicUsize::new(BYTES), uses, made, displaced }
    }

    fn prepared(&self, curve: NistCurve, key: &[u8]) -> Option<Arc<Known>> {
        let keys = self.read();
        let known = keys.get(key).filter(|known| known.curve == curve)?;
        known.last.store(self.uses.fetch_add(1, Relaxed), Relaxed);
        (known.bytes() > 0).then(|| known.clone())
    }

    fn count<T: Any + Send + Sync>(
        &self,
        curve: NistCurve,
        key: &[u8],
        make: impl FnOnce(Size) -> (T, usize),
    ) {
        let now = self.uses.fetch_add(1, Relaxed);
        let known = self.read().get(key).cloned();
        let Some(known) = known else { return self.insert(curve, key, now) };
        known.last.store(now, Relaxed);
        // Exactly one use has that number.
        let due = known.due::<T>(known.uses.fetch_add(1, Relaxed) + 1);
        if let Some(size) = due.filter(|_| self.has_room(now)) {
            let (table, bytes) = make(size);
            self.keep::<T>(key, &known, Table { table: Arc::new(table), size, bytes });
        }
    }

    /// Whether another table would find room: what is left, or a table that nobody uses.
    fn has_room(&self, now: u64) -> bool {
        let keys = self.read();
        let tables = || keys.values().filter(|known| known.bytes() > 0);
        let bytes: usize = tables().map(|known| known.bytes()).sum();
        bytes < self.limit.load(Relaxed) || tables().any(|known| known.last.load(Relaxed) + RECENT < now)
    }

    /// Gives a key its table, if it is still counted. The least recently used tables are displaced until
    /// there is room.
    fn keep<T: Any>(&self, key: &[u8], known: &Arc<Known>, table: Table) {
        let mut keys = self.write();
        if !keys.get(key).is_some_and(|other| Arc::ptr_eq(other, known)) {
            return;
        }
        known.keep::<T>(table);
        self.made.fetch_add(1, Relaxed);
        while keys.values().map(|known| known.bytes()).sum::<usize>() > self.limit.load(Relaxed) {
            remove_oldest(&mut keys, |known| known.bytes() > 0);
            self.displaced.fetch_add(1, Relaxed);
        }
    }

    /// Begins to count a key; if there are too many, the least recently used one is forgotten.
    fn insert(&self, curve: NistCurve, key: &[u8], now: u64) {
        let mut keys = self.write();
        if keys.contains_key(key) {
            return;
        }
        if keys.len() >= COUNTED {
            remove_oldest(&mut keys, |known| known.bytes() == 0);
        }
        let (uses, last) = (AtomicU64::new(1), AtomicU64::new(now));
        keys.insert(key.into(), Arc::new(Known { curve, uses, last, tables: RwLock::default() }));
    }

    fn statistics(&self) -> KnownKeys {
        let keys = self.read();
        let bytes = || keys.values().map(|known| known.bytes());
        KnownKeys {
            keys: keys.len(),
            tables: bytes().filter(|bytes| *bytes > 0).count(),
            bytes: bytes().sum(),
            made: self.made.load(Relaxed),
            displaced: self.displaced.load(Relaxed),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_oldest(keys: &mut Keys, of: impl Fn(&Known) -> bool) {
    let candidates = keys.iter().filter(|(_, known)| of(known));
    let oldest = candidates.min_by_key(|(_, known)| known.last.load(Relaxed)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        keys.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: NistCurve = NistCurve::P256;

    /// Bytes of a table here.
    const TABLE: usize = BYTES / 16;

    fn key(number: usize) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Uses a key until its first table is due; says whether it was made.
    fn meet(registry: &Registry, number: usize) -> bool {
        let mut made = false;
        for _ in 0..SMALL {
            registry.count(CURVE, &key(number), |size| {
                made = size == Size::Small;
                ((), TABLE)
            });
        }
        made
    }

    fn has_table(registry: &Registry, number: usize) -> bool {
        registry.read().get(&key(number)[..]).is_some_and(|known| known.bytes() > 0)
    }

    #[test]
    fn a_key_gets_a_small_table_and_then_a_large_one() {
        let registry = Registry::new();
        let mut made = Vec::new();
        for uses in 1..=10 * LARGE {
            registry.count(CURVE, &key(1), |size| {
                made.push((uses, size));
                ((), TABLE * made.len())
            });
            assert_eq!(registry.prepared(CURVE, &key(1)).is_some(), uses >= SMALL);
        }
        assert_eq!(made, [(SMALL, Size::Small), (LARGE, Size::Large)]);
        assert!(registry.prepared(NistCurve::P384, &key(1)).is_none());
        assert!(registry.prepared(CURVE, &key(2)).is_none());
        let known = registry.prepared(CURVE, &key(1)).unwrap();
        assert!(known.table::<()>().is_some() && known.table::<u8>().is_none());
        let expected = KnownKeys { keys: 1, tables: 1, bytes: 2 * TABLE, made: 2, displaced: 0 };
        assert_eq!(registry.statistics(), expected);
    }

    #[test]
    fn each_tier_gets_a_table_of_its_own() {
        let registry = Registry::new();
        assert!(meet(&registry, 1));
        let mut made = 0;
        for _ in 0..SMALL {
            registry.count(CURVE, &key(1), |_| {
                made += 1;
                (0_u8, TABLE)
            });
        }
        let known = registry.prepared(CURVE, &key(1)).unwrap();
        assert!(made == 1 && known.table::<()>().is_some() && known.table::<u8>().is_some());
        assert_eq!(known.bytes(), 2 * TABLE);
    }

    #[test]
    fn tables_in_use_are_not_displaced() {
        let registry = Registry::new();
        assert!((0..16).all(|i| meet(&registry, i)));
        assert!(!meet(&registry, 16));
        assert!((0..16).all(|i| has_table(&registry, i)));
        assert_eq!(registry.statistics().bytes, BYTES);
    }

    #[test]
    fn the_table_that_was_not_used_for_longest_makes_room() {
        let registry = Registry::new();
        assert!((0..16).all(|i| meet(&registry, i)));
        for _ in 0..=RECENT {
            assert!(registry.prepared(CURVE, &key(0)).is_some());
        }
        assert!(meet(&registry, 16));
        assert!(has_table(&registry, 0) && has_table(&registry, 16) && !has_table(&registry, 1));
        let statistics = registry.statistics();
        assert_eq!((statistics.tables, statistics.bytes, statistics.displaced), (16, BYTES, 1));
    }

    #[test]
    fn a_crowd_of_keys_takes_no_more_room_and_displaces_no_table() {
        let registry = Registry::new();
        assert!(meet(&registry, 0));
        for i in 1..3 * COUNTED {
            registry.count(CURVE, &key(i), |_| -> ((), usize) { unreachable!("it was seen once") });
        }
        assert_eq!(registry.read().len(), COUNTED);
        assert!(has_table(&registry, 0));
    }
}

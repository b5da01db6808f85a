//! Look-ups in tables whose index is a secret: every entry is read, so neither the instruction nor the
//! address trace depends on it.
//!
//! A table entry is a sequence of digits: a reduced element, or the coordinates of a point. Look-ups move
//! digits and know nothing of what they stand for.

use super::LaneVec;

/// The largest index that a [`SharedTable`] may have: 64 entries.
const MAX_ENTRIES: usize = 64;

/// Constant-time look-ups, one in each lane.
pub trait LookupLanes<V: LaneVec>: Copy + Send + 'static {
    /// out ← digits `start..start + out.len()` of entry `index[lane]` of the lane's own table. `table` is a
    /// sequence of entries of `entry_len` vectors each, and has more than any index.
    fn select_own(self, out: &mut [V], table: &[V], entry_len: usize, start: usize, index: &V);

    /// out ← digits `start..start + out.len()` of entry `index[lane]` of the table that all lanes share.
    fn select_shared(self, out: &mut [V], table: &SharedTable<V>, start: usize, index: &V);
}

/// A table for all lanes: 16, 32 or 64 entries, transposed, so that a permutation of a vector is a look-up.
///
/// Digit `i` of entry `e` is word `e mod L` of vector `i·entries/L + e/L`, for vectors of `L` words.
#[derive(Debug)]
pub struct SharedTable<V> {
    vectors: Box<[V]>,
    entries: usize,
    /// Vectors with one digit of all entries.
    column_len: usize,
}

impl<V: LaneVec> SharedTable<V> {
    /// The table of `entries`, each of them digits from one lane of some element.
    pub fn new(entries: &[Vec<u64>]) -> Self {
        assert!(matches!(entries.len(), 16 | 32 | MAX_ENTRIES));
        let lanes = V::default().as_ref().len();
        let digits = entries[0].len();
        let mut vectors = Vec::with_capacity(digits * entries.len() / lanes);
        for digit in 0..digits {
            for group in entries.chunks_exact(lanes) {
                let mut vector = V::default();
                vector.as_mut().iter_mut().zip(group).for_each(|(word, entry)| *word = entry[digit]);
                vectors.push(vector);
            }
        }
        let column_len = entries.len() / lanes;
        Self { vectors: vectors.into(), entries: entries.len(), column_len }
    }

    /// How many entries it has.
    #[cfg(lanes)]
    pub(in crate::arch) fn entries(&self) -> usize {
        self.entries
    }

    /// Digit `digit` of an entry whose index is no secret.
    pub fn word_vartime(&self, entry: usize, digit: usize) -> u64 {
        let index = digit * self.entries + entry;
        let lanes = self.vectors[0].as_ref().len();
        self.vectors[index / lanes].as_ref()[index % lanes]
    }

    /// For each digit from `start` on, the vectors with that digit of all entries.
    pub(in crate::arch) fn columns(&self, start: usize) -> std::slice::ChunksExact<'_, V> {
        self.vectors[start * self.column_len..].chunks_exact(self.column_len)
    }
}

/// How far apart the lanes of one request are when several share its windows: request r of some has the lanes
/// r, r + spacing, r + 2·spacing and so on. A power of two, and in a full batch the number of lanes.
pub fn spacing(requests: usize) -> usize {
    requests.max(1).next_power_of_two()
}

/// The tables of many windows in groups of as many as there are lanes, for lanes that look up each in a
/// window of its own.
///
/// A group is a table for [`LookupLanes::select_own`]: in lane i are the entries of its window i.
#[derive(Debug)]
pub struct SplitTable<V>(Vec<Box<[V]>>);

impl<V> Default for SplitTable<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: LaneVec> SplitTable<V> {
    /// The table of the entries, each of them digits, of each window; so many windows that groups are full.
    pub fn new(windows: &[Vec<Vec<u64>>]) -> Self {
        let lanes = V::default().as_ref().len();
        assert!(windows.len().is_multiple_of(lanes));
        let group = |windows: &[Vec<Vec<u64>>]| {
            let side_by_side = |entry: usize, digit: usize| {
                let mut vector = V::default();
                let words = vector.as_mut().iter_mut().zip(windows);
                words.for_each(|(word, entries)| *word = entries[entry][digit]);
                vector
            };
            let entry = |entry| (0..windows[0][0].len()).map(move |digit| side_by_side(entry, digit));
            (0..windows[0].len()).flat_map(entry).collect()
        };
        Self(windows.chunks_exact(lanes).map(group).collect())
    }

    /// The tables of the groups, that of the lowest windows first.
    pub fn groups(&self) -> &[Box<[V]>] {
        &self.0
    }
}

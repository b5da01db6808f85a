//! Look-ups in tables whose index is a secret: every entry is read, so neither the instruction nor the address trace
//! depends on it.
//!
//! A table entry is a sequence of digits: a reduced element, or the coordinates of a point. Look-ups move digits and
//! know nothing of what they stand for.

use super::{LaneVec, Vec4};
use crate::arch::tier::Portable;
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// The largest index that a [`SharedTable`] may have: 64 entries.
const MAX_ENTRIES: usize = 64;

/// Constant-time look-ups, one in each lane.
pub trait LookupLanes<V: LaneVec>: Copy + Send + 'static {
    /// out ← digits `start..start + out.len()` of entry `index[lane]` of the lane's own table. `table` is a sequence of
    /// entries of `entry_len` vectors each, and has more than any index.
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

impl LookupLanes<Vec4> for Portable {
    fn select_own(self, out: &mut [Vec4], table: &[Vec4], entry_len: usize, start: usize, index: &Vec4) {
        for (entry, digits) in table.chunks_exact(entry_len).enumerate() {
            for (out, digit) in out.iter_mut().zip(&digits[start..]) {
                for (lane, index) in index.0.iter().enumerate() {
                    out.0[lane].conditional_assign(&digit.0[lane], index.ct_eq(&(entry as u64)));
                }
            }
        }
    }

    fn select_shared(self, out: &mut [Vec4], table: &SharedTable<Vec4>, start: usize, index: &Vec4) {
        for (out, column) in out.iter_mut().zip(table.columns(start)) {
            for (entry, digit) in column.iter().flat_map(|v| v.0).enumerate() {
                for (lane, index) in index.0.iter().enumerate() {
                    out.0[lane].conditional_assign(&digit, index.ct_eq(&(entry as u64)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::lanes::Vec8;
    use crate::arch::testing::{Random, with_tier};
    use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Tier, TierKind};

    fn random<V: LaneVec>(random: &mut Random) -> V {
        let mut vector = V::default();
        vector.as_mut().iter_mut().for_each(|word| *word = random.word());
        vector
    }

    fn index<V: LaneVec>(seed: &mut Random, entries: usize) -> V {
        let mut vector = V::default();
        vector.as_mut().iter_mut().for_each(|word| *word = seed.word() % entries as u64);
        vector
    }

    fn check<V: LaneVec, K: LookupLanes<V>>(kernel: K) {
        let mut seed = Random(64);
        for (entries, digits) in [(16, 25), (16, 40), (16, 12), (32, 10), (64, 12), (64, 26), (32, 1)] {
            let own: Vec<V> = (0..entries * digits).map(|_| random(&mut seed)).collect();
            let shared: Vec<Vec<u64>> =
                (0..entries).map(|_| (0..digits).map(|_| seed.word()).collect()).collect();
            let table = SharedTable::new(&shared);
            for round in 0..3 * entries {
                let mut index: V = index(&mut seed, entries);
                // Every entry in every lane at least once.
                let lanes = index.as_ref().len();
                index.as_mut()[round % lanes] = (round % entries) as u64;
                let mut out = vec![random(&mut seed); digits];
                let start = round % digits;
                kernel.select_own(&mut out[start..], &own, digits, start, &index);
                for (digit, out) in out.iter().enumerate().skip(start) {
                    for (lane, word) in out.as_ref().iter().enumerate() {
                        let entry = index.as_ref()[lane] as usize;
                        assert_eq!(*word, own[entry * digits + digit].as_ref()[lane]);
                    }
                }
                let end = digits - start / 2;
                kernel.select_shared(&mut out[start / 2..end], &table, start / 2, &index);
                for (digit, out) in out.iter().enumerate().take(end).skip(start / 2) {
                    for (lane, word) in out.as_ref().iter().enumerate() {
                        assert_eq!(*word, shared[index.as_ref()[lane] as usize][digit]);
                    }
                }
            }
        }
    }

    #[test]
    fn portable() {
        let Tier::Portable(token) = Tier::portable() else { unreachable!() };
        check::<Vec4, _>(token);
    }

    #[test]
    fn lanes_lookup_avx2_fma() {
        with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), check::<Vec4, _>);
    }

    #[test]
    fn lanes_lookup_avx_ifma() {
        with_tier(TierKind::AvxIfma, AvxIfma::detect(), check::<Vec4, _>);
    }

    #[test]
    fn lanes_lookup_avx512_ifma() {
        with_tier(TierKind::Avx512Ifma, Avx512Ifma::detect(), check::<Vec8, _>);
    }
}

//! The base point's multiples, which all lanes of a tier share, and what is looked up in them.
//!
//! A scalar is written with signed odd digits of 6 bits: k = Σ dᵢ·64^i with dᵢ in {±1, ±3, …, ±63}, which
//! every odd k below 2^258 has, in 43 digits (M. Joye, M. Tunstall, "Exponent recoding and regular
//! exponentiation algorithms", AFRICACRYPT 2009, §3). No digit is zero, so that 32 entries serve a window.
//! For each window there is a table of its own: 43 additions, and no doubling.
//!
//! With windows of 5 bits there are 52 additions, and look-ups of half the length, because every entry is
//! read: in lanes of AVX2 and FMA that takes the same time, with IFMA, where a look-up is a few permutations,
//! a fifth more.

use super::super::invert::invert_all;
use super::{BASE, D, Group, Point};
use crate::arch::field25519::{Digits, Element, Field25519Lanes};
use crate::arch::lanes::LaneVec;
use crate::arch::lookup::{LookupLanes, SharedTable, SplitTable};
use crate::arith::home::{Home, homes};

/// Bits of a window.
pub(super) const WINDOW: usize = 6;

/// Windows of a scalar below 2^256.
pub(super) const WINDOWS: usize = 256_usize.div_ceil(WINDOW);

/// Entries of a window.
const ENTRIES: usize = 1 << (WINDOW - 1);

/// 1/2.
const HALF: [u64; 4] = [u64::MAX - 8, u64::MAX, u64::MAX, u64::MAX >> 2];

/// What the curve is computed with: a tier's kernels, and a place for the tables of the base point.
pub(crate) trait Kernel:
    Field25519Lanes
    + LookupLanes<<Self as Field25519Lanes>::Mask>
    + Home<FixedBase<<Self as Field25519Lanes>::Mask>>
{
}

impl<K> Kernel for K where K: Field25519Lanes + LookupLanes<K::Mask> + Home<FixedBase<K::Mask>> {}

homes!(V => FixedBase<V>);

/// For each window i, the entries of (2·j + 1)·64^i·B: half of y + x, half of y − x, and d·x·y. More windows
/// than a scalar has make their number a multiple of the lanes'.
#[derive(Debug)]
pub(crate) struct FixedBase<V> {
    windows: Vec<[SharedTable<V>; 3]>,
    /// The three numbers of an entry one after the other.
    split: SplitTable<V>,
}

/// The table of the kernel's tier, which the first call of a process computes.
pub(super) fn table<K: Kernel>(kernel: K) -> &'static FixedBase<K::Mask> {
    K::home().get_or_init(|| FixedBase::new(kernel))
}

/// Makes the table of the kernel's tier, if nobody has.
pub(crate) fn make_table<K: Kernel>(kernel: K) {
    table(kernel);
}

impl<V: LaneVec> FixedBase<V> {
    fn new<K: Kernel<Mask = V>>(kernel: K) -> Self {
        kernel.assert_environment();
        let mut group = Group::new(kernel);
        let count = WINDOWS.next_multiple_of(K::LANES);
        let mut windows = Vec::with_capacity(count);
        // 64^i·B in lane 0, one window after the other; then the entries of as many windows as there are
        // lanes.
        let mut power = Point::neutral::<K>();
        power.set::<K>(0, &BASE);
        for _ in (0..count).step_by(K::LANES) {
            let mut starts = Point::neutral::<K>();
            for lane in 0..K::LANES {
                starts.copy_lane::<K>(lane, &power, 0);
                (0..WINDOW).for_each(|_| group.double(&mut power, true));
            }
            windows.extend(multiples(&mut group, starts));
        }
        let joined: Vec<Vec<_>> =
            windows.iter().map(|entries| entries.iter().map(|entry| entry.concat()).collect()).collect();
        Self {
            split: SplitTable::new(&joined),
            windows: windows.iter().map(|entries| shared(entries)).collect(),
        }
    }

    /// The tables of window i.
    pub(super) fn window(&self, i: usize) -> &[SharedTable<V>; 3] {
        &self.windows[i]
    }

    /// The tables for lanes that share a scalar.
    pub(super) fn split(&self) -> &SplitTable<V> {
        &self.split
    }
}

/// The digits of half of y + x, half of y − x, and d·x·y.
type Entry = [Vec<u64>; 3];

/// For each lane, the entries of the odd multiples of its point.
fn multiples<K: Kernel>(group: &mut Group<K>, mut point: Point<K::Reduced>) -> Vec<Vec<Entry>> {
    let twice_d = super::constant::<K>(&super::TWICE_D);
    let mut twice = point;
    group.double(&mut twice, true);
    let (step, z) = group.entry(&twice, &twice_d);
    let mut lanes = vec![Vec::with_capacity(ENTRIES); K::LANES];
    for _ in 0..ENTRIES {
        lanes.iter_mut().zip(entries::<K>(&point)).for_each(|(entries, entry)| entries.push(entry));
        group.add(&mut point, &step, Some(&z), &K::Mask::default());
    }
    lanes
}

/// A table for each number of the entries.
fn shared<V: LaneVec>(entries: &[Entry]) -> [SharedTable<V>; 3] {
    std::array::from_fn(|i| {
        SharedTable::new(&entries.iter().map(|entry| entry[i].clone()).collect::<Vec<_>>())
    })
}

/// One entry for each lane.
fn entries<K: Field25519Lanes>(point: &Point<K::Reduced>) -> Vec<Entry> {
    let [half, d] = [&HALF, &D].map(Element::from_limbs);
    let mut inverses: Vec<_> = (0..K::LANES).map(|lane| K::get(&point.z, lane)).collect();
    invert_all(&mut inverses);
    let entry = |(lane, inverse): (usize, &Element)| {
        let [x, y] = [&point.x, &point.y].map(|coordinate| K::get(coordinate, lane).mul(inverse));
        let entry = [y.add(&x).mul(&half), y.sub(&x).mul(&half), x.mul(&y).mul(&d)];
        entry.map(|element| {
            let mut number = K::Reduced::default();
            K::set(&mut number, 0, &element.to_limbs());
            number.digits().iter().map(|digit| digit.as_ref()[0]).collect()
        })
    };
    inverses.iter().enumerate().map(entry).collect()
}

/// Which entry an odd scalar below 2^256 takes in window i of `count`, at least [`WINDOWS`], and whether with
/// a minus sign, all ones for yes.
///
/// With k' = (k + 64^count − 1)/2 = ⌊k/2⌋ + 64^count/2 the digit is 2·b + 1 − 64, for the window b of k':
/// positive from b = 32 on.
pub(super) fn digit(scalar: &[u64; 4], i: usize, count: usize) -> (u64, u64) {
    let bit = WINDOW * i + 1;
    let limb = |at: usize| scalar.get(at).copied().unwrap_or(0);
    let both = u128::from(limb(bit / 64)) | u128::from(limb(bit / 64 + 1)) << 64;
    let top = if i + 1 == count { 1 << (WINDOW - 1) } else { 0 };
    let b = (both >> (bit % 64)) as u64 & ((1 << WINDOW) - 1) | top;
    let negative = crate::arith::limbs::mask(b >> (WINDOW - 1) ^ 1);
    ((b ^ negative) & (ENTRIES as u64 - 1), negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::testing::{Operands, big};
    use num_bigint::BigInt;

    #[test]
    fn digits_are_those_of_the_scalar() {
        let mut operands = Operands::new(6);
        let edges = [[1, 0, 0, 0], [u64::MAX; 4], [1, 0, 0, 1 << 63], [3, 0, 0, 0]];
        let drawn: Vec<_> = (0..50).map(|_| operands.rough(4).try_into().unwrap()).collect();
        for mut scalar in edges.into_iter().chain(drawn) {
            scalar[0] |= 1;
            for count in [WINDOWS, 44, 48] {
                let sum = (0..count).rev().fold(BigInt::ZERO, |sum, i| {
                    let (index, negative) = digit(&scalar, i, count);
                    assert!(index < ENTRIES as u64 && (negative == 0 || negative == u64::MAX));
                    let magnitude = BigInt::from(2 * index + 1);
                    (sum << WINDOW) + if negative == 0 { magnitude } else { -magnitude }
                });
                assert_eq!(sum, big(&scalar).into());
            }
        }
    }
}

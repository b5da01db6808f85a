//! One test body for the look-ups, run for every tier.

use super::testing::{Random, with_tier};
use crate::arch::lanes::{LaneVec, Vec4, Vec8};
use crate::arch::lookup::{LookupLanes, SharedTable};
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

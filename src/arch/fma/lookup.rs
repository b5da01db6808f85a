//! Look-ups with AVX2, for both tiers of four lanes.

use super::doubles::{load, load_words, store};
use crate::arch::lanes::Vec4;
use crate::arch::lookup::{LookupLanes, SharedTable};
use crate::arch::tier::{Avx2Fma, AvxIfma};
use std::arch::x86_64::{
    __m128d, __m256d, __m256i, _mm_cvtsi64_si128, _mm256_add_epi64, _mm256_blendv_pd, _mm256_broadcast_pd,
    _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_permutevar_pd, _mm256_set1_epi64x, _mm256_setzero_pd,
    _mm256_sll_epi64, _mm256_slli_epi64,
};

macro_rules! lookups {
    ($($token:ty),*) => {$(
        impl LookupLanes<Vec4> for $token {
            fn select_own(
                self,
                out: &mut [Vec4],
                table: &[Vec4],
                entry_len: usize,
                start: usize,
                index: &Vec4,
            ) {
                assert!(table.len().is_multiple_of(entry_len) && start + out.len() <= entry_len);
                // SAFETY: the token proves AVX2.
                unsafe { own(out, table, (entry_len, start), load_words(index)) }
            }

            fn select_shared(self, out: &mut [Vec4], table: &SharedTable<Vec4>, start: usize, index: &Vec4) {
                // SAFETY: the token proves AVX2.
                unsafe {
                    match table.entries() {
                        16 => shared::<4>(out, table, start, load_words(index)),
                        32 => shared::<8>(out, table, start, load_words(index)),
                        _ => shared::<16>(out, table, start, load_words(index)),
                    }
                }
            }
        }
    )*};
}
lookups!(Avx2Fma, AvxIfma);

/// Six digits at a time stay in registers while all entries pass by.
#[target_feature(enable = "avx2")]
fn own(out: &mut [Vec4], table: &[Vec4], (entry_len, start): (usize, usize), index: __m256i) {
    let digits = out.len();
    let (blocks, rest) = out.as_chunks_mut();
    for (i, block) in blocks.iter_mut().enumerate() {
        own_columns::<6>(block, table, entry_len, start + 6 * i, index);
    }
    let start = start + digits - rest.len();
    for (i, digit) in rest.iter_mut().enumerate() {
        own_columns::<1>(std::array::from_mut(digit), table, entry_len, start + i, index);
    }
}

#[target_feature(enable = "avx2")]
fn own_columns<const N: usize>(
    out: &mut [Vec4; N],
    table: &[Vec4],
    digits: usize,
    start: usize,
    index: __m256i,
) {
    let mut found = [_mm256_setzero_pd(); N];
    let (mut entry, one) = (_mm256_set1_epi64x(0), _mm256_set1_epi64x(1));
    for row in table.chunks_exact(digits) {
        let here = _mm256_castsi256_pd(_mm256_cmpeq_epi64(index, entry));
        for (found, digit) in found.iter_mut().zip(&row[start..start + N]) {
            *found = _mm256_blendv_pd(*found, load(digit), here);
        }
        entry = _mm256_add_epi64(entry, one);
    }
    for (out, found) in out.iter_mut().zip(found) {
        store(out, found);
    }
}

/// A table of `N` vectors a digit. The lowest bit of an index chooses one of two neighbouring words, by
/// permutation inside halves of a vector, and each further bit halves the candidates. (Choosing one of four
/// words needs a permutation across the halves, which costs twice as much as it saves on AMD's Zen 3.)
#[target_feature(enable = "avx2")]
fn shared<const N: usize>(out: &mut [Vec4], table: &SharedTable<Vec4>, start: usize, index: __m256i) {
    // The permutation looks at bit 1, a blend at the sign bit.
    let lowest = _mm256_slli_epi64::<1>(index);
    let mut bits = [_mm256_setzero_pd(); 5];
    for (i, bit) in bits.iter_mut().enumerate() {
        *bit = _mm256_castsi256_pd(_mm256_sll_epi64(index, _mm_cvtsi64_si128(62 - i as i64)));
    }
    let columns = table.columns(start);
    for (out, column) in out.iter_mut().zip(columns) {
        let column: &[Vec4; N] = column.try_into().expect("as many vectors as the entries fill");
        let (groups, _) = column.as_chunks::<4>();
        let mut found = one_of_16(&groups[0], lowest, &bits);
        if let [_, second] = groups {
            found = _mm256_blendv_pd(found, one_of_16(second, lowest, &bits), bits[3]);
        } else if let [_, second, third, fourth] = groups {
            found = _mm256_blendv_pd(found, one_of_16(second, lowest, &bits), bits[3]);
            let third = one_of_16(third, lowest, &bits);
            let upper = _mm256_blendv_pd(third, one_of_16(fourth, lowest, &bits), bits[3]);
            found = _mm256_blendv_pd(found, upper, bits[4]);
        }
        store(out, found);
    }
}

/// In each lane, one of the 16 words of four vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn one_of_16(group: &[Vec4; 4], lowest: __m256i, bits: &[__m256d; 5]) -> __m256d {
    let low =
        _mm256_blendv_pd(one_of_4(&group[0], lowest, bits[0]), one_of_4(&group[1], lowest, bits[0]), bits[1]);
    let high =
        _mm256_blendv_pd(one_of_4(&group[2], lowest, bits[0]), one_of_4(&group[3], lowest, bits[0]), bits[1]);
    _mm256_blendv_pd(low, high, bits[2])
}

/// In each lane, one of the words of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn one_of_4(words: &Vec4, lowest: __m256i, second: __m256d) -> __m256d {
    let ([low, high], []) = words.0.as_chunks::<2>() else { unreachable!("two pairs") };
    let low = _mm256_permutevar_pd(broadcast(low), lowest);
    let high = _mm256_permutevar_pd(broadcast(high), lowest);
    _mm256_blendv_pd(low, high, second)
}

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(pair: &[u64; 2]) -> __m256d {
    // SAFETY: half a `Vec4`, which is aligned to 32 bytes: 16 bytes, aligned to 16.
    unsafe { _mm256_broadcast_pd(&*(pair as *const [u64; 2]).cast::<__m128d>()) }
}

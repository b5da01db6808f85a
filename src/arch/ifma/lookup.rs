//! Look-ups with AVX-512: eight lanes. Those of AVX-IFMA are AVX2's, in `fma/lookup.rs`.

use crate::arch::lanes::Vec8;
use crate::arch::lookup::{LookupLanes, SharedTable};
use crate::arch::tier::Avx512Ifma;
use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_cmpeq_epi64_mask, _mm512_load_si512, _mm512_mask_blend_epi64,
    _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_store_si512,
    _mm512_test_epi64_mask,
};

impl LookupLanes<Vec8> for Avx512Ifma {
    fn select_own(self, out: &mut [Vec8], table: &[Vec8], entry_len: usize, start: usize, index: &Vec8) {
        assert!(table.len().is_multiple_of(entry_len) && start + out.len() <= entry_len);
        // SAFETY: the token proves AVX-512 F.
        unsafe { own(out, table, (entry_len, start), load(index)) }
    }

    fn select_shared(self, out: &mut [Vec8], table: &SharedTable<Vec8>, start: usize, index: &Vec8) {
        // SAFETY: the token proves AVX-512 F.
        unsafe {
            match table.entries() {
                16 => shared::<2, 1>(out, table, start, load(index)),
                32 => shared::<4, 2>(out, table, start, load(index)),
                _ => shared::<8, 4>(out, table, start, load(index)),
            }
        }
    }
}

/// As many digits as there are registers for stay there while all entries pass by: a point's coordinates and
/// powers of P-256 are 25, those of P-384 twice 20.
#[target_feature(enable = "avx512f")]
fn own(out: &mut [Vec8], table: &[Vec8], (entry_len, start): (usize, usize), index: __m512i) {
    match out.len() {
        0 => {}
        25.. if !out.len().is_multiple_of(20) => own_block::<25>(out, table, (entry_len, start), index),
        20.. => own_block::<20>(out, table, (entry_len, start), index),
        5.. => own_block::<5>(out, table, (entry_len, start), index),
        _ => own_block::<1>(out, table, (entry_len, start), index),
    }
}

/// The first digits, then the others.
#[target_feature(enable = "avx512f")]
fn own_block<const N: usize>(
    out: &mut [Vec8],
    table: &[Vec8],
    (entry_len, start): (usize, usize),
    index: __m512i,
) {
    let (block, rest) = out.split_first_chunk_mut().expect("at least as many");
    own_columns::<N>(block, table, entry_len, start, index);
    own(rest, table, (entry_len, start + N), index);
}

#[target_feature(enable = "avx512f")]
fn own_columns<const N: usize>(
    out: &mut [Vec8; N],
    table: &[Vec8],
    digits: usize,
    start: usize,
    index: __m512i,
) {
    let mut found = [_mm512_setzero_si512(); N];
    let (mut entry, one) = (_mm512_setzero_si512(), _mm512_set1_epi64(1));
    for row in table.chunks_exact(digits) {
        let here = _mm512_cmpeq_epi64_mask(index, entry);
        for (found, digit) in found.iter_mut().zip(&row[start..start + N]) {
            *found = _mm512_mask_blend_epi64(here, *found, load_always(digit));
        }
        entry = _mm512_add_epi64(entry, one);
    }
    for (out, found) in out.iter_mut().zip(found) {
        store(out, found);
    }
}

/// A table of `N` vectors a digit. The four low bits of an index choose a word of two vectors, by
/// permutation, and each further bit halves the `HALF` candidates.
#[target_feature(enable = "avx512f")]
fn shared<const N: usize, const HALF: usize>(
    out: &mut [Vec8],
    table: &SharedTable<Vec8>,
    start: usize,
    index: __m512i,
) {
    const { assert!(N == 2 * HALF) };
    let bits = [16, 32].map(|bit| _mm512_test_epi64_mask(index, _mm512_set1_epi64(bit)));
    let columns = table.columns(start);
    for (out, column) in out.iter_mut().zip(columns) {
        let column: &[Vec8; N] = column.try_into().expect("as many vectors as the entries fill");
        let mut candidates = [_mm512_setzero_si512(); HALF];
        for (candidate, pair) in candidates.iter_mut().zip(column.as_chunks::<2>().0) {
            *candidate = _mm512_permutex2var_epi64(load(&pair[0]), index, load(&pair[1]));
        }
        let mut count = HALF;
        for bit in bits {
            if count == 1 {
                break;
            }
            count /= 2;
            for i in 0..count {
                candidates[i] = _mm512_mask_blend_epi64(bit, candidates[2 * i], candidates[2 * i + 1]);
            }
        }
        store(out, candidates[0]);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(v: &Vec8) -> __m512i {
    // SAFETY: `Vec8` is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512((v as *const Vec8).cast()) }
}

/// A load that the compiler cannot merge with a blend into a masked load: what a mask switches off need not
/// be read, and then the addresses would tell the mask.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_always(v: &Vec8) -> __m512i {
    let value;
    // SAFETY: reads a `Vec8`, 64 bytes aligned to 64, and writes a register.
    unsafe {
        asm!(
            "vmovdqa64 {}, [{}]", out(zmm_reg) value, in(reg) v,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    value
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(v: &mut Vec8, value: __m512i) {
    // SAFETY: `Vec8` is 64 bytes, aligned to 64.
    unsafe { _mm512_store_si512((v as *mut Vec8).cast(), value) }
}

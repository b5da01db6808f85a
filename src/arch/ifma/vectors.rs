//! The registers of the two tiers.
//!
//! A value of either type comes from `load` or `splat`, which want the tier's token, or from other such
//! values. So whoever holds one has the proof that the CPU has the instructions: that is what every block
//! below relies on.

use super::Words;
use crate::arch::lanes::{Vec4, Vec8};
use crate::arch::tier::{Avx512Ifma, AvxIfma};
use std::arch::x86_64::*;

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

/// Four lanes.
#[derive(Clone, Copy)]
pub(super) struct Ymm(__m256i);

macro_rules! words {
    ($name:ident, $vec:ident, $token:ident, $register:ident:
        $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $and:ident, $shl:ident, $shr:ident,
        $lo:ident, $hi:ident, |$x:ident| $top_bit:expr, |$a:ident, $b:ident, $mask:ident| $choose:expr) => {
        impl Words for $name {
            type Vec = $vec;
            type Token = $token;

            #[inline(always)]
            fn load(_: $token, from: &$vec) -> Self {
                // SAFETY: the token proves the features; the type has the register's size and alignment.
                Self(unsafe { $load((from as *const $vec).cast()) })
            }
            #[inline(always)]
            fn store(self, to: &mut $vec) {
                // SAFETY: as for `load`, and the borrow is exclusive.
                unsafe { $store((to as *mut $vec).cast(), self.0) }
            }
            #[inline(always)]
            fn splat(_: $token, word: u64) -> Self {
                // SAFETY: the token proves the features.
                Self(unsafe { $splat(word as i64) })
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $and(self.0, other.0) })
            }
            #[inline(always)]
            fn shl(self, bits: u32) -> Self {
                // SAFETY: see the module. A constant count becomes an immediate.
                Self(unsafe { $shl(self.0, $splat(bits.into())) })
            }
            #[inline(always)]
            fn shr(self, bits: u32) -> Self {
                // SAFETY: see the module. A constant count becomes an immediate.
                Self(unsafe { $shr(self.0, $splat(bits.into())) })
            }
            #[inline(always)]
            fn madd_lo(self, a: Self, b: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $lo(self.0, a.0, b.0) })
            }
            #[inline(always)]
            fn madd_hi(self, a: Self, b: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $hi(self.0, a.0, b.0) })
            }
            #[inline(always)]
            fn top_bit(self) -> Self {
                let $x = self.0;
                // SAFETY: see the module.
                Self(unsafe { $top_bit })
            }
            #[inline(always)]
            fn choose(self, other: Self, mask: Self) -> Self {
                let ($a, $b, $mask) = (self.0, other.0, mask.0);
                // SAFETY: see the module.
                Self(unsafe { $choose })
            }
        }
    };
}

words!(Zmm, Vec8, Avx512Ifma, __m512i:
    _mm512_load_si512, _mm512_store_si512, _mm512_set1_epi64, _mm512_add_epi64, _mm512_sub_epi64,
    _mm512_and_si512, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_madd52lo_epu64, _mm512_madd52hi_epu64,
    |x| _mm512_srai_epi64::<63>(x),
    // Bit by bit, the second operand where the third is set, else the first.
    |a, b, mask| _mm512_ternarylogic_epi64::<0xd8>(a, b, mask));

words!(Ymm, Vec4, AvxIfma, __m256i:
    _mm256_load_si256, _mm256_store_si256, _mm256_set1_epi64x, _mm256_add_epi64, _mm256_sub_epi64,
    _mm256_and_si256, _mm256_sllv_epi64, _mm256_srlv_epi64, _mm256_madd52lo_avx_epu64,
    _mm256_madd52hi_avx_epu64,
    |x| _mm256_cmpgt_epi64(_mm256_setzero_si256(), x), |a, b, mask| _mm256_blendv_epi8(a, b, mask));

//! Montgomery multiplication in the two IFMA tiers: unsigned digits of 52 bits, numbers of whole blocks of
//! ten digits.
//!
//! The assembly functions are written once (`asm/ifma_*.inc`) and assembled for either tier's instructions;
//! the eight lanes of AVX-512 have room to do numbers of two blocks in registers.

use crate::arch::lanes::{LaneVec, Moduli, MontLanes, Shape, Vec4, Vec8};
use crate::arch::tier::{Avx512Ifma, AvxIfma, TierKind};
use std::arch::global_asm;

const RADIX_BITS: u32 = 52;
/// Kernels work on blocks of this many digits.
const BLOCK: usize = 10;
/// Digits of the largest modulus, 4096 bits. The column sums of that many have room for no more than 500.
const MAX_DIGITS: usize = 80;

/// The shape for moduli of `bits` bits: the whole blocks that hold 16·2^bits.
fn shape(bits: usize) -> Option<Shape> {
    let digits = (bits + 4).div_ceil(RADIX_BITS as usize).next_multiple_of(BLOCK);
    (bits > 0 && digits <= MAX_DIGITS).then_some(Shape { digits, radix_bits: RADIX_BITS })
}

/// The blocks of a number, once it is sure that kernels may read and write as far as the shape says.
///
/// # Panics
/// If the shape is none of [`shape`]'s, or an operand's length is not the shape's.
fn blocks<V: LaneVec>(operands: &[&[V]], m: Moduli<'_, V>, scratch: &[V]) -> usize {
    let Shape { digits, radix_bits } = m.shape;
    assert!(radix_bits == RADIX_BITS && digits > 0 && digits <= MAX_DIGITS && digits.is_multiple_of(BLOCK));
    assert!(operands.iter().chain([&m.n]).all(|operand| operand.len() == digits));
    assert!(!m.n_inv.is_empty() && scratch.len() >= digits);
    digits / BLOCK
}

/// The entries of a table, once it is sure that a kernel may read and write as far as the lengths say.
///
/// # Panics
/// If the table is not a whole number of entries, an entry not a whole number of blocks, or an index missing.
fn entries<V: LaneVec>(out: &[V], table: &[V], index: &[u64], lanes: usize) -> usize {
    assert!(!out.is_empty() && out.len().is_multiple_of(BLOCK) && index.len() == lanes);
    assert!(!table.is_empty() && table.len().is_multiple_of(out.len()));
    table.len() / out.len()
}

global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avx512ifma.S")), options(raw));
global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avxifma.S")), options(raw));

/// A tier's assembly functions, and the trait that leads to them. All need the tier's features, and pointers
/// to whole numbers, aligned as vectors are.
macro_rules! montgomery {
    (
        $token:ident, $vec:ident, $lanes:literal,
        mod $kernels:ident { $mul:literal, $sqr:literal, $select:literal }
        $(two blocks { $mul20:ident, $sqr20:ident })?
    ) => {
        mod $kernels {
            use super::$vec;

            unsafe extern "sysv64" {
                /// asm/ifma_mul.inc
                #[link_name = $mul]
                pub(super) fn mul(
                    acc: *mut $vec,
                    n: *const $vec,
                    n_inv: *const $vec,
                    scratch: *mut $vec,
                    blocks: usize,
                    b: *const $vec,
                );

                /// asm/ifma_sqr.inc
                #[link_name = $sqr]
                pub(super) fn sqr(
                    acc: *mut $vec,
                    n: *const $vec,
                    n_inv: *const $vec,
                    scratch: *mut $vec,
                    blocks: usize,
                );

                /// asm/avx512ifma_select.S, asm/avxifma_select.S
                #[link_name = $select]
                pub(super) fn select(
                    out: *mut $vec,
                    table: *const $vec,
                    index: *const u64,
                    digits: usize,
                    entries: usize,
                );
            }
        }

        impl MontLanes for $token {
            const KIND: TierKind = TierKind::$token;
            const LANES: usize = $lanes;
            const BALANCED: bool = false;
            type Vec = $vec;

            fn shape(bits: usize) -> Option<Shape> {
                shape(bits)
            }

            fn scratch_len(shape: Shape) -> usize {
                shape.digits
            }

            fn set(v: &mut $vec, lane: usize, digit: i64) {
                v.0[lane] = digit as u64;
            }

            fn get(v: &$vec, lane: usize) -> i64 {
                v.0[lane] as i64
            }

            fn mul(self, acc: &mut [$vec], b: &[$vec], m: Moduli<'_, $vec>, scratch: &mut [$vec]) {
                let blocks = blocks(&[acc, b], m, scratch);
                let (acc, scratch) = (acc.as_mut_ptr(), scratch.as_mut_ptr());
                let (n, n_inv, b) = (m.n.as_ptr(), m.n_inv.as_ptr(), b.as_ptr());
                // SAFETY: the token proves the features. `blocks` has checked the lengths; the borrows are
                // exclusive where the kernel writes, and a vector is aligned by its type.
                unsafe {
                    $(if blocks == 2 {
                        return $mul20(acc, n, n_inv, scratch, b);
                    })?
                    $kernels::mul(acc, n, n_inv, scratch, blocks, b);
                }
            }

            fn sqr(self, acc: &mut [$vec], m: Moduli<'_, $vec>, scratch: &mut [$vec]) {
                self.sqr_times(acc, 1, m, scratch);
            }

            fn sqr_times(self, acc: &mut [$vec], times: usize, m: Moduli<'_, $vec>, scratch: &mut [$vec]) {
                let blocks = blocks(&[acc], m, scratch);
                let (acc, scratch) = (acc.as_mut_ptr(), scratch.as_mut_ptr());
                let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
                // SAFETY: as for `mul`. The kernel for two blocks wants at least one squaring.
                unsafe {
                    $(if blocks == 2 && times > 0 {
                        return $sqr20(acc, n, n_inv, scratch, times);
                    })?
                    for _ in 0..times {
                        $kernels::sqr(acc, n, n_inv, scratch, blocks);
                    }
                }
            }

            fn select(self, out: &mut [$vec], table: &[$vec], index: &[u64]) {
                let entries = entries(out, table, index, Self::LANES);
                let digits = out.len();
                // SAFETY: the token proves the features. `entries` has checked the lengths; the borrow of
                // `out` is exclusive, and a vector is aligned by its type.
                unsafe { $kernels::select(out.as_mut_ptr(), table.as_ptr(), index.as_ptr(), digits, entries) }
            }
        }
    };
}

montgomery! {
    Avx512Ifma, Vec8, 8,
    mod avx512 {
        "rustls_multibuffer_avx512ifma_mul",
        "rustls_multibuffer_avx512ifma_sqr",
        "rustls_multibuffer_avx512ifma_select"
    }
    two blocks { mul20, sqr20 }
}
montgomery! {
    AvxIfma, Vec4, 4,
    mod avx {
        "rustls_multibuffer_avxifma_mul",
        "rustls_multibuffer_avxifma_sqr",
        "rustls_multibuffer_avxifma_select"
    }
}

unsafe extern "sysv64" {
    /// asm/avx512ifma_mul20.S
    #[link_name = "rustls_multibuffer_avx512ifma_mul20"]
    fn mul20(acc: *mut Vec8, n: *const Vec8, n_inv: *const Vec8, scratch: *mut Vec8, b: *const Vec8);

    /// asm/avx512ifma_sqr20.S
    #[link_name = "rustls_multibuffer_avx512ifma_sqr20"]
    fn sqr20(acc: *mut Vec8, n: *const Vec8, n_inv: *const Vec8, scratch: *mut Vec8, times: usize);
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(in crate::arch) mod calls {
    use super::*;
    use crate::arch::tests::calls::{Argument, Argument::Number, Call, lanes, random};

    pub(in crate::arch) fn avx512() -> Vec<Call> {
        let [mul, sqr, select] =
            [avx512::mul as *const (), avx512::sqr as *const (), avx512::select as *const ()];
        let mut calls = of_tier::<Vec8>([
            ("avx512ifma_mul", mul),
            ("avx512ifma_sqr", sqr),
            ("avx512ifma_select", select),
        ]);
        let moduli = || operands::<Vec8>(20);
        let mut call = |name, function, last| {
            let arguments = moduli().into_iter().chain([last]).collect();
            calls.push(Call { name, function, arguments });
        };
        call("avx512ifma_mul20", mul20 as *const (), input::<Vec8>(5, 20));
        call("avx512ifma_sqr20", sqr20 as *const (), Number(5));
        calls
    }

    pub(in crate::arch) fn avx() -> Vec<Call> {
        let [mul, sqr, select] = [avx::mul as *const (), avx::sqr as *const (), avx::select as *const ()];
        of_tier::<Vec4>([("avxifma_mul", mul), ("avxifma_sqr", sqr), ("avxifma_select", select)])
    }

    fn input<V: LaneVec>(seed: u64, digits: usize) -> Argument {
        Argument::In(random(seed, digits * lanes::<V>()))
    }

    /// A number, a modulus, what belongs to it, and scratch space.
    fn operands<V: LaneVec>(digits: usize) -> [Argument; 4] {
        let vectors = |seed| random(seed, digits * lanes::<V>());
        [
            Argument::Out(vectors(1)),
            Argument::In(vectors(2)),
            Argument::In(vectors(3)),
            Argument::Scratch(vectors(4)),
        ]
    }

    fn of_tier<V: LaneVec>([mul, sqr, select]: [(&'static str, *const ()); 3]) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut call = |(name, function), arguments| calls.push(Call { name, function, arguments });
        for (digits, entries) in [(10, 7), (20, 4), (80, 32)] {
            let index = random(9, lanes::<V>()).into_iter().map(|word| word % entries as u64).collect();
            let out = Argument::Out(random(1, digits * lanes::<V>()));
            let table = input::<V>(2, digits * entries);
            call(select, vec![out, table, Argument::In(index), Number(digits), Number(entries)]);
        }
        for blocks in 1..=8 {
            let shared = || operands::<V>(10 * blocks).into_iter().chain([Number(blocks)]);
            call(sqr, shared().collect());
            call(mul, shared().chain([input::<V>(5, 10 * blocks)]).collect());
        }
        calls
    }
}

//! The kernels of AVX-IFMA, the VEX encoding: four lanes.

use super::ifma;
use super::lanes::{Moduli, MontLanes, Shape, Vec4};
use super::tier::{AvxIfma, TierKind};

std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avxifma.S")), options(raw));

impl MontLanes for AvxIfma {
    const KIND: TierKind = TierKind::AvxIfma;
    const LANES: usize = 4;
    const BALANCED: bool = false;
    type Vec = Vec4;

    fn shape(bits: usize) -> Option<Shape> {
        ifma::shape(bits)
    }

    fn scratch_len(shape: Shape) -> usize {
        shape.digits
    }

    fn set(v: &mut Vec4, lane: usize, digit: i64) {
        v.0[lane] = digit as u64;
    }

    fn get(v: &Vec4, lane: usize) -> i64 {
        v.0[lane] as i64
    }

    fn mul(self, acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        let blocks = ifma::blocks(&[acc, b], m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        // SAFETY: the token proves the features. `blocks` has checked the lengths; the borrows are exclusive
        // where the kernel writes, and a vector is aligned by its type.
        unsafe { kernels::mul(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), blocks, b.as_ptr()) }
    }

    fn sqr(self, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        self.sqr_times(acc, 1, m, scratch);
    }

    fn sqr_times(self, acc: &mut [Vec4], times: usize, m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        let blocks = ifma::blocks(&[acc], m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        for _ in 0..times {
            // SAFETY: as for `mul`.
            unsafe { kernels::sqr(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), blocks) }
        }
    }

    fn select(self, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
        let entries = ifma::entries(out, table, index, Self::LANES);
        let digits = out.len();
        // SAFETY: the token proves the features. `entries` has checked the lengths; the borrow of `out` is
        // exclusive, and a vector is aligned by its type.
        unsafe { kernels::select(out.as_mut_ptr(), table.as_ptr(), index.as_ptr(), digits, entries) }
    }
}

/// The assembly functions. All need the tier's features, and pointers to whole numbers, aligned as vectors are.
mod kernels {
    use super::Vec4;

    unsafe extern "sysv64" {
        /// asm/ifma_mul.inc
        #[link_name = "rustls_multibuffer_avxifma_mul"]
        pub(super) fn mul(
            acc: *mut Vec4,
            n: *const Vec4,
            n_inv: *const Vec4,
            scratch: *mut Vec4,
            blocks: usize,
            b: *const Vec4,
        );

        /// asm/ifma_sqr.inc
        #[link_name = "rustls_multibuffer_avxifma_sqr"]
        pub(super) fn sqr(
            acc: *mut Vec4,
            n: *const Vec4,
            n_inv: *const Vec4,
            scratch: *mut Vec4,
            blocks: usize,
        );

        /// asm/avxifma_select.S
        #[link_name = "rustls_multibuffer_avxifma_select"]
        pub(super) fn select(
            out: *mut Vec4,
            table: *const Vec4,
            index: *const u64,
            digits: usize,
            entries: usize,
        );
    }
}

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> Vec<super::calls::Call> {
    use super::calls::{Argument, Argument::Number, Call, lanes, random};
    let vectors = |seed, digits| random(seed, digits * lanes::<Vec4>());
    let (input, out) = (|seed, n| Argument::In(vectors(seed, n)), |seed, n| Argument::Out(vectors(seed, n)));
    let scratch = |n| Argument::Scratch(vectors(4, n));
    let call =
        |name, function, arguments: [Argument; 5]| Call { name, function, arguments: arguments.into() };
    let mut calls = Vec::new();
    for (digits, entries) in [(10, 7), (20, 4), (80, 32)] {
        let index = random(9, lanes::<Vec4>()).into_iter().map(|word| word % entries as u64).collect();
        let table = input(2, digits * entries);
        let arguments = [out(1, digits), table, Argument::In(index), Number(digits), Number(entries)];
        calls.push(call("avxifma_select", kernels::select as *const (), arguments));
    }
    for blocks in 1..=8 {
        let n = 10 * blocks;
        let shared = || [out(1, n), input(2, n), input(3, n), scratch(n), Number(blocks)];
        calls.push(call("avxifma_sqr", kernels::sqr as *const (), shared()));
        let mut mul = call("avxifma_mul", kernels::mul as *const (), shared());
        mul.arguments.push(input(5, n));
        calls.push(mul);
    }
    calls
}

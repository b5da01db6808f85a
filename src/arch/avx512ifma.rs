//! The kernels of AVX-512 IFMA: eight lanes.

use super::ifma;
use super::lanes::{Moduli, MontLanes, Shape, Vec8};
use super::tier::{Avx512Ifma, TierKind};

std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avx512ifma.S")), options(raw));

impl MontLanes for Avx512Ifma {
    const KIND: TierKind = TierKind::Avx512Ifma;
    const LANES: usize = 8;
    const BALANCED: bool = false;
    type Vec = Vec8;

    fn shape(bits: usize) -> Option<Shape> {
        ifma::shape(bits)
    }

    fn scratch_len(shape: Shape) -> usize {
        shape.digits
    }

    fn set(v: &mut Vec8, lane: usize, digit: i64) {
        v.0[lane] = digit as u64;
    }

    fn get(v: &Vec8, lane: usize) -> i64 {
        v.0[lane] as i64
    }

    fn mul(self, acc: &mut [Vec8], b: &[Vec8], m: Moduli<'_, Vec8>, scratch: &mut [Vec8]) {
        let blocks = ifma::blocks(&[acc, b], m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        // SAFETY: the token proves the features. `blocks` has checked the lengths; the borrows are exclusive
        // where the kernel writes, and a vector is aligned by its type.
        unsafe {
            match blocks {
                2 => kernels::mul20(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), b.as_ptr()),
                _ => kernels::mul(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), blocks, b.as_ptr()),
            }
        }
    }

    fn sqr(self, acc: &mut [Vec8], m: Moduli<'_, Vec8>, scratch: &mut [Vec8]) {
        self.sqr_times(acc, 1, m, scratch);
    }

    fn sqr_times(self, acc: &mut [Vec8], times: usize, m: Moduli<'_, Vec8>, scratch: &mut [Vec8]) {
        let blocks = ifma::blocks(&[acc], m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        // SAFETY: as for `mul`. The kernel for two blocks wants at least one squaring.
        unsafe {
            if blocks == 2 && times > 0 {
                kernels::sqr20(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), times);
            } else {
                for _ in 0..times {
                    kernels::sqr(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), blocks);
                }
            }
        }
    }

    fn select(self, out: &mut [Vec8], table: &[Vec8], index: &[u64]) {
        let entries = ifma::entries(out, table, index, Self::LANES);
        let digits = out.len();
        // SAFETY: the token proves the features. `entries` has checked the lengths; the borrow of `out` is
        // exclusive, and a vector is aligned by its type.
        unsafe { kernels::select(out.as_mut_ptr(), table.as_ptr(), index.as_ptr(), digits, entries) }
    }
}

/// The assembly functions. All need the tier's features, and pointers to whole numbers, aligned as vectors are.
mod kernels {
    use super::Vec8;

    unsafe extern "sysv64" {
        /// asm/ifma_mul.inc
        #[link_name = "rustls_multibuffer_avx512ifma_mul"]
        pub(super) fn mul(
            acc: *mut Vec8,
            n: *const Vec8,
            n_inv: *const Vec8,
            scratch: *mut Vec8,
            blocks: usize,
            b: *const Vec8,
        );

        /// asm/ifma_sqr.inc
        #[link_name = "rustls_multibuffer_avx512ifma_sqr"]
        pub(super) fn sqr(
            acc: *mut Vec8,
            n: *const Vec8,
            n_inv: *const Vec8,
            scratch: *mut Vec8,
            blocks: usize,
        );

        /// asm/avx512ifma_mul20.S
        #[link_name = "rustls_multibuffer_avx512ifma_mul20"]
        pub(super) fn mul20(
            acc: *mut Vec8,
            n: *const Vec8,
            n_inv: *const Vec8,
            scratch: *mut Vec8,
            b: *const Vec8,
        );

        /// asm/avx512ifma_sqr20.S
        #[link_name = "rustls_multibuffer_avx512ifma_sqr20"]
        pub(super) fn sqr20(
            acc: *mut Vec8,
            n: *const Vec8,
            n_inv: *const Vec8,
            scratch: *mut Vec8,
            times: usize,
        );

        /// asm/avx512ifma_select.S
        #[link_name = "rustls_multibuffer_avx512ifma_select"]
        pub(super) fn select(
            out: *mut Vec8,
            table: *const Vec8,
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
    let vectors = |seed, digits| random(seed, digits * lanes::<Vec8>());
    let (input, out) = (|seed, n| Argument::In(vectors(seed, n)), |seed, n| Argument::Out(vectors(seed, n)));
    let scratch = |n| Argument::Scratch(vectors(4, n));
    let call =
        |name, function, arguments: [Argument; 5]| Call { name, function, arguments: arguments.into() };
    let mut calls = vec![
        call(
            "avx512ifma_mul20",
            kernels::mul20 as *const (),
            [out(1, 20), input(2, 20), input(3, 20), scratch(20), input(5, 20)],
        ),
        call(
            "avx512ifma_sqr20",
            kernels::sqr20 as *const (),
            [out(1, 20), input(2, 20), input(3, 20), scratch(20), Number(5)],
        ),
    ];
    for (digits, entries) in [(10, 7), (20, 4), (80, 32)] {
        let index = random(9, lanes::<Vec8>()).into_iter().map(|word| word % entries as u64).collect();
        let table = input(2, digits * entries);
        let arguments = [out(1, digits), table, Argument::In(index), Number(digits), Number(entries)];
        calls.push(call("avx512ifma_select", kernels::select as *const (), arguments));
    }
    for blocks in 1..=8 {
        let n = 10 * blocks;
        let shared = || [out(1, n), input(2, n), input(3, n), scratch(n), Number(blocks)];
        calls.push(call("avx512ifma_sqr", kernels::sqr as *const (), shared()));
        let mut mul = call("avx512ifma_mul", kernels::mul as *const (), shared());
        mul.arguments.push(input(5, n));
        calls.push(mul);
    }
    calls
}

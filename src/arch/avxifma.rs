//! The kernels of AVX-IFMA, the VEX encoding: four lanes.

use super::ifma;
use super::lanes::{Moduli, MontLanes, Shape, Vec4};
use super::tier::{AvxIfma, TierKind};

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
        let blocks = ifma::blocks(&[acc], m, scratch);
        let (n, n_inv) = (m.n.as_ptr(), m.n_inv.as_ptr());
        // SAFETY: as for `mul`.
        unsafe { kernels::sqr(acc.as_mut_ptr(), n, n_inv, scratch.as_mut_ptr(), blocks) }
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

    crate::arch::asm::kernels! {
    /// asm/ifma_mul.inc
    fn mul(acc: *mut Vec4, n: *const Vec4, n_inv: *const Vec4, scratch: *mut Vec4, blocks: usize, b: *const Vec4)
        = "rustls_multibuffer_avxifma_mul";

    /// asm/ifma_sqr.inc
    fn sqr(acc: *mut Vec4, n: *const Vec4, n_inv: *const Vec4, scratch: *mut Vec4, blocks: usize)
        = "rustls_multibuffer_avxifma_sqr";

    /// asm/avxifma_select.S
    fn select(out: *mut Vec4, table: *const Vec4, index: *const u64, digits: usize, entries: usize)
        = "rustls_multibuffer_avxifma_select";
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::arch::{TierKind, abi, testing::with_tier};

    #[test]
    fn lanes_calling_convention() {
        with_tier(TierKind::AvxIfma, AvxIfma::detect(), |_| {
            let mut operands = [(); 5].map(|()| vec![Vec4([0x000f_edcb_a987_6543; AvxIfma::LANES]); 80]);
            let [acc, n, n_inv, scratch, b] = operands.each_mut().map(|v| v.as_mut_ptr() as usize);
            let index = [1u64; AvxIfma::LANES];
            let mut calls = vec![
                ("select", kernels::select as *const (), [acc, b, index.as_ptr() as usize, 10, 7, 0]),
                ("select", kernels::select as *const (), [acc, b, index.as_ptr() as usize, 20, 4, 0]),
            ];
            for blocks in 1..=8 {
                calls.push(("mul", kernels::mul as *const (), [acc, n, n_inv, scratch, blocks, b]));
                calls.push(("sqr", kernels::sqr as *const (), [acc, n, n_inv, scratch, blocks, 0]));
            }
            for (name, kernel, arguments) in calls {
                // SAFETY: the tier was detected. The pointers are to 80 vectors, eight blocks, each.
                let violations = unsafe { abi::violations(kernel, arguments) };
                assert!(violations.is_empty(), "{name}{arguments:x?}: {violations:?}");
            }
        });
    }
}

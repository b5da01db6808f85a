//! The executable specification of the lane kernels: plain Rust, one lane after the other.
//!
//! Radix 2^52, unsigned, word-serial (Koç, Acar, Kaliski: "Analyzing and comparing Montgomery multiplication
//! algorithms", CIOS). It is what the SIMD kernels are compared with, so it is written to be read.

use crate::arch::lanes::{Moduli, MontLanes, Shape, Vec4};
use crate::arch::tier::{Portable, TierKind};
use subtle::{ConditionallySelectable, ConstantTimeEq};

const RADIX: u32 = 52;
const MASK: u64 = (1 << RADIX) - 1;
/// Digits of the largest modulus, 4096 bits.
const MAX_DIGITS: usize = 80;

impl MontLanes for Portable {
    const KIND: TierKind = TierKind::Portable;
    const LANES: usize = 4;
    const BALANCED: bool = false;
    type Vec = Vec4;

    fn shape(bits: usize) -> Option<Shape> {
        let digits = (bits + 4).div_ceil(RADIX as usize);
        (digits <= MAX_DIGITS).then_some(Shape { digits, radix_bits: RADIX })
    }

    fn scratch_len(_: Shape) -> usize {
        0
    }

    fn set(v: &mut Vec4, lane: usize, digit: i64) {
        v.0[lane] = digit as u64;
    }

    fn get(v: &Vec4, lane: usize) -> i64 {
        v.0[lane] as i64
    }

    fn mul(self, acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, _: &mut [Vec4]) {
        for lane in 0..Self::LANES {
            mul_lane(acc, b, m, lane);
        }
    }

    fn sqr(self, acc: &mut [Vec4], m: Moduli<'_, Vec4>, scratch: &mut [Vec4]) {
        let mut copy = [Vec4::default(); MAX_DIGITS];
        copy[..acc.len()].copy_from_slice(acc);
        self.mul(acc, &copy[..acc.len()], m, scratch);
        zeroize::Zeroize::zeroize(&mut copy[..]);
    }

    fn select(self, out: &mut [Vec4], table: &[Vec4], index: &[u64]) {
        let digits = out.len();
        for (entry, digits) in table.chunks_exact(digits).enumerate() {
            for (o, d) in out.iter_mut().zip(digits) {
                for (lane, &index) in index.iter().enumerate() {
                    o.0[lane].conditional_assign(&d.0[lane], index.ct_eq(&(entry as u64)));
                }
            }
        }
    }
}

/// One lane of acc ← acc · b · R⁻¹ mod n: for every digit of b, add its multiple of acc, then the multiple of
/// n that clears the lowest digit, and drop that digit.
fn mul_lane(acc: &mut [Vec4], b: &[Vec4], m: Moduli<'_, Vec4>, lane: usize) {
    let digits = m.shape.digits;
    let n0_inv = m.n_inv[0].0[lane];
    let mut t = [0u64; MAX_DIGITS + 1];
    for b in &b[..digits] {
        let b = b.0[lane];
        let q = t[0].wrapping_add(acc[0].0[lane].wrapping_mul(b)).wrapping_mul(n0_inv) & MASK;
        let mut carry = 0u128;
        for i in 0..digits {
            let sum = t[i] as u128
                + acc[i].0[lane] as u128 * b as u128
                + m.n[i].0[lane] as u128 * q as u128
                + carry;
            if i > 0 {
                t[i - 1] = sum as u64 & MASK;
            }
            carry = sum >> RADIX;
        }
        let sum = t[digits] as u128 + carry;
        t[digits - 1] = sum as u64 & MASK;
        t[digits] = (sum >> RADIX) as u64;
    }
    for (a, t) in acc.iter_mut().zip(&t[..digits]) {
        a.0[lane] = *t;
    }
    zeroize::Zeroize::zeroize(&mut t[..]);
}

//! The executable specification of the lane kernels: plain Rust, one lane after the other.
//!
//! Unsigned limbs of 51 bits. Reduced ones are below 2^52, those of sums below 2^54: a difference is kept
//! positive by adding 4p.

use crate::arch::field25519::{Element, FOUR_P, Field25519Lanes, Reduced, Sum};
use crate::arch::lanes::Vec4;
use crate::arch::tier::{Portable, TierKind};
use crate::arch::value_barrier;

const LIMBS: usize = 5;
const LANES: usize = 4;

fn load(sum: &Sum<Vec4, LIMBS>, lane: usize) -> [u64; LIMBS] {
    sum.0.map(|v| v.0[lane])
}

fn store(out: &mut Sum<Vec4, LIMBS>, lane: usize, limbs: [u64; LIMBS]) {
    for (v, limb) in out.0.iter_mut().zip(limbs) {
        v.0[lane] = limb;
    }
}

impl Field25519Lanes for Portable {
    const KIND: TierKind = TierKind::Portable;
    const LANES: usize = LANES;
    type Mask = Vec4;
    type Sum = Sum<Vec4, LIMBS>;
    type Reduced = Reduced<Vec4, LIMBS>;

    fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64; 4]) {
        debug_assert!(limbs[3] >> 63 == 0);
        store(&mut out.0, lane, Element::from_limbs(limbs).limbs());
    }

    fn get(element: &Self::Reduced, lane: usize) -> Element {
        Element::from_weakly_reduced(load(element, lane))
    }

    fn add_sub(self, sum: &mut Self::Sum, difference: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        self.add(sum, a, b);
        self.sub(difference, a, b);
    }

    fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        for lane in 0..LANES {
            let (a, b) = (load(a, lane), load(b, lane));
            store(out, lane, std::array::from_fn(|i| a[i] + b[i]));
        }
    }

    fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
        for lane in 0..LANES {
            let (a, b) = (load(a, lane), load(b, lane));
            store(out, lane, std::array::from_fn(|i| a[i] + FOUR_P[i] - b[i]));
        }
    }

    fn reduce(self, out: &mut Self::Reduced, a: &Self::Sum) {
        for lane in 0..LANES {
            store(&mut out.0, lane, Element::carried(load(a, lane).map(u128::from)).limbs());
        }
    }

    fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
        for lane in 0..LANES {
            let product = Element::mul_wide(&load(a, lane), &load(b, lane));
            store(&mut out.0, lane, product.limbs());
        }
    }

    fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
        self.mul(out, a, a);
    }

    fn add_121665(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Sum) {
        for lane in 0..LANES {
            let (a, b) = (load(a, lane), load(b, lane));
            let sum = std::array::from_fn(|i| u128::from(a[i]) + 121_665 * u128::from(b[i]));
            store(out, lane, Element::carried(sum).limbs());
        }
    }

    fn assign_if(self, out: &mut Self::Sum, other: &Self::Sum, mask: &Vec4) {
        for (out, other) in out.0.iter_mut().zip(&other.0) {
            for lane in 0..LANES {
                out.0[lane] ^= (out.0[lane] ^ other.0[lane]) & value_barrier(mask.0[lane]);
            }
        }
    }
}

//! The executable specification of the lane kernels: plain Rust, one lane after the other.
//!
//! Unsigned digits of 52 bits, with R at least 16p: then a product of two sums, below 16p², comes out of the
//! Montgomery reduction below 2p.

use crate::arch::lanes::{LaneVec, Moduli, MontLanes, Shape, Vec4};
use crate::arch::prime::{MAX_COMBINED, P256, P384, Prime, PrimeLanes, Reduced, Sum};
use crate::arch::tier::Portable;
use crate::arch::value_barrier;

const RADIX: u32 = 52;
const MASK: i128 = (1 << RADIX) - 1;
const LANES: usize = 4;

/// `D` digits of one lane, with signs.
type Wide<const D: usize> = [i128; D];

/// Digits of p and of −p⁻¹ mod 2^52, in every lane.
struct Constants<const D: usize> {
    p: [Vec4; D],
    n_inv: [Vec4; 1],
}

impl<const D: usize> Constants<D> {
    fn of<P: Prime>() -> Self {
        let p = digits::<D>(P::P);
        // Newton's iteration; p is its own inverse modulo 8.
        let p0 = p[0] as u64;
        let inverse = (0..5).fold(p0, |x, _| x.wrapping_mul(2u64.wrapping_sub(p0.wrapping_mul(x))));
        let n_inv = inverse.wrapping_neg() & MASK as u64;
        Self { p: p.map(|d| Vec4([d as u64; LANES])), n_inv: [Vec4([n_inv; LANES])] }
    }

    fn moduli(&self) -> Moduli<'_, Vec4> {
        Moduli { shape: Shape { digits: D, radix_bits: RADIX }, n: &self.p, n_inv: &self.n_inv }
    }
}

fn digits<const D: usize>(limbs: &[u64]) -> Wide<D> {
    std::array::from_fn(|i| {
        let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
        let at = |i: usize| u128::from(limbs.get(i).copied().unwrap_or(0));
        ((at(limb) | at(limb + 1) << 64) >> shift) as i128 & MASK
    })
}

fn load<V: LaneVec, const D: usize>(sum: &Sum<V, D>, lane: usize) -> Wide<D> {
    sum.0.map(|v| v.as_ref()[lane].into())
}

fn store<V: LaneVec, const D: usize>(out: &mut Sum<V, D>, lane: usize, digits: &Wide<D>) {
    for (v, digit) in out.0.iter_mut().zip(digits) {
        v.as_mut()[lane] = *digit as u64;
    }
}

/// [`PrimeLanes::set`] of every tier whose digits are these.
pub(in crate::arch) fn set_digits<V: LaneVec, const D: usize>(
    out: &mut Reduced<V, D>,
    lane: usize,
    limbs: &[u64],
) {
    store(&mut out.0, lane, &digits(limbs));
}

/// [`PrimeLanes::get`] of every tier whose digits are these.
pub(in crate::arch) fn get_limbs<P: Prime, V: LaneVec, const D: usize>(
    out: &mut [u64],
    element: &Reduced<V, D>,
    lane: usize,
) {
    let mut x = load(element, lane);
    subtract_unless_negative(&mut x, &digits(P::P), 1);
    out.fill(0);
    for (i, digit) in x.into_iter().enumerate() {
        let (limb, shift) = (RADIX as usize * i / 64, RADIX as usize * i % 64);
        let shifted = (digit as u128) << shift;
        if let Some(out) = out.get_mut(limb) {
            *out |= shifted as u64;
        }
        if let Some(out) = out.get_mut(limb + 1) {
            *out |= (shifted >> 64) as u64;
        }
    }
}

/// Makes all digits but the last unsigned ones of 52 bits; the last one takes the sign.
fn carry<const D: usize>(x: &mut Wide<D>) {
    for i in 0..D - 1 {
        x[i + 1] += x[i] >> RADIX;
        x[i] &= MASK;
    }
}

/// x ← x − times·p, unless that is negative.
fn subtract_unless_negative<const D: usize>(x: &mut Wide<D>, p: &Wide<D>, times: i128) {
    let mut y: Wide<D> = std::array::from_fn(|i| x[i] - times * p[i]);
    carry(&mut y);
    let negative = i128::from(value_barrier((y[D - 1] >> 64) as u64) as i64);
    for (x, y) in x.iter_mut().zip(y) {
        *x = (*x & negative) | (y & !negative);
    }
}

/// x, with digits that may be negative, modulo p and below 2p, for −[`MAX_COMBINED`]·2p < x <
/// [`MAX_COMBINED`]·2p.
fn reduce<const D: usize>(mut x: Wide<D>, p: &Wide<D>) -> Wide<D> {
    let lift = 2 * MAX_COMBINED as i128;
    x.iter_mut().zip(p).for_each(|(x, p)| *x += lift * p);
    carry(&mut x);
    for times in [32, 16, 8, 4, 2] {
        subtract_unless_negative(&mut x, p, times);
    }
    x
}

macro_rules! portable {
    ($($prime:ty: $digits:literal),*) => {$(
        impl PrimeLanes<$prime> for Portable {
            const LANES: usize = LANES;
            const R_BITS: usize = $digits * RADIX as usize;
            type Vec = Vec4;
            type Sum = Sum<Vec4, $digits>;
            type Reduced = Reduced<Vec4, $digits>;

            fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64]) {
                set_digits(out, lane, limbs);
            }

            fn get(out: &mut [u64], element: &Self::Reduced, lane: usize) {
                get_limbs::<$prime, _, $digits>(out, element, lane);
            }

            fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                for lane in 0..LANES {
                    let (a, b) = (load(a, lane), load(b, lane));
                    let mut sum = std::array::from_fn(|i| a[i] + b[i]);
                    carry(&mut sum);
                    store(out, lane, &sum);
                }
            }

            fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                let p: Wide<$digits> = digits(<$prime>::P);
                for lane in 0..LANES {
                    let (a, b) = (load(a, lane), load(b, lane));
                    let mut difference = std::array::from_fn(|i| a[i] - b[i] + 2 * p[i]);
                    carry(&mut difference);
                    store(out, lane, &difference);
                }
            }

            fn combine<const A: i64, const B: i64, const C: i64>(
                self,
                out: &mut Self::Reduced,
                a: &Self::Reduced,
                b: &Self::Reduced,
                c: &Self::Reduced,
            ) {
                const { assert!(A.unsigned_abs() + B.unsigned_abs() + C.unsigned_abs() <= MAX_COMBINED) };
                let p = digits(<$prime>::P);
                for lane in 0..LANES {
                    let (a, b, c) = (load(a, lane), load(b, lane), load(c, lane));
                    let term = |i: usize| A as i128 * a[i] + B as i128 * b[i] + C as i128 * c[i];
                    store(&mut out.0, lane, &reduce(std::array::from_fn(term), &p));
                }
            }

            fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
                out.0.0 = a.0;
                let constants = Constants::<$digits>::of::<$prime>();
                MontLanes::mul(self, &mut out.0.0, &b.0, constants.moduli(), &mut []);
            }

            fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
                PrimeLanes::<$prime>::mul(self, out, a, a);
            }

            fn negate_if(self, out: &mut Self::Reduced, mask: &Vec4) {
                let mut negative = Self::Sum::default();
                PrimeLanes::<$prime>::sub(self, &mut negative, &Default::default(), out);
                PrimeLanes::<$prime>::assign_if(self, out, &Reduced(negative), mask);
            }

            fn assign_if(self, out: &mut Self::Reduced, other: &Self::Reduced, mask: &Vec4) {
                for (out, other) in out.0.0.iter_mut().zip(&other.0.0) {
                    for lane in 0..LANES {
                        out.0[lane] ^= (out.0[lane] ^ other.0[lane]) & value_barrier(mask.0[lane]);
                    }
                }
            }
        }
    )*};
}
portable!(P256: 5, P384: 8);

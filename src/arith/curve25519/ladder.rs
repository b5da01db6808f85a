//! The Montgomery ladder (RFC 7748 §5), for any point.
//!
//! The RFC's ladder keeps two points whose difference is the base point, R0 and R1, and conditionally swaps
//! them before each step, which replaces R0 by 2·R0 and R1 by R0 + R1. Here it departs from the text:
//!
//! 1. **Nothing is swapped.** A step computes DA and CB from both points; swapping the points swaps DA and
//!    CB, of which the step uses the sum, and the square of the difference. So only the doubling has to be
//!    told which point to double: two selections instead of four.
//! 2. **No swap at the end.** The last bit of a clamped scalar is zero.
//! 3. **One inversion** for all lanes (`invert.rs`) in place of a power in each lane.

use super::{clamp, decode_u, encode, invert::invert_all};
use crate::arch::Secret;
use crate::arch::field25519::{Element, Field25519Lanes};
use crate::arith::limbs::mask;
use zeroize::Zeroizing;

/// The most lanes that a tier has.
const MAX_LANES: usize = 8;

/// The numbers of one batch of scalar multiplications; wiped when dropped.
pub(crate) struct Ladder<K: Field25519Lanes> {
    kernel: K,
    reduced: Secret<K::Reduced>,
    sums: Secret<K::Sum>,
    masks: Secret<K::Mask>,
}

/// One scalar multiplication.
pub(crate) struct Job<'a> {
    /// Any 32 bytes; what they stand for is clamped.
    pub(crate) scalar: &'a [u8; 32],
    /// The u-coordinate of the point.
    pub(crate) u: &'a [u8; 32],
}

impl<K: Field25519Lanes> Ladder<K> {
    pub(crate) fn new(kernel: K) -> Self {
        Self { kernel, reduced: Secret::zeroed(10), sums: Secret::zeroed(5), masks: Secret::zeroed(4) }
    }

    /// The function X25519 of RFC 7748 §5 on each of `jobs`, at most [`Field25519Lanes::LANES`] of them.
    ///
    /// Results of points of small order are zero; it is the caller who refuses them.
    pub(crate) fn run(&mut self, jobs: &[Job<'_>]) -> impl Iterator<Item = Zeroizing<[u8; 32]>> + use<'_, K> {
        const { assert!(K::LANES <= MAX_LANES) };
        assert!(jobs.len() <= K::LANES);
        self.kernel.assert_environment();
        let mut scalars = Zeroizing::new([[0; 32]; MAX_LANES]);
        let [u, x2, z2, x3, z3, ..] = self.reduced.expose_mut() else { unreachable!("ten numbers") };
        for number in [&mut *x2, z2, x3, z3, u] {
            *number = K::Reduced::default();
        }
        for (lane, job) in jobs.iter().enumerate() {
            scalars[lane] = *job.scalar;
            clamp(&mut scalars[lane]);
            let limbs = decode_u(job.u);
            K::set(u, lane, &limbs);
            K::set(x3, lane, &limbs);
            K::set(x2, lane, &[1, 0, 0, 0]);
            K::set(z3, lane, &[1, 0, 0, 0]);
        }
        self.set_swaps(&scalars[..jobs.len()]);
        let swaps = self.masks.expose().first_chunk().expect("four words");
        let [u, x2, z2, x3, z3, ..] = self.reduced.expose_mut() else { unreachable!("ten numbers") };
        if !self.kernel.ladder([x2, z2, x3, z3], u, swaps) {
            for bit in (0..255).rev() {
                self.set_masks(&scalars[..jobs.len()], bit);
                self.step();
            }
        }
        let count = jobs.len();
        self.affine(count)
    }

    /// For each bit of each scalar, in lanes: whether it is another one than the bit above it, which is zero
    /// above the topmost.
    fn set_swaps(&mut self, scalars: &[[u8; 32]]) {
        for (lane, scalar) in scalars.iter().enumerate() {
            let (words, _) = scalar.as_chunks::<8>();
            for (i, swaps) in self.masks.expose_mut().iter_mut().enumerate() {
                let at = |i: usize| words.get(i).map_or(0, |bytes| u64::from_le_bytes(*bytes));
                swaps.as_mut()[lane] = at(i) ^ (at(i) >> 1 | at(i + 1) << 63);
            }
        }
    }

    /// In each lane: whether the point to be doubled is not the one that the last step doubled.
    fn set_masks(&mut self, scalars: &[[u8; 32]], bit: usize) {
        let at = |scalar: &[u8; 32], bit: usize| u64::from(scalar[bit / 8] >> (bit % 8) & 1);
        let words = self.masks.expose_mut()[0].as_mut();
        for (word, scalar) in words.iter_mut().zip(scalars) {
            // Bit 255 of a clamped scalar is zero, which is what the first step needs.
            *word = mask(at(scalar, bit) ^ at(scalar, bit + 1));
        }
    }

    /// One step: (x2 : z2) becomes the double of the chosen point, (x3 : z3) the sum of both.
    ///
    /// The order in which independent products follow each other hides their latency.
    fn step(&mut self) {
        let k = self.kernel;
        let [u, x2, z2, x3, z3, da, cb, aa, bb, w] = self.reduced.expose_mut() else { unreachable!() };
        let [a, b, c, d, t] = self.sums.expose_mut() else { unreachable!() };
        let swap = &self.masks.expose()[0];
        k.add_sub(c, d, x3, z3);
        k.add_sub(a, b, x2, z2);
        k.mul(da, d, a);
        k.mul(cb, c, b);
        k.assign_if(a, c, swap);
        k.assign_if(b, d, swap);
        k.sqr(aa, a);
        k.sqr(bb, b);
        k.add_sub(a, b, da, cb);
        k.sqr(w, b);
        k.sqr(x3, a);
        // E = AA − BB
        k.sub(c, aa, bb);
        k.add_121665(t, aa, c);
        k.mul(z3, u, w);
        k.mul(x2, aa, bb);
        k.mul(z2, c, t);
    }

    /// x2/z2 of the first `count` lanes, canonical.
    fn affine(&mut self, count: usize) -> impl Iterator<Item = Zeroizing<[u8; 32]>> + use<'_, K> {
        let [_, x2, z2, ..] = self.reduced.expose_mut() else { unreachable!() };
        let mut inverses = Zeroizing::new([Element::default(); MAX_LANES]);
        for (lane, element) in inverses[..count].iter_mut().enumerate() {
            *element = K::get(z2, lane);
        }
        invert_all(&mut inverses[..count]);
        (0..count).map(move |lane| {
            let quotient = K::get(x2, lane).mul(&inverses[lane]);
            Zeroizing::new(encode(&quotient.to_limbs()))
        })
    }
}

//! The curve edwards25519 in lanes: −x² + y² = 1 + d·x²·y² (RFC 8032 §5.1), one point in each lane.
//!
//! Points are in extended coordinates (H. Hisil, K. Wong, G. Carter, E. Dawson, "Twisted Edwards curves
//! revisited", <https://eprint.iacr.org/2008/522>): x = X/Z, y = Y/Z and T = X·Y/Z. Their additions are
//! complete here, because −1 is a square and d is not: equal points, opposite points and the neutral one need
//! no case of their own. So the instruction and address traces are fixed.
//!
//! The formulas depart from the paper's so that each sum and difference has two terms, which a multiplication
//! takes without a carry: see [`Group::double`] and [`Addend`].

mod codec;
mod fixed_base;
mod multiply;
#[cfg(test)]
mod tests;

pub(crate) use codec::Undecodable;
pub(crate) use fixed_base::{Kernel, make_table};
pub(crate) use multiply::{BaseMultiplier, Combination, Combiner};

use crate::arch::Secret;
use crate::arch::field25519::{Element, Field25519Lanes, Number};
use zeroize::DefaultIsZeroes;

/// d = −121665/121666.
const D: [u64; 4] =
    [0x75eb_4dca_1359_78a3, 0x0070_0a4d_4141_d8ab, 0x8cc7_4079_7779_e898, 0x5203_6cee_2b6f_fe73];

/// 2·d.
const TWICE_D: [u64; 4] =
    [0xebd6_9b94_26b2_f159, 0x00e0_149a_8283_b156, 0x198e_80f2_eef3_d130, 0x2406_d9dc_56df_fce7];

/// The base point B: x, y (RFC 8032 §5.1), and x·y.
const BASE: [[u64; 4]; 3] = [
    [0xc956_2d60_8f25_d51a, 0x692c_c760_9525_a7b2, 0xc0a4_e231_fdd6_dc5c, 0x2169_36d3_cd6e_53fe],
    [0x6666_6666_6666_6658, 0x6666_6666_6666_6666, 0x6666_6666_6666_6666, 0x6666_6666_6666_6666],
    [0x6dde_8ab3_a5b7_dda3, 0x20f0_9f80_7751_52f5, 0x66ea_4e8e_64ab_e37d, 0x6787_5f0f_d78b_7665],
];

/// The most lanes that a tier has.
const MAX_LANES: usize = 8;

/// A point in each lane, in extended coordinates.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point<R> {
    x: R,
    y: R,
    z: R,
    t: R,
}

impl<R: Number> DefaultIsZeroes for Point<R> {}

/// What a point is added as: multiples, by one common factor in each lane, of Y + X, Y − X, 2·d·T and 2·Z.
///
/// With the factor 1/2 an affine point has Z = 1 for the last: nothing to multiply by. That is how tables
/// hold it.
#[derive(Clone, Copy, Debug, Default)]
struct Addend<S> {
    sum: S,
    difference: S,
    product: S,
}

impl<S: Number> DefaultIsZeroes for Addend<S> {}

/// An addend as it comes out of a table: Y + X, Y − X and 2·d·T, reduced.
type Entry<R> = [R; 3];

/// The group law, with its workspace; wiped when dropped.
struct Group<K: Field25519Lanes> {
    kernel: K,
    addend: Secret<Addend<K::Sum>>,
    sums: Secret<K::Sum>,
    reduced: Secret<K::Reduced>,
}

impl<K: Field25519Lanes> Group<K> {
    fn new(kernel: K) -> Self {
        const { assert!(K::LANES <= MAX_LANES) };
        Self { kernel, addend: Secret::zeroed(1), sums: Secret::zeroed(4), reduced: Secret::zeroed(4) }
    }

    /// p ← 2·p. T is left as it was unless `with_t`: only additions need it.
    ///
    /// A = X², B = Y², C = 2·Z², H = A + B, E = (X + Y)² − H, G = B − A, F = C − G; then E·F, G·H, F·G and
    /// E·H: the paper's §3.3 for a = −1 with the signs of F and H turned round, which changes the signs of
    /// all coordinates. H, G and C are carried before something is subtracted from them, or they are.
    fn double(&mut self, p: &mut Point<K::Reduced>, with_t: bool) {
        let k = self.kernel;
        let [a, b, c, t] = self.reduced.expose_mut() else { unreachable!("four numbers") };
        let [sum, h, g, f] = self.sums.expose_mut() else { unreachable!("four numbers") };
        k.add(sum, &p.x, &p.y);
        k.sqr(a, &p.x);
        k.sqr(b, &p.y);
        k.sqr(c, &p.z);
        k.sqr(t, sum);
        k.add_sub(h, g, b, a);
        k.add(f, c, c);
        k.reduce(a, h);
        k.reduce(b, g);
        k.reduce(c, f);
        // A, B and C have served: now they are H, G and C.
        let e = sum;
        k.sub(e, t, a);
        k.sub(f, c, b);
        k.mul(&mut p.x, e, f);
        k.mul(&mut p.y, b, a);
        k.mul(&mut p.z, f, b);
        if with_t {
            k.mul(&mut p.t, e, a);
        }
    }

    /// p ← p ± the point of `entry`, with the minus sign in the lanes where `negative` is all ones. `z` is
    /// its multiple of 2·Z; none stands for 1.
    fn add(
        &mut self,
        p: &mut Point<K::Reduced>,
        entry: &Entry<K::Reduced>,
        z: Option<&K::Reduced>,
        negative: &K::Mask,
    ) {
        let k = self.kernel;
        let [addend] = self.addend.expose_mut() else { unreachable!("one addend") };
        let [sum, difference, product] = entry;
        // −(x, y) = (−x, y): that swaps Y + X with Y − X and changes the sign of T.
        k.swap_if(&mut addend.sum, &mut addend.difference, sum, difference, negative);
        k.negate_if(&mut addend.product, product, negative);
        self.add_addend(p, z);
    }

    /// The paper's §3.1, with k = 2·d and a = −1.
    fn add_addend(&mut self, p: &mut Point<K::Reduced>, z: Option<&K::Reduced>) {
        let k = self.kernel;
        let [addend] = self.addend.expose() else { unreachable!("one addend") };
        let [a, b, c, d] = self.reduced.expose_mut() else { unreachable!("four numbers") };
        let [e, f, g, h] = self.sums.expose_mut() else { unreachable!("four numbers") };
        k.add_sub(h, e, &p.y, &p.x);
        k.mul(a, e, &addend.difference);
        k.mul(b, h, &addend.sum);
        k.mul(c, &p.t, &addend.product);
        match z {
            Some(z) => {
                k.mul(d, &p.z, z);
                k.add_sub(g, f, d, c);
            }
            None => k.add_sub(g, f, &p.z, c),
        }
        k.add_sub(h, e, b, a);
        k.mul(&mut p.x, e, f);
        k.mul(&mut p.y, g, h);
        k.mul(&mut p.z, f, g);
        k.mul(&mut p.t, e, h);
    }

    /// The entry of a point, with the factor 1; and 2·Z.
    fn entry(&mut self, p: &Point<K::Reduced>, twice_d: &K::Reduced) -> (Entry<K::Reduced>, K::Reduced) {
        let k = self.kernel;
        let [a, b, c, ..] = self.sums.expose_mut() else { unreachable!("four numbers") };
        let mut entry = [K::Reduced::default(); 3];
        let mut z = K::Reduced::default();
        k.add_sub(a, b, &p.y, &p.x);
        k.add(c, &p.z, &p.z);
        k.reduce(&mut entry[0], a);
        k.reduce(&mut entry[1], b);
        k.mul(&mut entry[2], &p.t, twice_d);
        k.reduce(&mut z, c);
        (entry, z)
    }
}

impl<R: Number> Point<R> {
    /// The neutral point (0, 1) in every lane.
    fn neutral<K: Field25519Lanes<Reduced = R>>() -> Self {
        let (x, one) = (R::default(), constant::<K>(&[1, 0, 0, 0]));
        Self { x, y: one, z: one, t: x }
    }

    /// Puts an affine point into a lane: x, y and x·y.
    fn set<K: Field25519Lanes<Reduced = R>>(&mut self, lane: usize, [x, y, t]: &[[u64; 4]; 3]) {
        K::set(&mut self.x, lane, x);
        K::set(&mut self.y, lane, y);
        K::set(&mut self.z, lane, &[1, 0, 0, 0]);
        K::set(&mut self.t, lane, t);
    }

    /// Copies the point of a lane of `other`.
    fn copy_lane<K: Field25519Lanes<Reduced = R>>(&mut self, lane: usize, other: &Self, from: usize) {
        let pairs = [(&mut self.x, &other.x), (&mut self.y, &other.y), (&mut self.z, &other.z)];
        for (out, other) in pairs.into_iter().chain([(&mut self.t, &other.t)]) {
            K::set(out, lane, &K::get(other, from).to_limbs());
        }
    }
}

/// One number in every lane.
fn constant<K: Field25519Lanes>(limbs: &[u64; 4]) -> K::Reduced {
    let mut number = K::Reduced::default();
    (0..K::LANES).for_each(|lane| K::set(&mut number, lane, limbs));
    number
}

/// Whether an affine point satisfies the equation of the curve.
fn is_on_curve(x: &Element, y: &Element) -> subtle::Choice {
    let (xx, yy) = (x.mul(x), y.mul(y));
    let dxxyy = xx.mul(&yy).mul(&Element::from_limbs(&D));
    yy.sub(&xx).sub(&dxxyy).sub(&Element::ONE).is_zero()
}

//! The group law in lanes, in Jacobian coordinates: (X : Y : Z) is the point (X/Z², Y/Z³).
//!
//! The formulas are the classical ones (D. Bernstein, T. Lange, "Explicit-Formulas Database",
//! shortw-jacobian-3), arranged so that nearly every sum is an operand of a multiplication, which takes it
//! without a carry.
//!
//! **They are not complete, and need not be.** The exceptional sums P + P and P − P, where P is neither given
//! nor made as the point at infinity, make Z zero. Z then stays zero in every step that follows. So a result
//! with Z ≠ 0 was made by legal steps only; what to do with the others, which chance never brings about but
//! an attacker who chooses points and scalars of a verification can, is the caller's decision.

use super::Curve;
use crate::arch::Secret;
use crate::arch::prime::{Digits, PrimeLanes};
use crate::arith::invert::invert;
use crate::arith::limbs::{self, is_zero};
use subtle::Choice;
use zeroize::{Zeroize, Zeroizing};

/// A point by its coordinates: below p, not in Montgomery form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affine<const N: usize> {
    pub(crate) x: [u64; N],
    pub(crate) y: [u64; N],
}

impl<const N: usize> Default for Affine<N> {
    fn default() -> Self {
        Self { x: [0; N], y: [0; N] }
    }
}

impl<const N: usize> Zeroize for Affine<N> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

/// X, Y, Z of one point a lane.
pub(super) type Point<R> = [R; 3];

/// A point that is added often: X, Y, Z, Z², Z³.
pub(super) type Cached<R> = [R; 5];

/// The most lanes that a tier has.
pub(super) const MAX_LANES: usize = 8;

/// The group law in the lanes of one tier, with its workspace; wiped when dropped.
pub(super) struct Group<const N: usize, C: Curve<N>, K: PrimeLanes<C>> {
    pub(super) kernel: K,
    /// 1, R and b in Montgomery form, in every lane.
    pub(super) one: K::Reduced,
    pub(super) r: K::Reduced,
    b: K::Reduced,
    /// 1 as it is, by which a multiplication takes a number out of Montgomery form.
    unit: K::Reduced,
    /// Takes a number from the tier's Montgomery form to that of [`Modulus`](crate::arith::modular::Modulus),
    /// by a multiplication there.
    leave: [u64; N],
    reduced: Secret<K::Reduced>,
    sums: Secret<K::Sum>,
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Group<N, C, K> {
    pub(super) fn new(kernel: K) -> Self {
        const { assert!(K::LANES <= MAX_LANES && K::R_BITS <= 128 * N) };
        kernel.assert_environment();
        let field = C::FIELD;
        let in_all = |x: &[u64; N]| {
            let mut all = K::Reduced::default();
            (0..K::LANES).for_each(|lane| K::set(&mut all, lane, x));
            all
        };
        // R·R, of which a Montgomery multiplication takes one R away.
        let r = in_all(&field.power_of_two(2 * K::R_BITS));
        let one = in_all(&field.power_of_two(K::R_BITS));
        let unit = in_all(&field.power_of_two(0));
        let mut b = K::Reduced::default();
        kernel.mul(&mut b, &in_all(&C::B), &r);
        let leave = field.power_of_two(128 * N - K::R_BITS);
        Self { kernel, one, r, b, unit, leave, reduced: Secret::zeroed(11), sums: Secret::zeroed(3) }
    }

    /// Wipes what the last operation left.
    pub(super) fn wipe(&mut self) {
        self.reduced.wipe();
        self.sums.wipe();
    }

    #[cfg(test)]
    pub(super) fn is_wiped(&self) -> bool {
        let mut words = self.reduced.expose().iter().flat_map(|number| number.digits());
        words.all(|lanes| lanes.as_ref().iter().all(|word| *word == 0))
    }

    /// Loads affine points into the first lanes.
    pub(super) fn load<'a>(&self, points: impl Iterator<Item = &'a Affine<N>>) -> [K::Reduced; 2] {
        let (mut x, mut y) = (K::Reduced::default(), K::Reduced::default());
        for (lane, point) in points.enumerate() {
            K::set(&mut x, lane, &point.x);
            K::set(&mut y, lane, &point.y);
        }
        let mut out = [K::Reduced::default(); 2];
        self.kernel.mul(&mut out[0], &x, &self.r);
        self.kernel.mul(&mut out[1], &y, &self.r);
        out
    }

    /// p ← 2·p.
    pub(super) fn double(&mut self, p: &mut Point<K::Reduced>) {
        let k = self.kernel;
        if k.double(p) {
            return;
        }
        let [x, y, z] = p;
        let [delta, gamma, beta, alpha, t, u, ..] = self.reduced.expose_mut() else { unreachable!() };
        let [a, b, c] = self.sums.expose_mut() else { unreachable!() };
        k.sqr(delta, z);
        k.sqr(gamma, y);
        k.sub(a, x, delta);
        k.add(b, x, delta);
        k.add(c, y, y);
        k.mul(t, a, b);
        k.mul(beta, x, gamma);
        k.combine::<3, 0, 0>(alpha, t, t, t);
        k.mul(u, c, z);
        *z = *u;
        k.sqr(t, alpha);
        k.add(a, gamma, gamma);
        k.sqr(delta, a);
        k.combine::<1, -8, 0>(x, t, beta, beta);
        k.combine::<4, -1, 0>(u, beta, x, x);
        k.mul(t, alpha, u);
        // δ holds 4γ².
        k.combine::<1, -2, 0>(y, t, delta, delta);
    }

    /// p ← p + q, for an affine q.
    pub(super) fn add_affine(&mut self, p: &mut Point<K::Reduced>, q: &[K::Reduced; 2]) {
        let k = self.kernel;
        if k.add_affine(p, q) {
            return;
        }
        let [x, y, z] = p;
        let [zz, u2, s2, u1, s1, t, rest @ ..] = self.reduced.expose_mut() else { unreachable!() };
        let [h, r, s] = self.sums.expose_mut() else { unreachable!() };
        k.sqr(zz, z);
        k.mul(t, z, &q[1]);
        k.mul(u2, &q[0], zz);
        k.mul(s2, t, zz);
        (*u1, *s1) = (*x, *y);
        k.sub(h, u2, u1);
        k.sub(r, s2, s1);
        k.mul(t, z, h);
        *z = *t;
        finish_addition(k, [x, y], [u1, s1], [h, r, s], rest);
    }

    /// p ← p + q.
    pub(super) fn add(&mut self, p: &mut Point<K::Reduced>, q: &Cached<K::Reduced>) {
        let k = self.kernel;
        if k.add_jacobian(p, q) {
            return;
        }
        let [x, y, z] = p;
        let [x2, y2, z2, zz2, zzz2] = q;
        let [zz, u2, s2, u1, s1, t, rest @ ..] = self.reduced.expose_mut() else { unreachable!() };
        let [h, r, s] = self.sums.expose_mut() else { unreachable!() };
        k.sqr(zz, z);
        k.mul(t, z, y2);
        k.mul(u1, x, zz2);
        k.mul(s1, y, zzz2);
        k.mul(u2, x2, zz);
        k.mul(s2, t, zz);
        k.sub(h, u2, u1);
        k.sub(r, s2, s1);
        k.mul(t, z, z2);
        k.mul(z, h, t);
        finish_addition(k, [x, y], [u1, s1], [h, r, s], rest);
    }

    /// p with the powers of Z that an addition wants.
    pub(super) fn cached(&self, p: &Point<K::Reduced>) -> Cached<K::Reduced> {
        let mut cached = [p[0], p[1], p[2], K::Reduced::default(), K::Reduced::default()];
        let [_, _, z, zz, zzz] = &mut cached;
        self.kernel.sqr(zz, z);
        self.kernel.mul(zzz, zz, z);
        cached
    }

    /// In each of the first `count` lanes, whether p is a point of the curve other than infinity.
    ///
    /// Y² = X³ − 3·X·Z⁴ + b·Z⁶: a lane whose computation went wrong does not end on the curve, but with
    /// negligible probability.
    pub(super) fn is_valid(&mut self, p: &Point<K::Reduced>, count: usize) -> [Choice; MAX_LANES] {
        let k = self.kernel;
        let [x, y, z] = p;
        let [zz, z4, z6, xx, t, u, ..] = self.reduced.expose_mut() else { unreachable!() };
        k.sqr(zz, z);
        k.sqr(xx, x);
        k.sqr(z4, zz);
        k.mul(z6, z4, zz);
        k.combine::<1, -3, 0>(t, xx, z4, z4);
        k.mul(xx, t, x);
        k.mul(t, &self.b, z6);
        k.sqr(z4, y);
        k.combine::<1, -1, -1>(u, z4, xx, t);
        let mut limbs = Zeroizing::new([0; N]);
        let mut zero = |element: &K::Reduced, lane| {
            K::get(&mut *limbs, element, lane);
            is_zero(&*limbs)
        };
        std::array::from_fn(|lane| match lane < count {
            true => zero(u, lane) & !zero(z, lane),
            false => Choice::from(0),
        })
    }

    /// The coordinate in one lane, in the Montgomery form of the scalar arithmetic.
    pub(super) fn get(&self, element: &K::Reduced, lane: usize) -> [u64; N] {
        let mut limbs = Zeroizing::new([0; N]);
        K::get(&mut *limbs, element, lane);
        C::FIELD.mul(&limbs, &self.leave)
    }

    /// The affine coordinates of p in the first `count` lanes, zero for the point at infinity; without
    /// `with_y`, y is zero.
    pub(super) fn affine(
        &mut self,
        p: &Point<K::Reduced>,
        count: usize,
        with_y: bool,
    ) -> Zeroizing<[Affine<N>; MAX_LANES]> {
        self.invert(&p[2], count);
        self.affine_by_inverse(p, count, with_y)
    }

    /// [`Group::affine`] of several points, none of them at infinity, with one inversion for all (P. L.
    /// Montgomery's trick). For public points: products of their coordinates are not wiped.
    pub(super) fn affine_all(&mut self, points: &[Point<K::Reduced>], count: usize) -> Vec<Vec<Affine<N>>> {
        let k = self.kernel;
        let Some((first, rest)) = points.split_first() else { return Vec::new() };
        let mut products = vec![first[2]];
        for point in rest {
            let mut product = K::Reduced::default();
            k.mul(&mut product, &products[products.len() - 1], &point[2]);
            products.push(product);
        }
        self.invert(&products[rest.len()], count);
        let mut inverse = self.reduced.expose_mut()[0];
        let mut affine = Vec::with_capacity(points.len());
        for i in (0..points.len()).rev() {
            let mut own = inverse;
            if i > 0 {
                k.mul(&mut own, &inverse, &products[i - 1]);
                let all = inverse;
                k.mul(&mut inverse, &all, &points[i][2]);
            }
            self.reduced.expose_mut()[0] = own;
            affine.push(self.affine_by_inverse(&points[i], count, true)[..count].to_vec());
        }
        affine.reverse();
        affine
    }

    /// The affine coordinates by 1/z, which is the first number of the workspace.
    fn affine_by_inverse(
        &mut self,
        p: &Point<K::Reduced>,
        count: usize,
        with_y: bool,
    ) -> Zeroizing<[Affine<N>; MAX_LANES]> {
        let k = self.kernel;
        let [inverse, power, product, out, ..] = self.reduced.expose_mut() else { unreachable!() };
        let mut points = Zeroizing::new([Affine::default(); MAX_LANES]);
        k.sqr(power, inverse);
        k.mul(product, &p[0], power);
        k.mul(out, product, &self.unit);
        points[..count].iter_mut().enumerate().for_each(|(lane, point)| K::get(&mut point.x, out, lane));
        if with_y {
            k.mul(product, power, inverse);
            k.mul(power, &p[1], product);
            k.mul(out, power, &self.unit);
            points[..count].iter_mut().enumerate().for_each(|(lane, point)| K::get(&mut point.y, out, lane));
        }
        points
    }

    /// The inverses of z in the first `count` lanes, and zero where it is zero, become the first number of
    /// the workspace.
    ///
    /// The inverse of the product of all lanes, times what a lane has not brought into it: both products are
    /// made of products of 1, 2 and 4 neighbours. A zero, or what is in an unused lane, would spoil them and
    /// takes part as a one.
    fn invert(&mut self, z: &K::Reduced, count: usize) {
        let k = self.kernel;
        let [out, product, others, rotated, next, ..] = self.reduced.expose_mut() else { unreachable!() };
        let (mut limbs, mut inverse) = (Zeroizing::new([0; N]), Zeroizing::new([0; N]));
        let mut zero = K::Vec::default();
        for (lane, mask) in zero.as_mut().iter_mut().enumerate() {
            K::get(&mut *limbs, z, lane);
            let is_zero = is_zero(&*limbs) | Choice::from(u8::from(lane >= count));
            *mask = limbs::mask(is_zero.unwrap_u8().into());
        }
        (*product, *others) = (*z, self.one);
        k.assign_if(product, &self.one, &zero);
        let mut distance = 1;
        while distance < K::LANES {
            *rotated = product.rotated(distance);
            k.mul(next, others, rotated);
            *others = *next;
            k.mul(next, product, rotated);
            *product = *next;
            distance *= 2;
        }
        K::get(&mut *limbs, product, 0);
        invert(&mut *inverse, &*limbs, C::FIELD.limbs());
        (0..K::LANES).for_each(|lane| K::set(product, lane, &*inverse));
        // (x·R)⁻¹ times R² twice, for R each in a multiplication, is x⁻¹·R.
        k.mul(next, product, &self.r);
        k.mul(product, next, &self.r);
        k.mul(out, product, others);
        k.assign_if(out, &K::Reduced::default(), &zero);
    }
}

/// The second half of an addition: x = r² − h³ − 2·u₁·h² and y = r·(u₁·h² − x) − s₁·h³, for h = u₂ − u₁ and r
/// = s₂ − s₁.
fn finish_addition<C: crate::arch::prime::Prime, K: PrimeLanes<C>>(
    k: K,
    [x, y]: [&mut K::Reduced; 2],
    [u1, s1]: [&K::Reduced; 2],
    [h, r, s]: [&mut K::Sum; 3],
    work: &mut [K::Reduced],
) {
    let [hh, hhh, v, t, u] = work else { unreachable!("five numbers") };
    k.sqr(hh, h);
    k.sqr(t, r);
    k.mul(v, u1, hh);
    k.mul(hhh, h, hh);
    k.combine::<1, -1, -2>(x, t, hhh, v);
    k.sub(s, v, x);
    k.mul(t, s1, hhh);
    k.mul(u, r, s);
    k.combine::<1, -1, 0>(y, u, t, t);
}

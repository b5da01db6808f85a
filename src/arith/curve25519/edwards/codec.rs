//! Points as the standards encode them.

use super::super::{encode, invert::invert_all};
use super::{D, MAX_LANES, Point, constant, is_on_curve};
use crate::arch::field25519::{Element, Field25519Lanes};
use subtle::Choice;
use zeroize::Zeroizing;

/// 2^((p − 1)/4), a square root of −1.
const SQRT_MINUS_1: [u64; 4] =
    [0xc4ee_1b27_4a0e_a0b0, 0x2f43_1806_ad2f_e478, 0x2b4d_0099_3dfb_d7a7, 0x2b83_2480_4fc1_df0b];

/// Why 32 bytes were not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// They encode no point of the curve.
    NotOnCurve,
    /// They encode a point, but not as RFC 8032 §5.1.2 says: y is not below p, or the sign is that of −0.
    /// Implementations differ in whether they accept that.
    NotCanonical,
}

/// The points of the first `count` lanes, affine, encoded as RFC 8032 §5.1.2 says; and whether each of them
/// is on the curve.
pub(super) fn encode_points<K: Field25519Lanes>(
    point: &Point<K::Reduced>,
    count: usize,
) -> impl Iterator<Item = ([u8; 32], Choice)> + use<'_, K> {
    let mut inverses = Zeroizing::new([Element::default(); MAX_LANES]);
    for (lane, element) in inverses[..count].iter_mut().enumerate() {
        *element = K::get(&point.z, lane);
    }
    invert_all(&mut inverses[..count]);
    (0..count).map(move |lane| {
        let [x, y] = [&point.x, &point.y].map(|c| Zeroizing::new(K::get(c, lane).mul(&inverses[lane])));
        let mut limbs = y.to_limbs();
        limbs[3] |= x.to_limbs()[0] << 63;
        (encode(&limbs), is_on_curve(&x, &y))
    })
}

/// The u-coordinates (1 + y)/(1 − y) of the first `count` lanes, of the same points on curve25519 (RFC 7748
/// §4.1); and whether each of them is on the curve.
pub(super) fn encode_u<K: Field25519Lanes>(
    kernel: K,
    point: &Point<K::Reduced>,
    count: usize,
) -> impl Iterator<Item = ([u8; 32], Choice)> + use<'_, K> {
    let defect = defect(kernel, point);
    let mut inverses = Zeroizing::new([Element::default(); MAX_LANES]);
    let coordinates = |lane: usize| [&point.z, &point.y].map(|c| Zeroizing::new(K::get(c, lane)));
    for (lane, element) in inverses[..count].iter_mut().enumerate() {
        let [z, y] = coordinates(lane);
        *element = z.sub(&y);
    }
    invert_all(&mut inverses[..count]);
    (0..count).map(move |lane| {
        let [z, y] = coordinates(lane);
        let u = encode(&Zeroizing::new(z.add(&y).mul(&inverses[lane])).to_limbs());
        (u, K::get(&defect, lane).is_zero() & !z.is_zero())
    })
}

/// Z²·(Y² − X² − Z²) − d·X²·Y², which is zero for points of the curve: its equation, without the inversion
/// that an affine point takes, in all lanes at once.
fn defect<K: Field25519Lanes>(kernel: K, point: &Point<K::Reduced>) -> K::Reduced {
    let [mut xx, mut yy, mut zz, mut left, mut right] = [K::Reduced::default(); 5];
    let mut difference = K::Sum::default();
    kernel.sqr(&mut xx, &point.x);
    kernel.sqr(&mut yy, &point.y);
    kernel.sqr(&mut zz, &point.z);
    kernel.sub(&mut difference, &yy, &xx);
    kernel.reduce(&mut left, &difference);
    kernel.sub(&mut difference, &left, &zz);
    kernel.mul(&mut left, &difference, &zz);
    kernel.mul(&mut right, &xx, &yy);
    kernel.mul(&mut xx, &right, &constant::<K>(&D));
    kernel.sub(&mut difference, &left, &xx);
    kernel.reduce(&mut left, &difference);
    left
}

/// Decodes (RFC 8032 §5.1.3) a **public** point for each lane and puts the **opposite** point into it; into a
/// lane whose bytes cannot be decoded, the neutral point. A lane without bytes is left as it was.
///
/// All lanes share the square root, a chain of powers; what is left, single elements do. What becomes of a
/// lane takes branches, so the points must be no secret.
pub(super) fn decode_opposite_vartime<K: Field25519Lanes>(
    kernel: K,
    point: &mut Point<K::Reduced>,
    encodings: &[&[u8; 32]],
) -> Vec<Result<(), Undecodable>> {
    let y_limbs: Vec<_> = encodings.iter().map(|bytes| super::super::decode_u(bytes)).collect();
    let mut y = constant::<K>(&[1, 0, 0, 0]);
    y_limbs.iter().enumerate().for_each(|(lane, limbs)| K::set(&mut y, lane, limbs));
    let (u, root, square) = root_of_ratio(kernel, &y);
    let lanes = encodings.iter().zip(&y_limbs).enumerate();
    let decoded = lanes.map(|(lane, (bytes, y_limbs))| {
        // Step 1.
        if super::super::is_from_p_on(y_limbs) {
            return Err(Undecodable::NotCanonical);
        }
        // Steps 3 and 4.
        let [u, root, square] = [&u, &root, &square].map(|number| K::get(number, lane));
        let x = correct_root(&u, &root, &square).ok_or(Undecodable::NotOnCurve)?;
        let is_odd = x.to_limbs()[0] & 1 == 1;
        let sign = bytes[31] >> 7 == 1;
        if sign && bool::from(x.is_zero()) {
            return Err(Undecodable::NotCanonical);
        }
        let opposite = if is_odd == sign { Element::default().sub(&x) } else { x };
        let y = Element::from_limbs(y_limbs);
        point.set::<K>(lane, &[opposite.to_limbs(), *y_limbs, opposite.mul(&y).to_limbs()]);
        Ok(())
    });
    decoded.collect()
}

/// The square root of u/v from a candidate and v times its square, if there is one.
fn correct_root(u: &Element, root: &Element, square: &Element) -> Option<Element> {
    if bool::from(square.sub(u).is_zero()) {
        Some(*root)
    } else if bool::from(square.add(u).is_zero()) {
        Some(root.mul(&Element::from_limbs(&SQRT_MINUS_1)))
    } else {
        None
    }
}

/// RFC 8032 §5.1.3, step 2: u = y² − 1, the candidate root x = u·v³·(u·v⁷)^((p − 5)/8) for v = d·y² + 1, and
/// v·x².
fn root_of_ratio<K: Field25519Lanes>(k: K, y: &K::Reduced) -> (K::Reduced, K::Reduced, K::Reduced) {
    let (one, d) = (constant::<K>(&[1, 0, 0, 0]), constant::<K>(&D));
    let [mut yy, mut dyy, mut u, mut v, mut v3, mut uv3] = [K::Reduced::default(); 6];
    let mut sum = K::Sum::default();
    k.sqr(&mut yy, y);
    k.sub(&mut sum, &yy, &one);
    k.reduce(&mut u, &sum);
    k.mul(&mut dyy, &yy, &d);
    k.add(&mut sum, &dyy, &one);
    k.reduce(&mut v, &sum);
    let [mut t, mut uv7, mut root, mut square] = [K::Reduced::default(); 4];
    k.sqr(&mut t, &v);
    k.mul(&mut v3, &t, &v);
    k.mul(&mut uv3, &u, &v3);
    k.sqr(&mut t, &v3);
    // u·v⁷ = u·v·(v³)²
    k.mul(&mut square, &u, &v);
    k.mul(&mut uv7, &square, &t);
    let power = pow_p_minus_5_over_8(k, &uv7);
    k.mul(&mut root, &uv3, &power);
    k.sqr(&mut t, &root);
    k.mul(&mut square, &t, &v);
    (u, root, square)
}

/// x^((p − 5)/8) = x^(2^252 − 3): powers x^(2^n − 1) for n = 1, 2, 4, 5, 10, 20, 40, 50, 100, 200, 250, and
/// two squarings.
fn pow_p_minus_5_over_8<K: Field25519Lanes>(k: K, x: &K::Reduced) -> K::Reduced {
    // x^(2^n − 1) and x^(2^m − 1) to x^(2^(n + m) − 1).
    let join = |high: &K::Reduced, low: &K::Reduced, m: usize| {
        let mut raised = *high;
        square_times(k, &mut raised, m);
        let mut product = K::Reduced::default();
        k.mul(&mut product, &raised, low);
        product
    };
    let x2 = join(x, x, 1);
    let x4 = join(&x2, &x2, 2);
    let x5 = join(&x4, x, 1);
    let x10 = join(&x5, &x5, 5);
    let x20 = join(&x10, &x10, 10);
    let x40 = join(&x20, &x20, 20);
    let x50 = join(&x40, &x10, 10);
    let x100 = join(&x50, &x50, 50);
    let x200 = join(&x100, &x100, 100);
    let x250 = join(&x200, &x50, 50);
    join(&x250, x, 2)
}

/// x ← x^(2^times).
fn square_times<K: Field25519Lanes>(k: K, x: &mut K::Reduced, times: usize) {
    let mut other = K::Reduced::default();
    for _ in 0..times / 2 {
        k.sqr(&mut other, x);
        k.sqr(x, &other);
    }
    if times % 2 == 1 {
        k.sqr(&mut other, x);
        *x = other;
    }
}

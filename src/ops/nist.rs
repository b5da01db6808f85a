//! Scalars and points of the NIST curves in bytes and in limbs: what batches of ECDSA and ECDH share. Their
//! runner is in `lanes/nist.rs`.

use crate::arch::disclose;
use crate::arch::prime::{P256, P384};
use crate::arith::limbs;
use crate::arith::modular::is_unit;
use crate::arith::weierstrass::{Affine, Curve, is_on_curve};
use crate::error::Error;
use crate::ops::kinds::NistCurve;
use crate::ops::scalar;
use zeroize::Zeroizing;

/// The most limbs of a coordinate or a scalar.
pub(super) const MAX_LIMBS: usize = 6;

/// A scalar of any of the curves, in little-endian limbs.
pub(super) type Scalar = Zeroizing<[u64; MAX_LIMBS]>;

/// A point of any of the curves that is on it, and is not the point at infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    x: [u64; MAX_LIMBS],
    y: [u64; MAX_LIMBS],
}

impl NistCurve {
    /// The scalar of big-endian bytes, if it is from 1 to n − 1; the bytes have the curve's length.
    pub(super) fn scalar(self, bytes: &[u8]) -> Option<Scalar> {
        let mut scalar = Zeroizing::new([0; MAX_LIMBS]);
        limbs::from_be_bytes(&mut scalar[..self.limbs()], bytes);
        let valid = match self {
            Self::P256 => is_unit(&narrow(&scalar), P256::ORDER),
            Self::P384 => is_unit(&narrow(&scalar), P384::ORDER),
        };
        disclose(valid).then_some(scalar)
    }

    /// A uniformly random scalar from 1 to n − 1: FIPS 186-5 appendix A.2.2, by rejection.
    pub(super) fn random_scalar(self) -> Result<Scalar, Error> {
        let mut bytes = Zeroizing::new([0; 8 * MAX_LIMBS]);
        let bytes = &mut bytes[..self.scalar_len()];
        // Both orders are so near a power of two that a second try happens once in 2^32.
        for _ in 0..8 {
            scalar::random(bytes)?;
            if let Some(scalar) = self.scalar(bytes) {
                return Ok(scalar);
            }
        }
        Err(Error::Random)
    }

    /// The big-endian bytes of a number.
    pub(super) fn bytes(self, number: &[u64]) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; self.scalar_len()]);
        limbs::to_be_bytes(&mut bytes, number);
        bytes
    }

    /// The point of an uncompressed encoding (SEC 1 §2.3.4) whose coordinates are below p and that is on the
    /// curve.
    ///
    /// Every such point has order n, because the cofactor is 1: this is the full public-key validation of SP
    /// 800-56A rev. 3, §5.6.2.3.3.
    pub(super) fn decode(self, encoded: &[u8]) -> Option<Point> {
        let [4, coordinates @ ..] = encoded else { return None };
        let (x, y) =
            coordinates.split_at_checked(self.scalar_len()).filter(|(_, y)| y.len() == self.scalar_len())?;
        let mut point = Point { x: [0; MAX_LIMBS], y: [0; MAX_LIMBS] };
        limbs::from_be_bytes(&mut point.x[..self.limbs()], x);
        limbs::from_be_bytes(&mut point.y[..self.limbs()], y);
        let valid = match self {
            Self::P256 => is_valid::<4, P256>(&point.affine()),
            Self::P384 => is_valid::<6, P384>(&point.affine()),
        };
        valid.then_some(point)
    }

    /// The uncompressed encoding of a point.
    pub(super) fn encode(self, x: &[u64], y: &[u64]) -> Vec<u8> {
        let mut encoded = vec![0; self.public_key_len()];
        encoded[0] = 4;
        let (first, second) = encoded[1..].split_at_mut(self.scalar_len());
        limbs::to_be_bytes(first, x);
        limbs::to_be_bytes(second, y);
        encoded
    }

    /// The hash as an integer: its leftmost bits, as many as n has (FIPS 186-5 §6.4.1, step 2), modulo n.
    pub(super) fn hash_to_scalar(self, hash: &[u8]) -> [u64; MAX_LIMBS] {
        let mut z = [0; MAX_LIMBS];
        // Both orders have a whole number of bytes.
        limbs::from_be_bytes(&mut z[..self.limbs()], &hash[..hash.len().min(self.scalar_len())]);
        match self {
            Self::P256 => widen(&P256::ORDER.reduced(&narrow(&z))),
            Self::P384 => widen(&P384::ORDER.reduced(&narrow(&z))),
        }
    }
}

impl Point {
    pub(super) fn affine<const N: usize>(&self) -> Affine<N> {
        Affine { x: narrow(&self.x), y: narrow(&self.y) }
    }
}

fn is_valid<const N: usize, C: Curve<N>>(point: &Affine<N>) -> bool {
    let below_p = [point.x, point.y].iter().all(|c| C::FIELD.reduced(c) == *c);
    below_p && bool::from(is_on_curve::<N, C>(point))
}

/// The first limbs.
pub(super) fn narrow<const N: usize>(wide: &[u64; MAX_LIMBS]) -> [u64; N] {
    std::array::from_fn(|i| wide[i])
}

/// The same number in more limbs.
pub(super) fn widen<const N: usize>(narrow: &[u64; N]) -> [u64; MAX_LIMBS] {
    std::array::from_fn(|i| narrow.get(i).copied().unwrap_or(0))
}

/// A curve as the operations know it.
pub(super) trait ServedCurve<const N: usize>: Curve<N> {
    const NAME: NistCurve;
}

impl ServedCurve<4> for P256 {
    const NAME: NistCurve = NistCurve::P256;
}

impl ServedCurve<6> for P384 {
    const NAME: NistCurve = NistCurve::P384;
}

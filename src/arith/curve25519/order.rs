//! Numbers modulo the order of the base point, L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032
//! §5.1).
//!
//! Constant-time: the numbers are nonces and private keys.

use crate::arith::limbs::{self, adc, add_assign, ct_lt, mask, sub_assign_if};
use crate::arith::mont::redc;
use subtle::Choice;
use zeroize::Zeroizing;

/// A number below 2^256, in little-endian limbs.
pub(crate) type Scalar = [u64; 4];

/// L.
pub(super) const L: Scalar = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 1 << 60];

/// R = 2^256 modulo L, for Montgomery's products.
const R: Scalar = [0xd6ec_3174_8d98_951d, 0xc6ef_5bf4_737d_cf70, u64::MAX - 1, (1 << 60) - 1];

/// −L⁻¹ modulo 2^64.
const L_NEG_INV: u64 = 0xd2b5_1da3_1254_7e1b;

/// R² modulo L.
const R2: Scalar =
    [0xa406_11e3_449c_0f01, 0xd00e_1ba7_6885_9347, 0xceec_73d2_17f5_be65, 0x0399_411b_7c30_9a3d];

/// The number of 32 little-endian bytes.
pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Scalar {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// The number as 32 little-endian bytes.
pub(crate) fn to_bytes(scalar: &Scalar) -> [u8; 32] {
    super::encode(scalar)
}

/// Whether the number is below L.
pub(crate) fn is_reduced(scalar: &Scalar) -> Choice {
    ct_lt(scalar, &L)
}

/// The number of 64 little-endian bytes, a hash, modulo L.
pub(crate) fn reduce_hash(hash: &[u8; 64]) -> Zeroizing<Scalar> {
    let [low, high] = [0, 1].map(|half| {
        let bytes: &[u8; 32] = hash[32 * half..][..32].try_into().expect("half of 64 bytes");
        Zeroizing::new(from_bytes(bytes))
    });
    // low·R/R + high·R²/R
    let mut sum = montgomery(&low, &R);
    add(&mut sum, &montgomery(&high, &R2));
    sum
}

/// (a·b + c) modulo L, for b and c below L and any a.
pub(crate) fn multiply_add(a: &Scalar, b: &Scalar, c: &Scalar) -> Zeroizing<Scalar> {
    let mut product = montgomery(&montgomery(a, &R2), b);
    add(&mut product, c);
    product
}

/// a·b/R modulo L, for any a and for b below L.
fn montgomery(a: &Scalar, b: &Scalar) -> Zeroizing<Scalar> {
    let mut wide = Zeroizing::new([0; 8]);
    let mut out = Zeroizing::new([0; 4]);
    limbs::mul(&mut *wide, a, b);
    redc(&mut *out, &mut *wide, &L, L_NEG_INV);
    out
}

/// sum ← sum + other modulo L, both below L.
fn add(sum: &mut Scalar, other: &Scalar) {
    // Below 2^254: no carry.
    add_assign(sum, other);
    sub_assign_if(!is_reduced(sum), sum, &L);
}

/// An odd number with the same remainder modulo L as `scalar`, below 2^255: itself, or itself plus L.
pub(crate) fn odd(scalar: &Scalar) -> Scalar {
    let even = mask(scalar[0] & 1 ^ 1);
    let mut carry = 0;
    std::array::from_fn(|i| {
        let (sum, out) = adc(scalar[i], L[i] & even, carry);
        carry = out;
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::testing::{Operands, big};
    use num_bigint::BigUint;

    fn order() -> BigUint {
        (BigUint::from(1u8) << 252) + 27742317777372353535851937790883648493u128
    }

    fn numbers() -> Vec<Scalar> {
        let mut operands = Operands::new(252);
        let some = operands.some(4).into_iter().chain((0..20).map(|_| operands.rough(4)).collect::<Vec<_>>());
        let near = [[L[0] - 1, L[1], L[2], L[3]], L, [L[0] + 1, L[1], L[2], L[3]]];
        some.map(|x| x.try_into().unwrap()).chain(near).collect()
    }

    #[test]
    fn constants_are_right() {
        assert_eq!(big(&L), order());
        assert_eq!(big(&R), (BigUint::from(1u8) << 256) % order());
        assert_eq!(big(&R2), (BigUint::from(1u8) << 512) % order());
        assert_eq!(L_NEG_INV, limbs::neg_inv_u64(L[0]));
    }

    #[test]
    fn hashes_are_reduced() {
        let numbers = numbers();
        for low in &numbers {
            for high in &numbers {
                let mut hash = [0; 64];
                hash[..32].copy_from_slice(&to_bytes(low));
                hash[32..].copy_from_slice(&to_bytes(high));
                let expected = ((big(high) << 256) + big(low)) % order();
                assert_eq!(big(&*reduce_hash(&hash)), expected);
            }
        }
    }

    #[test]
    fn products_and_sums_are_those_of_the_integers() {
        let numbers = numbers();
        let reduced: Vec<_> = numbers.iter().filter(|x| bool::from(is_reduced(x))).collect();
        assert!(reduced.len() > 4 && reduced.len() < numbers.len());
        assert!(reduced.iter().all(|x| big(*x) < order()));
        for a in &numbers {
            for b in &reduced {
                for c in &reduced {
                    let expected = (big(a) * big(*b) + big(*c)) % order();
                    assert_eq!(big(&*multiply_add(a, b, c)), expected);
                }
            }
        }
    }

    #[test]
    fn odd_numbers_stand_for_even_ones() {
        for mut x in numbers() {
            x[3] >>= 1;
            let odd = odd(&x);
            assert_eq!(odd[0] & 1, 1);
            assert!(big(&odd) == big(&x) || big(&odd) == big(&x) + order());
        }
    }
}

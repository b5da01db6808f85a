//! Private keys from PKCS#8 and PKCS#1, DER, and the checks that every one of them passes.
//!
//! The checks are those of RFC 8017 §3.2 and of aws-lc, one [`KeyError`] for each. They take a time that
//! depends on the encoding's lengths and on the public n and e, not on secrets, up to the first check that
//! fails. Whether p and q are prime is not checked, by us as little as by aws-lc: a key whose "primes" are
//! composite makes signatures that fail their public-key check and are not released.

use crate::arch::Secret;
use crate::arith::limbs::{self, bit_len_vartime, ct_eq, ct_lt, from_be_bytes, is_zero};
use crate::arith::mont::reduce_wide;
use crate::error::KeyError;
use crate::ops::envelope::{self, RSA_ENCRYPTION};
use crate::ops::scalar;
use pkcs1::UintRef;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{self, Decode, Encode};
use pkcs8::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use subtle::Choice;

/// A checked key: n = p·q; e·dp = 1 mod p − 1 and e·dq = 1 mod q − 1; qinv·q = 1 mod p. p may be below q.
///
/// dp and qinv have the length of p, dq that of q. d served the checks and is not kept.
pub(super) struct Components {
    pub(super) n: Box<[u64]>,
    pub(super) e: u64,
    pub(super) p: Secret<u64>,
    pub(super) q: Secret<u64>,
    pub(super) dp: Secret<u64>,
    pub(super) dq: Secret<u64>,
    pub(super) qinv: Secret<u64>,
}

impl Components {
    /// Reads and checks an `RSAPrivateKey` (RFC 8017 appendix A.1.2), DER.
    pub(super) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = pkcs1::RsaPrivateKey::from_der(der).map_err(encoding)?;
        if key.other_prime_infos.is_some() {
            return Err(KeyError::MultiPrime);
        }
        let n = modulus(key.modulus)?;
        let e = public_exponent(key.public_exponent)?;
        let p = prime(key.prime1, n.len())?;
        let q = prime(key.prime2, n.len())?;
        if p.expose().len() == q.expose().len() {
            require(!ct_eq(p.expose(), q.expose()), KeyError::Primes)?;
        }
        require(is_product(&n, p.expose(), q.expose()), KeyError::Modulus)?;
        let d = number(key.private_exponent, n.len(), KeyError::PrivateExponent)?;
        require(ct_lt(d.expose(), &n), KeyError::PrivateExponent)?;
        check_private_exponent(&d, e, &p)?;
        check_private_exponent(&d, e, &q)?;
        let dp = crt_exponent(key.exponent1, &d, &p)?;
        let dq = crt_exponent(key.exponent2, &d, &q)?;
        let qinv = crt_coefficient(key.coefficient, &p, &q)?;
        Ok(Self { n, e, p, q, dp, dq, qinv })
    }

    /// The modulus' length in bits.
    pub(super) fn bits(&self) -> usize {
        bit_len_vartime(&self.n)
    }

    /// Whether each prime has half the bits of the modulus.
    pub(super) fn is_balanced(&self) -> bool {
        [&self.p, &self.q].iter().all(|prime| 2 * bit_len_vartime(prime.expose()) == self.bits())
    }

    /// n, big-endian, without leading zeros.
    pub(super) fn public_modulus(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bits().div_ceil(8)];
        limbs::to_be_bytes(&mut bytes, &self.n);
        bytes
    }

    /// The public key as `RSAPublicKey` (RFC 8017 appendix A.1.1), DER.
    pub(super) fn public_key_der(&self) -> Result<Vec<u8>, KeyError> {
        let (modulus, exponent) = (self.public_modulus(), self.e.to_be_bytes());
        let encode = || -> der::Result<Vec<u8>> {
            let (modulus, public_exponent) = (UintRef::new(&modulus)?, UintRef::new(&exponent)?);
            pkcs1::RsaPublicKey { modulus, public_exponent }.to_der()
        };
        encode().map_err(encoding)
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7, RFC 8017 appendix A.1.1), DER.
    pub(super) fn spki_der(&self) -> Result<Vec<u8>, KeyError> {
        let key = self.public_key_der()?;
        let encode = || -> der::Result<Vec<u8>> {
            let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
            SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(&key)? }
                .to_der()
        };
        encode().map_err(encoding)
    }
}

/// The `RSAPrivateKey` inside a `PrivateKeyInfo` (RFC 5958, RFC 5208), DER, and the `RSAPublicKey` that may
/// be beside it.
pub(super) fn pkcs1_in_pkcs8(der: &[u8]) -> Result<(&[u8], Option<&[u8]>), KeyError> {
    let info = envelope::open(der, RSA_ENCRYPTION)?;
    // RFC 8017 appendix A.1: "The parameters field […] SHALL have a value of type NULL."
    if info.algorithm.parameters != Some(AnyRef::NULL) {
        return Err(KeyError::Encoding);
    }
    Ok((info.private_key, info.public_key))
}

fn encoding<E>(_: E) -> KeyError {
    KeyError::Encoding
}

fn require(condition: Choice, otherwise: KeyError) -> Result<(), KeyError> {
    if bool::from(condition) { Ok(()) } else { Err(otherwise) }
}

fn modulus(n: UintRef<'_>) -> Result<Box<[u64]>, KeyError> {
    let mut limbs = vec![0; n.as_bytes().len().div_ceil(8)];
    from_be_bytes(&mut limbs, n.as_bytes());
    match scalar::RSA_MODULUS_BITS.contains(&bit_len_vartime(&limbs)) {
        true => Ok(limbs.into()),
        false => Err(KeyError::Size),
    }
}

/// An odd number from 3 to 2^33 − 1.
pub(super) fn public_exponent(e: UintRef<'_>) -> Result<u64, KeyError> {
    if e.as_bytes().len() > 8 {
        return Err(KeyError::PublicExponent);
    }
    let e = e.as_bytes().iter().fold(0, |e, byte| (e << 8) | u64::from(*byte));
    match e >= 3 && e % 2 == 1 && e >> scalar::RSA_EXPONENT_BITS == 0 {
        true => Ok(e),
        false => Err(KeyError::PublicExponent),
    }
}

/// An odd number of at least 3 and at most `limit` limbs, in as many limbs as its encoding needs.
fn prime(value: UintRef<'_>, limit: usize) -> Result<Secret<u64>, KeyError> {
    let len = value.as_bytes().len().div_ceil(8);
    if len > limit {
        return Err(KeyError::Modulus);
    }
    let prime = number(value, len.max(1), KeyError::Primes)?;
    let odd = Choice::from((prime.expose()[0] & 1) as u8);
    let one = is_zero(&prime.expose()[1..]) & ct_eq(&prime.expose()[..1], &[1]);
    require(odd & !one, KeyError::Primes)?;
    Ok(prime)
}

/// A number of at most `len` limbs.
fn number(value: UintRef<'_>, len: usize, too_long: KeyError) -> Result<Secret<u64>, KeyError> {
    if value.as_bytes().len() > 8 * len {
        return Err(too_long);
    }
    let mut limbs = Secret::zeroed(len);
    from_be_bytes(limbs.expose_mut(), value.as_bytes());
    Ok(limbs)
}

/// Whether n = p·q.
fn is_product(n: &[u64], p: &[u64], q: &[u64]) -> Choice {
    let mut product = Secret::zeroed((p.len() + q.len()).max(n.len()));
    limbs::mul(&mut product.expose_mut()[..p.len() + q.len()], p, q);
    let (low, high) = product.expose().split_at(n.len());
    ct_eq(low, n) & is_zero(high)
}

/// Whether d·e = 1 mod prime − 1: true of the inverse of e modulo λ(n) and modulo φ(n).
fn check_private_exponent(d: &Secret<u64>, e: u64, prime: &Secret<u64>) -> Result<(), KeyError> {
    let mut product = Secret::zeroed(d.expose().len() + 1);
    limbs::mul(product.expose_mut(), d.expose(), &[e]);
    let residue = residue(&product, &minus_one(prime));
    let one = ct_eq(&residue.expose()[..1], &[1]) & is_zero(&residue.expose()[1..]);
    require(one, KeyError::PrivateExponent)
}

/// `value`, if it is d mod prime − 1.
fn crt_exponent(value: UintRef<'_>, d: &Secret<u64>, prime: &Secret<u64>) -> Result<Secret<u64>, KeyError> {
    let value = number(value, prime.expose().len(), KeyError::CrtExponent)?;
    let expected = residue(d, &minus_one(prime));
    require(ct_eq(value.expose(), expected.expose()), KeyError::CrtExponent)?;
    Ok(value)
}

/// `value`, if it is below p and value·q = 1 mod p.
fn crt_coefficient(value: UintRef<'_>, p: &Secret<u64>, q: &Secret<u64>) -> Result<Secret<u64>, KeyError> {
    let value = number(value, p.expose().len(), KeyError::CrtCoefficient)?;
    let mut product = Secret::zeroed(p.expose().len() + q.expose().len());
    limbs::mul(product.expose_mut(), value.expose(), q.expose());
    let residue = residue(&product, p);
    let one = ct_eq(&residue.expose()[..1], &[1]) & is_zero(&residue.expose()[1..]);
    require(one & ct_lt(value.expose(), p.expose()), KeyError::CrtCoefficient)?;
    Ok(value)
}

/// prime − 1, for an odd number.
fn minus_one(prime: &Secret<u64>) -> Secret<u64> {
    let mut even = Secret::copied_from(prime.expose());
    even.expose_mut()[0] &= !1;
    even
}

/// x mod n.
fn residue(x: &Secret<u64>, n: &Secret<u64>) -> Secret<u64> {
    let mut out = Secret::zeroed(n.expose().len());
    reduce_wide(out.expose_mut(), x.expose(), n.expose());
    out
}

#[cfg(test)]
mod tests;

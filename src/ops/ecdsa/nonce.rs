//! Nonces after RFC 6979 with fresh randomness mixed in: neither a bad generator nor a repeated fault gives
//! two signatures with one nonce.

use crate::error::Error;
use crate::ops::kinds::{Hash, MAX_HASH_LEN, NistCurve};
use crate::ops::nist::Scalar;
use crate::ops::scalar;
use zeroize::Zeroizing;

/// The block length of the longest hash, in bytes.
const MAX_BLOCK_LEN: usize = 128;

/// The longest message: V, a byte, the key, the hash, the additional input.
const MAX_MESSAGE_LEN: usize = 4 * MAX_HASH_LEN + 1;

/// The HMAC-DRBG of RFC 6979 §3.2: K and V, as long as the hash.
struct Generator {
    hash: Hash,
    k: Zeroizing<[u8; MAX_HASH_LEN]>,
    v: Zeroizing<[u8; MAX_HASH_LEN]>,
}

impl Generator {
    /// Steps b and c, then d to g with the parts of the seed.
    fn new(hash: Hash, seed: &[&[u8]]) -> Self {
        let mut generator =
            Self { hash, k: Zeroizing::new([0; MAX_HASH_LEN]), v: Zeroizing::new([1; MAX_HASH_LEN]) };
        generator.update(0, seed);
        generator.update(1, seed);
        generator
    }

    /// K = HMAC_K(V ‖ byte ‖ seed), V = HMAC_K(V).
    fn update(&mut self, byte: u8, seed: &[&[u8]]) {
        let v = Zeroizing::new(*self.v);
        let own: [&[u8]; 2] = [&v[..self.hash.len()], &[byte]];
        let k = Zeroizing::new(*self.k);
        hmac(self.hash, &k, own.iter().chain(seed), &mut self.k);
        self.next();
    }

    /// V = HMAC_K(V).
    fn next(&mut self) -> &[u8] {
        let v = Zeroizing::new(*self.v);
        hmac(self.hash, &self.k, [&v[..self.hash.len()]].iter(), &mut self.v);
        &self.v[..self.hash.len()]
    }
}

/// HMAC (RFC 2104) of the concatenated parts, in two calls of the hash function: a tenth of a signature's
/// time is spent here, and a context would double that. The first `hash.len()` bytes of `key` are the key,
/// those of `out` the result.
fn hmac<'a>(
    hash: Hash,
    key: &[u8; MAX_HASH_LEN],
    parts: impl Iterator<Item = &'a &'a [u8]>,
    out: &mut [u8; MAX_HASH_LEN],
) {
    let (len, block) = (hash.len(), hash.block_len());
    let mut buffer = Zeroizing::new([0x36; MAX_BLOCK_LEN + MAX_MESSAGE_LEN]);
    buffer.iter_mut().zip(&key[..len]).for_each(|(b, k)| *b ^= k);
    let mut end = block;
    for part in parts {
        buffer[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    let mut inner = Zeroizing::new([0; MAX_HASH_LEN]);
    scalar::digest(hash, &buffer[..end], &mut inner[..len]);
    buffer[..block].fill(0x5c);
    buffer.iter_mut().zip(&key[..len]).for_each(|(b, k)| *b ^= k);
    buffer[block..block + len].copy_from_slice(&inner[..len]);
    scalar::digest(hash, &buffer[..block + len], &mut out[..len]);
}

/// The nonce for the private key d and the hashed message z, both below n. `additional` is the fresh
/// randomness (RFC 6979 §3.6), at most [`MAX_HASH_LEN`] bytes; without any, the nonce is the deterministic
/// one.
pub(super) fn nonce(curve: NistCurve, d: &[u64], z: &[u64], additional: &[u8]) -> Result<Scalar, Error> {
    let (d, z) = (curve.bytes(d), curve.bytes(z));
    let mut generator = Generator::new(curve.hash(), &[&d, &z, additional]);
    // Step h: the hash is as long as n, so one V is one candidate. The bound is for a broken hash function
    // only.
    for _ in 0..64 {
        if let Some(k) = curve.scalar(generator.next()) {
            return Ok(k);
        }
        generator.update(0, &[]);
    }
    Err(Error::Random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac as aws;

    #[test]
    fn hmac_is_that_of_aws_lc_rs() {
        for (hash, algorithm) in [(Hash::Sha256, aws::HMAC_SHA256), (Hash::Sha384, aws::HMAC_SHA384)] {
            for (i, len) in [0, 1, 48, 64, 200, MAX_MESSAGE_LEN].into_iter().enumerate() {
                let key: [u8; MAX_HASH_LEN] = std::array::from_fn(|j| (7 * i + j) as u8);
                let message: Vec<u8> = (0..len).map(|j| (i + 3 * j) as u8).collect();
                let mut out = [0; MAX_HASH_LEN];
                let (first, second) = message.split_at(len / 3);
                hmac(hash, &key, [first, second].iter(), &mut out);
                let expected = aws::sign(&aws::Key::new(algorithm, &key[..hash.len()]), &message);
                assert_eq!(&out[..hash.len()], expected.as_ref());
            }
        }
    }
}

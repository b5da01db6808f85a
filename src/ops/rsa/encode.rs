//! From a message to the number that is signed, and the check of such a number: EMSA-PKCS1-v1_5 and EMSA-PSS
//! (RFC 8017 §9).
//!
//! Neither the message nor the encoded result is a secret; the salt is an argument, so that everything here
//! is a function of its inputs.

mod verify;

pub(super) use verify::verify;

use super::Padding;
use crate::error::Error;
use crate::ops::kinds::{Hash, MAX_HASH_LEN};
use crate::ops::scalar::digest;

/// What both encodings say of a modulus that is too small.
const TOO_SHORT: Error = Error::Unsupported("the modulus is too small for this padding and hash");

/// The DER encoding of `DigestInfo` up to the digest itself (RFC 8017 §9.2, note 1).
const fn digest_info(hash: Hash) -> [u8; 19] {
    let (total, id, len) = match hash {
        Hash::Sha256 => (0x31, 0x01, 0x20),
        Hash::Sha384 => (0x41, 0x02, 0x30),
        Hash::Sha512 => (0x51, 0x03, 0x40),
    };
    [0x30, total, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, id, 5, 0, 4, len]
}

/// The encoded message for a modulus of `modulus_bits`, big-endian, as long as the modulus.
///
/// `salt` has [`Padding::salt_len`] bytes and should be random.
///
/// # Errors
/// [`Error::Unsupported`] when the modulus is too small for the padding.
pub(super) fn encode(
    padding: Padding,
    message: &[u8],
    salt: &[u8],
    modulus_bits: usize,
) -> Result<Vec<u8>, Error> {
    assert_eq!(salt.len(), padding.salt_len());
    let (hash, mut m_hash) = (padding.hash(), [0; MAX_HASH_LEN]);
    let m_hash = &mut m_hash[..hash.len()];
    digest(hash, message, m_hash);
    let mut out = vec![0; modulus_bits.div_ceil(8)];
    match padding {
        Padding::Pkcs1Sha256 | Padding::Pkcs1Sha384 | Padding::Pkcs1Sha512 => {
            emsa_pkcs1_v1_5(hash, m_hash, &mut out)?;
        }
        Padding::PssSha256 | Padding::PssSha384 | Padding::PssSha512 => {
            // RFC 8017 §8.1.1 step 1: emBits = modBits − 1, which may be a byte less than the modulus.
            let em_bits = modulus_bits - 1;
            let em_start = out.len() - em_bits.div_ceil(8);
            emsa_pss(hash, m_hash, salt, em_bits, &mut out[em_start..])?;
        }
    }
    Ok(out)
}

/// EMSA-PKCS1-v1_5-ENCODE (RFC 8017 §9.2) into `em`, from step 2 on: step 1 has made `m_hash`.
fn emsa_pkcs1_v1_5(hash: Hash, m_hash: &[u8], em: &mut [u8]) -> Result<(), Error> {
    let prefix = digest_info(hash);
    let t_len = prefix.len() + hash.len();
    // 3. If emLen < tLen + 11, output "intended encoded message length too short" and stop.
    if em.len() < t_len + 11 {
        return Err(TOO_SHORT);
    }
    // 5. EM = 0x00 || 0x01 || PS || 0x00 || T, with (4.) emLen − tLen − 3 bytes 0xff for PS.
    let (padding, t) = em.split_at_mut(em.len() - t_len);
    padding.fill(0xff);
    padding[..2].copy_from_slice(&[0x00, 0x01]);
    padding[padding.len() - 1] = 0x00;
    // 2. T = DER encoding of DigestInfo.
    let (info, h) = t.split_at_mut(prefix.len());
    info.copy_from_slice(&prefix);
    h.copy_from_slice(m_hash);
    Ok(())
}

/// EMSA-PSS-ENCODE (RFC 8017 §9.1.1) into `em`, ⌈em_bits/8⌉ bytes, with MGF1 of the same hash, from step 3
/// on: steps 1 and 2 have made `m_hash`. `salt` may have any length up to [`MAX_HASH_LEN`].
fn emsa_pss(hash: Hash, m_hash: &[u8], salt: &[u8], em_bits: usize, em: &mut [u8]) -> Result<(), Error> {
    let (h_len, em_len) = (hash.len(), em.len());
    debug_assert_eq!(em_len, em_bits.div_ceil(8));
    // 3. If emLen < hLen + sLen + 2, output "encoding error" and stop.
    if em_len < h_len + salt.len() + 2 {
        return Err(TOO_SHORT);
    }
    // 12. EM = maskedDB || H || 0xbc. (4., the salt, came as an argument.)
    let (db, rest) = em.split_at_mut(em_len - h_len - 1);
    let (h, trailer) = rest.split_at_mut(h_len);
    hash_m_prime(hash, m_hash, salt, h);
    trailer[0] = 0xbc;
    // 8. DB = PS || 0x01 || salt, with (7.) zeros for PS.
    let salt_start = db.len() - salt.len();
    db.fill(0);
    db[salt_start - 1] = 0x01;
    db[salt_start..].copy_from_slice(salt);
    // 9., 10. maskedDB = DB xor MGF(H, emLen − hLen − 1).
    xor_mgf1(hash, h, db);
    // 11. Set the leftmost 8·emLen − emBits bits of the leftmost byte of maskedDB to zero.
    db[0] &= 0xff >> (8 * em_len - em_bits);
    Ok(())
}

/// Steps 5 and 6 of EMSA-PSS-ENCODE, 12 and 13 of EMSA-PSS-VERIFY: H = Hash(M'), M' = eight bytes 0x00 ||
/// mHash || salt.
fn hash_m_prime(hash: Hash, m_hash: &[u8], salt: &[u8], h: &mut [u8]) {
    let mut m_prime = [0; 8 + 2 * MAX_HASH_LEN];
    let m_prime = &mut m_prime[..8 + m_hash.len() + salt.len()];
    m_prime[8..8 + m_hash.len()].copy_from_slice(m_hash);
    m_prime[8 + m_hash.len()..].copy_from_slice(salt);
    digest(hash, m_prime, h);
}

/// `out ^= MGF1(seed, out.len())` (RFC 8017 appendix B.2.1); the seed is as long as the hash.
fn xor_mgf1(hash: Hash, seed: &[u8], out: &mut [u8]) {
    // 3. T = T || Hash(mgfSeed || C), with C the counter in four bytes.
    let mut input = [0; MAX_HASH_LEN + 4];
    let input = &mut input[..seed.len() + 4];
    input[..seed.len()].copy_from_slice(seed);
    let mut block = [0; MAX_HASH_LEN];
    let block = &mut block[..hash.len()];
    for (counter, chunk) in (0u32..).zip(out.chunks_mut(hash.len())) {
        input[seed.len()..].copy_from_slice(&counter.to_be_bytes());
        digest(hash, input, block);
        for (out, mask) in chunk.iter_mut().zip(block.iter()) {
            *out ^= mask;
        }
    }
}

#[cfg(test)]
mod tests;

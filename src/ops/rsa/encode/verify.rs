//! Whether a number is the encoding of a message. Nothing here is a secret.

use super::{Hash, MAX_HASH_LEN, Padding, emsa_pkcs1_v1_5, hash_m_prime, xor_mgf1};

/// Whether `em`, as long as a modulus of `modulus_bits`, encodes the message with this hash.
pub(in crate::ops::rsa) fn verify(padding: Padding, m_hash: &[u8], em: &[u8], modulus_bits: usize) -> bool {
    debug_assert_eq!(em.len(), modulus_bits.div_ceil(8));
    let hash = padding.hash();
    match padding {
        Padding::Pkcs1Sha256 | Padding::Pkcs1Sha384 | Padding::Pkcs1Sha512 => {
            // RFC 8017 §8.2.2, step 3: EM' = EMSA-PKCS1-v1_5-ENCODE(M, k); step 4: EM and EM' must be the
            // same.
            let mut expected = vec![0; em.len()];
            emsa_pkcs1_v1_5(hash, m_hash, &mut expected).is_ok() && em == expected
        }
        Padding::PssSha256 | Padding::PssSha384 | Padding::PssSha512 => {
            // RFC 8017 §8.1.2, step 2.c: emLen = ⌈(modBits − 1)/8⌉, which may be a byte less than the
            // modulus; the number must fit.
            let em_bits = modulus_bits - 1;
            let (above, em) = em.split_at(em.len() - em_bits.div_ceil(8));
            above.iter().all(|byte| *byte == 0) && emsa_pss_verify(hash, m_hash, em, em_bits)
        }
    }
}

/// EMSA-PSS-VERIFY (RFC 8017 §9.1.2), with MGF1 of the same hash and a salt as long as the hash, from step 3
/// on: steps 1 and 2 have made `m_hash`. `em` has ⌈em_bits/8⌉ bytes.
fn emsa_pss_verify(hash: Hash, m_hash: &[u8], em: &[u8], em_bits: usize) -> bool {
    let (h_len, s_len, em_len) = (hash.len(), hash.len(), em.len());
    // 3. If emLen < hLen + sLen + 2, output "inconsistent" and stop.
    if em_len < h_len + s_len + 2 {
        return false;
    }
    // 4. The rightmost byte must be 0xbc; 5. maskedDB is the leftmost emLen − hLen − 1 bytes, H the next hLen
    //    bytes.
    let (masked_db, rest) = em.split_at(em_len - h_len - 1);
    let (h, trailer) = rest.split_at(h_len);
    // 6. The leftmost 8·emLen − emBits bits of the leftmost byte of maskedDB must be zero.
    let used = 0xff >> (8 * em_len - em_bits);
    if trailer != [0xbc] || masked_db[0] & !used != 0 {
        return false;
    }
    // 7., 8. DB = maskedDB xor MGF(H, emLen − hLen − 1); 9. set those leftmost bits to zero.
    let mut db = masked_db.to_vec();
    xor_mgf1(hash, h, &mut db);
    db[0] &= used;
    // 10. The leftmost emLen − hLen − sLen − 2 bytes must be zero, the next one 0x01; 11. the rest is the
    //     salt.
    let (padding, salt) = db.split_at(db.len() - s_len);
    let (one, zeros) = padding.split_last().expect("emLen ≥ hLen + sLen + 2");
    if *one != 0x01 || zeros.iter().any(|byte| *byte != 0) {
        return false;
    }
    // 12., 13. H' = Hash(M'); 14. H and H' must be the same.
    let mut expected = [0; MAX_HASH_LEN];
    hash_m_prime(hash, m_hash, salt, &mut expected[..h_len]);
    h == &expected[..h_len]
}

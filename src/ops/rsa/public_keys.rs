//! Public keys of peers, as they come in certificates, and the cache of those that were used last.

use super::import::public_exponent;
use super::lanes::PublicKey;
use crate::arch::lanes::MontLanes;
use crate::arith::limbs::from_be_bytes;
use crate::ops::Op;
use pkcs1::der::Decode;
use std::sync::Arc;

/// A well-formed `RSAPublicKey` (RFC 8017 appendix A.1.1) of a kind that lanes serve: a modulus of 2048, 3072
/// or 4096 bits, odd, and an odd exponent from 3 to 2^33 − 1.
///
/// DER has one encoding for each key: two keys are the same if their encodings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerKey {
    der: Box<[u8]>,
    /// Where in it the modulus is, without leading zeros.
    modulus: std::ops::Range<usize>,
    e: u64,
    op: Op,
}

impl PeerKey {
    /// Reads the key, or gives `None` for everything else. Strict: whatever is not DER is left to aws-lc-rs.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let key = pkcs1::RsaPublicKey::from_der(der).ok()?;
        let e = public_exponent(key.public_exponent).ok()?;
        let modulus = key.modulus.as_bytes();
        let op = match (modulus.len(), modulus.first()? >> 7, modulus.last()? & 1) {
            (256, 1, 1) => Op::RsaVerify2048,
            (384, 1, 1) => Op::RsaVerify3072,
            (512, 1, 1) => Op::RsaVerify4096,
            _ => return None,
        };
        let start = der.windows(modulus.len()).position(|window| std::ptr::eq(window, modulus))?;
        Some(Self { der: der.into(), modulus: start..start + modulus.len(), e, op })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn e(&self) -> u64 {
        self.e
    }

    pub(super) fn op(&self) -> Op {
        self.op
    }

    /// The length of the modulus in bytes.
    pub(super) fn len(&self) -> usize {
        self.modulus.len()
    }

    fn modulus(&self) -> &[u8] {
        &self.der[self.modulus.clone()]
    }

    fn prepare<K: MontLanes>(&self) -> Option<PublicKey> {
        let mut n = vec![0; self.len() / 8];
        from_be_bytes(&mut n, self.modulus());
        PublicKey::new::<K>(&n, self.e)
    }

    /// The end of the modulus: tells keys apart at one look, nearly always.
    fn tag(&self) -> u64 {
        self.modulus().iter().rev().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
    }
}

/// The most keys that a cache holds: about 200 KiB of 4096-bit keys.
const BOUND: usize = 64;

/// The public keys that one thread used last, prepared for its kernels: peers and certification authorities
/// come back.
///
/// It holds at most [`BOUND`] keys, and nothing else; the least recently used one is evicted. The timing of a
/// verification reveals to peers whether a key was used lately, and they may evict others' keys, which costs
/// what preparing them costs. Keys of ECDSA are kept in another way, because what is prepared for them is
/// large, and pays for itself only after some verifications: see `ops/ecdsa/known.rs`.
#[derive(Default)]
pub(crate) struct PublicKeys {
    entries: Vec<Entry>,
    /// The time, in look-ups.
    now: u64,
}

struct Entry {
    tag: u64,
    used: u64,
    der: Box<[u8]>,
    prepared: Arc<PublicKey>,
}

impl PublicKeys {
    /// `key` prepared for kernel `K`, or `None` if it has no kernels for the size.
    pub(super) fn get<K: MontLanes>(&mut self, key: &PeerKey) -> Option<Arc<PublicKey>> {
        self.now += 1;
        let tag = key.tag();
        if let Some(entry) = self.entries.iter_mut().find(|e| e.tag == tag && e.der == key.der) {
            entry.used = self.now;
            return Some(entry.prepared.clone());
        }
        let prepared = Arc::new(key.prepare::<K>()?);
        let entry = Entry { tag, used: self.now, der: key.der.clone(), prepared: prepared.clone() };
        if self.entries.len() < BOUND {
            self.entries.push(entry);
        } else if let Some(oldest) = self.entries.iter_mut().min_by_key(|e| e.used) {
            *oldest = entry;
        }
        Some(prepared)
    }

    /// Forgets all keys.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl std::fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKeys({} of {BOUND})", self.entries.len())
    }
}

#[cfg(test)]
mod tests;

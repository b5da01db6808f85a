//! A batch of signatures to verify: RSASSA-PSS-VERIFY and RSASSA-PKCS1-v1_5-VERIFY (RFC 8017 §8.1.2, §8.2.2).

use super::lanes::{self, PublicJob, PublicKey, Workspace};
use super::public_keys::{PeerKey, PublicKeys};
use super::{Padding, encode};
use crate::arch::lanes::MontLanes;
use crate::arith::limbs;
use crate::error::Error;
use crate::ops::kinds::MAX_HASH_LEN;
use crate::ops::scalar;
use crate::ops::timings::Fills;
use crate::ops::{Counters, Op};
use std::sync::Arc;

/// A signature to be verified with one public key in some batch.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::Tier;
/// use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey, VerifyRequest};
/// use rustls_multibuffer::internals::ops::{Request, Response, Runner};
///
/// let text = std::fs::read("vendor-test-vectors/rsa-keys/rsa2048.pkcs8.pem")?;
/// let key = RsaPrivateKey::from_pem(&text)?;
/// let signature = key.sign(Padding::PssSha256, b"a message")?;
/// let request = VerifyRequest::new(key.public_key_der(), Padding::PssSha256, b"a message", &signature);
/// let request = Request::RsaVerify(request.expect("lanes serve keys of 2048 bits"));
/// let mut results = Vec::new();
/// Runner::new(Tier::detect()).run(&[&request], &mut results);
/// assert_eq!(results, [Ok(Response::Verified)]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    key: PeerKey,
    padding: Padding,
    m_hash: [u8; MAX_HASH_LEN],
    signature: Box<[u8]>,
}

impl VerifyRequest {
    /// A request to verify that `signature` is one of `message` by `public_key`, an `RSAPublicKey` (RFC 8017
    /// appendix A.1.1) in DER, which is what the bit string of a certificate's `SubjectPublicKeyInfo` holds.
    ///
    /// `None` for a key that lanes do not serve: whatever is not strict DER, not of 2048, 3072 or 4096 bits,
    /// or has an exponent that is even, below 3 or longer than 33 bits. aws-lc-rs knows what to make of
    /// these.
    pub fn new(public_key: &[u8], padding: Padding, message: &[u8], signature: &[u8]) -> Option<Self> {
        let key = PeerKey::parse(public_key)?;
        // Hashed here, the message need not be kept.
        let mut m_hash = [0; MAX_HASH_LEN];
        scalar::digest(padding.hash(), message, &mut m_hash[..padding.hash().len()]);
        Some(Self { key, padding, m_hash, signature: signature.into() })
    }

    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        self.key.op()
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<(), Error> {
        scalar::verify_rsa(self.padding, self.key.der(), self.m_hash(), &self.signature)
    }

    fn m_hash(&self) -> &[u8] {
        &self.m_hash[..self.padding.hash().len()]
    }
}

/// Verifies at once, on the calling thread, through aws-lc-rs, that `signature` is one of `message` by
/// `public_key`, an `RSAPublicKey` (RFC 8017 appendix A.1.1) in DER with a modulus of 2048 to 8192 bits.
///
/// # Errors
/// [`Error::InvalidSignature`] when it is not, or when the key is not well-formed.
pub fn verify(public_key: &[u8], padding: Padding, message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let mut m_hash = [0; MAX_HASH_LEN];
    let m_hash = &mut m_hash[..padding.hash().len()];
    scalar::digest(padding.hash(), message, m_hash);
    scalar::verify_rsa(padding, public_key, m_hash, signature)
}

/// A request on its way through the lanes.
struct Work<'a> {
    request: &'a VerifyRequest,
    key: Arc<PublicKey>,
    /// The signature, s.
    input: Vec<u64>,
    /// m = s^e mod n.
    output: Vec<u64>,
    verdict: &'a mut Result<(), Error>,
}

/// Verifies the signatures of `requests`, at most `LANES`, all of one modulus size, with a result for each:
/// [`Error::InvalidSignature`] for those that are not valid.
///
/// Only keys with the same public exponent can run together; when `fills` does not contain their number,
/// aws-lc-rs verifies with them one by one.
pub(in crate::ops) fn verify_batch<K: MontLanes>(
    kernel: K,
    workspace: &mut Workspace<K>,
    keys: &mut PublicKeys,
    requests: &[&VerifyRequest],
    fills: Fills,
    counters: &mut Counters,
) -> Vec<Result<(), Error>> {
    let mut verdicts = vec![Err(Error::InvalidSignature); requests.len()];
    let mut pending: Vec<_> = requests.iter().zip(&mut verdicts).collect();
    pending.sort_by_key(|(request, _)| request.key.e());
    for group in pending.chunk_by_mut(|(a, _), (b, _)| a.key.e() == b.key.e()) {
        if !fills.contains(group.len()) {
            counters.scalar += group.len() as u64;
            group.iter_mut().for_each(|(request, verdict)| **verdict = request.run_scalar());
        } else {
            counters.in_lanes += group.len() as u64;
            let work = group.iter_mut().filter_map(|(request, verdict)| prepare::<K>(request, keys, verdict));
            verify_group(kernel, workspace, work.collect());
        }
    }
    verdicts
}

/// `None` for what is refused without a computation.
fn prepare<'a, K: MontLanes>(
    request: &'a VerifyRequest,
    keys: &mut PublicKeys,
    verdict: &'a mut Result<(), Error>,
) -> Option<Work<'a>> {
    // RFC 8017 §8.1.2 and §8.2.2, step 1: the signature must be as long as the modulus.
    if request.signature.len() != request.key.len() {
        return None;
    }
    let key = keys.get::<K>(&request.key)?;
    // Step 2.a: s = OS2IP(S).
    let (mut input, output) = (vec![0; key.n().len()], vec![0; key.n().len()]);
    limbs::from_be_bytes(&mut input, &request.signature);
    // Step 2.b: RSAVP1, whose step 1 is: s must be less than n.
    bool::from(limbs::ct_lt(&input, key.n())).then_some(Work { request, key, input, output, verdict })
}

fn verify_group<K: MontLanes>(kernel: K, workspace: &mut Workspace<K>, mut work: Vec<Work<'_>>) {
    if work.is_empty() {
        return;
    }
    // Step 2.b, RSAVP1, step 2: m = s^e mod n.
    let jobs = work.iter_mut().map(|w| PublicJob { key: &w.key, input: &w.input, output: &mut w.output });
    lanes::public(kernel, workspace, &mut jobs.collect::<Vec<_>>());
    for work in work {
        let request = work.request;
        // Step 2.c: EM = I2OSP(m, k); steps 3 and 4.
        let mut em = vec![0; request.key.len()];
        limbs::to_be_bytes(&mut em, &work.output);
        if encode::verify(request.padding, request.m_hash(), &em, 8 * em.len()) {
            *work.verdict = Ok(());
        }
    }
}

#[cfg(test)]
mod tests;

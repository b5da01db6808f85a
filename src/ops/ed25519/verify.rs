//! A batch of signatures to verify (RFC 8032 §5.1.7).
//!
//! The equation is checked without multiplying by the cofactor, as aws-lc-rs does, and R is compared as it is
//! encoded: so exactly those signatures are valid that are valid there, also with keys of small order.

use super::{KEY_LEN, SIGNATURE_LEN};
use crate::arith::curve25519::{Combination, Combiner, Kernel, Undecodable, order};
use crate::error::Error;
use crate::ops::{Counters, scalar};

/// A signature to be verified with one public key in some batch.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::Tier;
/// use rustls_multibuffer::internals::ops::ed25519::{PrivateKey, VerifyRequest};
/// use rustls_multibuffer::internals::ops::{Request, Response, Runner};
///
/// let key = PrivateKey::from_bytes(&[7; 32])?;
/// let signature = key.sign(b"a message")?;
/// let request = VerifyRequest::new(key.public_key(), b"a message", &signature);
/// let request = Request::Ed25519Verify(request.expect("32 and 64 bytes"));
/// let mut results = Vec::new();
/// Runner::new(Tier::detect()).run(&[&request], &mut results);
/// assert_eq!(results, [Ok(Response::Verified)]);
/// # }
/// # Ok::<(), rustls_multibuffer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    public_key: [u8; KEY_LEN],
    message: Box<[u8]>,
    r: [u8; 32],
    s: [u8; 32],
}

impl VerifyRequest {
    /// A request to verify that `signature` is one of `message` by `public_key` (RFC 8032 §5.1.2), which is
    /// what the bit string of a certificate's `SubjectPublicKeyInfo` holds.
    ///
    /// `None` if either has another length than it must have: aws-lc-rs knows what to make of these.
    pub fn new(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<Self> {
        let public_key = public_key.try_into().ok()?;
        let signature: &[u8; SIGNATURE_LEN] = signature.try_into().ok()?;
        let (r, s) = signature.split_at(32);
        let half = |bytes: &[u8]| bytes.try_into().ok();
        Some(Self { public_key, message: message.into(), r: half(r)?, s: half(s)? })
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<(), Error> {
        verify(&self.public_key, &self.message, &[self.r, self.s].concat())
    }

    /// Steps 1 and 2, as far as they need no point: S must be below the group order, which refuses malleated
    /// signatures (§8.4).
    fn prepare(&self) -> Option<Combination<'_>> {
        let s = order::from_bytes(&self.s);
        if !bool::from(order::is_reduced(&s)) {
            return None;
        }
        let mut hash = [0; 64];
        scalar::sha512(&[&self.r, &self.public_key, &self.message], &mut hash);
        Some(Combination { s, h: *order::reduce_hash(&hash), a: &self.public_key })
    }

    #[cfg(test)]
    pub(super) fn is_for_lanes(&self) -> bool {
        self.prepare().is_some()
    }
}

/// Verifies at once, on the calling thread, through aws-lc-rs, that `signature` is one of `message` by
/// `public_key` (RFC 8032 §5.1.2).
///
/// # Errors
/// [`Error::InvalidSignature`] when it is not, or when the key is none.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
    scalar::verify_ed25519(public_key, message, signature)
}

/// Verifies the signatures of `requests`, at most as many as there are lanes, with a result for each:
/// [`Error::InvalidSignature`] for those that are not valid.
pub(in crate::ops) fn verify_batch<K: Kernel>(
    kernel: K,
    requests: &[&VerifyRequest],
    counters: &mut Counters,
) -> Vec<Result<(), Error>> {
    let mut verdicts = vec![Err(Error::InvalidSignature); requests.len()];
    counters.in_lanes += requests.len() as u64;
    let work =
        requests.iter().zip(&mut verdicts).filter_map(|(request, v)| Some((request.prepare()?, request, v)));
    let (jobs, rest): (Vec<_>, Vec<_>) =
        work.map(|(job, request, verdict)| (job, (request, verdict))).unzip();
    if jobs.is_empty() {
        return verdicts;
    }
    // Step 3: R = S·B − k·A.
    let points = Combiner::new(kernel).run(&jobs);
    for (point, (request, verdict)) in points.into_iter().zip(rest) {
        *verdict = match point {
            Ok(r) if r == request.r => Ok(()),
            Ok(_) | Err(Undecodable::NotOnCurve) => Err(Error::InvalidSignature),
            // Whether such a key is accepted, aws-lc-rs decides, by the code that it has for this machine.
            Err(Undecodable::NotCanonical) => {
                counters.in_lanes -= 1;
                counters.scalar += 1;
                request.run_scalar()
            }
        };
    }
    verdicts
}

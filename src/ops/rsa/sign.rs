//! A batch of signatures: encode, blind, exponentiate, check, release.

use super::blinding::Random;
use super::encode::encode;
use super::lanes::{self, BlindingPair, LaneKey, PrivateJob, PublicJob, Workspace};
use super::{RsaPrivateKey, SignRequest};
use crate::arch::lanes::MontLanes;
use crate::arch::{Secret, disclose};
use crate::arith::limbs;
use crate::error::Error;
use crate::ops::Counters;

/// A request on its way through the lanes.
struct Work<'a> {
    key: &'a LaneKey,
    /// The encoded message.
    input: Vec<u64>,
    blinding: Option<[BlindingPair; 2]>,
    /// The signature: a secret until it has passed its check, because a wrong one would reveal a prime.
    output: Secret<u64>,
    /// The signature to the power e.
    check: Vec<u64>,
}

/// Signs `requests`, at most `LANES / 2`, all of one modulus size, with a result for each.
///
/// No signature is released that does not verify with its public key (RFC 8017 §5.2.2; D. Boneh, R. DeMillo,
/// R. Lipton, "On the importance of checking cryptographic protocols for faults"): such a request is
/// recomputed by aws-lc-rs, and counted.
pub(in crate::ops) fn sign_batch<K: MontLanes>(
    kernel: K,
    workspace: &mut Workspace<K>,
    random: Random<'_>,
    requests: &[&SignRequest],
    counters: &mut Counters,
) -> Vec<Result<Vec<u8>, Error>> {
    let mut work: Vec<_> = requests.iter().map(|r| prepare::<K>(r, random)).collect();
    exponentiate(kernel, workspace, work.iter_mut().flatten());
    let finished = work.into_iter().zip(requests);
    finished.map(|(work, request)| release(work?, request, counters)).collect()
}

fn prepare<'a, K: MontLanes>(request: &'a SignRequest, random: Random<'_>) -> Result<Work<'a>, Error> {
    let key: &RsaPrivateKey = &request.key;
    let unserved = Error::Unsupported("lanes for this modulus");
    let (Some(lanes), Some(blinding)) = (key.lanes::<K>(), key.blinding()) else { return Err(unserved) };
    let n = lanes.public().n();
    let mut salt = vec![0; request.padding.salt_len()];
    random(&mut salt)?;
    let message = encode(request.padding, &request.message, &salt, key.bits())?;
    let mut input = vec![0; n.len()];
    limbs::from_be_bytes(&mut input, &message);
    let half = || Secret::zeroed(n.len() / 2);
    let mut pairs = [(); 2].map(|()| BlindingPair { factor: half(), inverse: half() });
    let [p, q] = &mut pairs;
    blinding.with(|blind_p, blind_q| {
        blind_p.take(random, p.factor.expose_mut(), p.inverse.expose_mut())?;
        blind_q.take(random, q.factor.expose_mut(), q.inverse.expose_mut())
    })?;
    let (output, check) = (Secret::zeroed(n.len()), vec![0; n.len()]);
    Ok(Work { key: lanes, input, blinding: Some(pairs), output, check })
}

/// The private operation, then the public one that checks it.
fn exponentiate<'a, 'b: 'a, K: MontLanes>(
    kernel: K,
    workspace: &mut Workspace<K>,
    work: impl Iterator<Item = &'a mut Work<'b>>,
) {
    let mut work: Vec<_> = work.collect();
    if work.is_empty() {
        return;
    }
    let mut jobs: Vec<_> = work
        .iter_mut()
        .map(|w| PrivateJob {
            key: w.key,
            input: &w.input,
            blinding: w.blinding.take().expect("prepared once, used once"),
            output: w.output.expose_mut(),
        })
        .collect();
    lanes::private(kernel, workspace, &mut jobs);
    drop(jobs);
    let mut jobs: Vec<_> = work
        .iter_mut()
        .map(|w| PublicJob { key: w.key.public(), input: w.output.expose(), output: &mut w.check })
        .collect();
    lanes::public(kernel, workspace, &mut jobs);
}

fn release(work: Work<'_>, request: &SignRequest, counters: &mut Counters) -> Result<Vec<u8>, Error> {
    if !disclose(limbs::ct_eq(&work.check, &work.input)) {
        counters.redone += 1;
        return request.run_scalar().map_err(|_| Error::FaultDetected);
    }
    counters.in_lanes += 1;
    let mut signature = vec![0; request.key.bits() / 8];
    limbs::to_be_bytes(&mut signature, work.output.expose());
    Ok(signature)
}

#[cfg(test)]
mod tests;

//! The RSA public operation over one batch, in lanes: RSAEP and RSAVP1 (RFC 8017 §5.1.1, §5.2.2), s^e mod n.
//!
//! One lane holds one number. Keys may all differ; those with equal public exponents run together. Nothing
//! here is a secret while it serves verification; where it checks a signature before release, the input still
//! is one, so the running time depends on e and the lengths alone.

use super::{Modulus, Number, Workspace};
use crate::arch::lanes::{Moduli, MontLanes};
use crate::arith::digits;
use crate::arith::divide::pow_of_two_mod_vartime;
use crate::arith::exp::MontgomeryLanes;
use crate::arith::limbs::MAX_LIMBS;

/// A public key with what can be computed once for it and one kind of digits: public data only.
///
/// Making one costs about a quarter of what one of a full batch's operations with it costs.
pub(in crate::ops::rsa) struct PublicKey {
    n: Box<[u64]>,
    e: u64,
    modulus: Modulus,
}

impl PublicKey {
    /// Prepares the key for kernel `K`, or gives `None` if it has no kernels for the size. `n` is odd and has
    /// its top bit set, `e` is odd and at least 3.
    pub(in crate::ops::rsa) fn new<K: MontLanes>(n: &[u64], e: u64) -> Option<Self> {
        let mut modulus = Modulus::new::<K>(n, Number::Enter)?;
        let mut r2 = [0; MAX_LIMBS];
        let r2 = &mut r2[..n.len()];
        pow_of_two_mod_vartime(r2, 2 * modulus.shape.r_bits(), n);
        modulus.store::<K>(Number::Enter, r2);
        Some(Self { n: n.into(), e, modulus })
    }

    /// n, as limbs.
    pub(in crate::ops::rsa) fn n(&self) -> &[u64] {
        &self.n
    }
}

/// One public operation of a batch.
pub(in crate::ops::rsa) struct PublicJob<'a> {
    pub(in crate::ops::rsa) key: &'a PublicKey,
    /// s < n.
    pub(in crate::ops::rsa) input: &'a [u64],
    /// s^e mod n.
    pub(in crate::ops::rsa) output: &'a mut [u64],
}

/// Runs public operations, at most `LANES`, all of one modulus size.
///
/// Keys with different public exponents may share the batch; each exponent is then a run of its own.
pub(in crate::ops::rsa) fn public<K: MontLanes>(
    kernel: K,
    workspace: &mut Workspace<K>,
    jobs: &mut [PublicJob<'_>],
) {
    jobs.sort_by_key(|j| j.key.e);
    for jobs in jobs.chunk_by_mut(|a, b| a.key.e == b.key.e) {
        run(kernel, workspace, jobs);
    }
}

fn run<K: MontLanes>(kernel: K, workspace: &mut Workspace<K>, jobs: &mut [PublicJob<'_>]) {
    kernel.assert_environment();
    let shape = jobs[0].key.modulus.shape;
    assert!(jobs.len() <= K::LANES);
    let mut buffers = workspace.take(shape, 6);
    let ([acc, n, n_inv, enter, base, plain], _, scratch) = buffers.split::<6>();
    for (lane, job) in jobs.iter().enumerate() {
        job.key.modulus.load::<K>(Number::N, n, lane);
        job.key.modulus.load::<K>(Number::NInv, n_inv, lane);
        job.key.modulus.load::<K>(Number::Enter, enter, lane);
        digits::to_lane::<K>(acc, lane, job.input, shape);
    }
    let mut lanes = MontgomeryLanes { kernel, moduli: Moduli { shape, n, n_inv }, scratch };
    lanes.pow_public(acc, jobs[0].key.e, enter, [base, plain]);
    for (lane, job) in jobs.iter_mut().enumerate() {
        digits::from_lane::<K>(job.output, acc, lane, &job.key.n, shape);
    }
}

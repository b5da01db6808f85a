//! The RSA private operation over one batch, in lanes; the public one is in [`public`].
//!
//! One lane holds one CRT half (RFC 8017 §5.1.2, step 2.b): p and q of a signature are two lanes, so a batch
//! of lanes/2 signatures is full. Lanes carry their own moduli and exponents, so the keys of a batch may all
//! differ.
//!
//! What is done on plain limbs instead of in lanes is what costs next to nothing: reducing the input to the
//! halves, recombining them, converting digits.

#[cfg(test)]
pub(super) mod fault;
mod public;

pub(super) use public::{PublicJob, PublicKey, public};

use super::import::Components;
use crate::arch::Secret;
use crate::arch::lanes::{Moduli, MontLanes, Shape};
use crate::arith::digits;
use crate::arith::exp::{self, MontgomeryLanes};
use crate::arith::limbs::{self, MAX_LIMBS};
use crate::arith::mont::{Mont, pow_of_two_mod, redc};
use zeroize::{Zeroize, Zeroizing};

/// Everything that can be computed once for a key and one kind of digits.
pub(super) struct LaneKey {
    halves: [Half; 2],
    /// qinv·2^(64k) mod p.
    q_inv: Secret<u64>,
    public: PublicKey,
}

/// One CRT half.
struct Half {
    prime: Secret<u64>,
    exponent: Secret<u64>,
    n0_inv: u64,
    modulus: Modulus,
}

/// A modulus in lane digits, with the constants that lead into and out of Montgomery form. All numbers share
/// one buffer.
struct Modulus {
    shape: Shape,
    /// The first of the [`Number`]s.
    numbers: Secret<i64>,
}

/// The numbers of a [`Modulus`].
#[derive(Clone, Copy)]
enum Number {
    N,
    NInv,
    /// What takes an input into Montgomery form: for a half 2^(64k)·R³ mod p, which takes a reduced input to
    /// its multiple by R²; for the public modulus R² mod n.
    Enter,
    /// R mod n: 1 in Montgomery form. Only the private operation needs it.
    One,
}

impl Modulus {
    /// With the numbers up to `last`, those after [`Number::NInv`] still to be stored.
    fn new<K: MontLanes>(n: &[u64], last: Number) -> Option<Self> {
        let shape = K::shape(64 * n.len())?;
        let mut this = Self { shape, numbers: Secret::zeroed((last as usize + 1) * shape.digits) };
        this.store::<K>(Number::N, n);
        let len = shape.r_bits().div_ceil(64);
        let mut inverse = Secret::<u64>::zeroed(2 * len);
        let (inverse, scratch) = inverse.expose_mut().split_at_mut(len);
        limbs::neg_inv_pow2(inverse, n, shape.r_bits(), scratch);
        this.store::<K>(Number::NInv, inverse);
        Some(this)
    }

    fn store<K: MontLanes>(&mut self, which: Number, x: &[u64]) {
        let digits = self.shape.digits;
        let mut lane = Secret::<K::Vec>::zeroed(digits);
        digits::to_lane::<K>(lane.expose_mut(), 0, x, self.shape);
        let out = &mut self.numbers.expose_mut()[which as usize * digits..][..digits];
        for (out, v) in out.iter_mut().zip(lane.expose()) {
            *out = K::get(v, 0);
        }
    }

    fn load<K: MontLanes>(&self, which: Number, out: &mut [K::Vec], lane: usize) {
        let digits = self.shape.digits;
        for (v, digit) in out.iter_mut().zip(&self.numbers.expose()[which as usize * digits..][..digits]) {
            K::set(v, lane, *digit);
        }
    }
}

impl Half {
    fn new<K: MontLanes>(prime: &[u64], exponent: &[u64]) -> Option<Self> {
        let mut modulus = Modulus::new::<K>(prime, Number::One)?;
        let r_bits = modulus.shape.r_bits();
        let mut x = Zeroizing::new([0; MAX_LIMBS]);
        let x = &mut x[..prime.len()];
        pow_of_two_mod(x, r_bits, prime);
        modulus.store::<K>(Number::One, x);
        pow_of_two_mod(x, 64 * prime.len() + 3 * r_bits, prime);
        modulus.store::<K>(Number::Enter, x);
        Some(Self {
            prime: Secret::copied_from(prime),
            exponent: Secret::copied_from(exponent),
            n0_inv: limbs::neg_inv_u64(prime[0]),
            modulus,
        })
    }

    /// Loads x·2^(−64k) mod p, for an x < n.
    fn load_reduced<K: MontLanes>(&self, x: &[u64], out: &mut [K::Vec], lane: usize) {
        let k = self.prime.expose().len();
        let (mut wide, mut reduced) = (Zeroizing::new([0; 2 * MAX_LIMBS]), Zeroizing::new([0; MAX_LIMBS]));
        wide[..2 * k].copy_from_slice(x);
        redc(&mut reduced[..k], &mut wide[..2 * k], self.prime.expose(), self.n0_inv);
        digits::to_lane::<K>(out, lane, &reduced[..k], self.modulus.shape);
    }

    /// Bits `5·i..5·i + 5` of the exponent.
    fn window(&self, i: usize) -> u64 {
        digits::bits_at(self.exponent.expose(), exp::WINDOW * i, exp::WINDOW as u32)
    }
}

impl LaneKey {
    /// Prepares a key for kernel `K`, or gives `None` if it has no kernels for the key's size.
    pub(super) fn new<K: MontLanes>(key: &Components) -> Option<Self> {
        let (p, q) = (key.p.expose(), key.q.expose());
        let mut q_inv = Secret::zeroed(p.len());
        let mut r = Zeroizing::new([0; MAX_LIMBS]);
        let r2 = &mut r[..p.len()];
        pow_of_two_mod(r2, 2 * 64 * p.len(), p);
        Mont::new(p).mul(q_inv.expose_mut(), key.qinv.expose(), r2);
        Some(Self {
            halves: [Half::new::<K>(p, key.dp.expose())?, Half::new::<K>(q, key.dq.expose())?],
            q_inv,
            public: PublicKey::new::<K>(&key.n, key.e)?,
        })
    }

    /// The public key.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// s = m₂ + q·(qinv·(m₁ − m₂) mod p), RFC 8017 §5.1.2 steps 2.b.iii and iv; `m1` is overwritten.
    fn recombine(&self, out: &mut [u64], m1: &mut [u64], m2: &[u64]) {
        let (p, q) = (self.halves[0].prime.expose(), self.halves[1].prime.expose());
        let k = p.len();
        // m₂ < q < 2p, since both primes have their top bits set.
        let mut h = Zeroizing::new([0; MAX_LIMBS]);
        let h = &mut h[..k];
        h.copy_from_slice(m2);
        limbs::sub_assign_if(!limbs::ct_lt(h, p), h, p);
        let borrow = limbs::sub_assign(m1, h);
        limbs::add_assign_if((borrow as u8).into(), m1, p);
        Mont::new(p).mul(h, m1, self.q_inv.expose());
        limbs::mul(out, h, q);
        let carry = limbs::add_assign(&mut out[..k], m2);
        limbs::add_limb_assign(&mut out[k..], carry);
    }
}

/// The blinding of one CRT half: A = r^e and A⁻ = r⁻¹ modulo the prime, as limbs.
pub(super) struct BlindingPair {
    pub(super) factor: Secret<u64>,
    pub(super) inverse: Secret<u64>,
}

/// One private operation of a batch.
pub(super) struct PrivateJob<'a> {
    pub(super) key: &'a LaneKey,
    /// m < n.
    pub(super) input: &'a [u64],
    /// For p and for q.
    pub(super) blinding: [BlindingPair; 2],
    /// m^d mod n.
    pub(super) output: &'a mut [u64],
}

/// The vectors that batches are computed in: grows to the largest size seen, wiped after every batch.
#[derive(Debug)]
pub(crate) struct Workspace<K: MontLanes>(Secret<K::Vec>);

impl<K: MontLanes> Workspace<K> {
    pub(crate) fn new() -> Self {
        Self(Secret::zeroed(0))
    }

    /// `numbers` numbers of one shape, and the kernels' scratch, all zero.
    fn take(&mut self, shape: Shape, numbers: usize) -> Buffers<'_, K::Vec> {
        let len = numbers * shape.digits + K::scratch_len(shape);
        if self.0.expose().len() < len {
            self.0 = Secret::zeroed(len);
        }
        let (numbers, scratch) = self.0.expose_mut()[..len].split_at_mut(numbers * shape.digits);
        Buffers { digits: shape.digits, numbers, scratch }
    }
}

/// The numbers of a batch; wiped when the batch is done, whatever way it ends.
struct Buffers<'a, V: Zeroize> {
    digits: usize,
    numbers: &'a mut [V],
    scratch: &'a mut [V],
}

impl<'a, V: Zeroize> Buffers<'a, V> {
    /// The first `N` numbers, the rest of them, and the scratch.
    fn split<const N: usize>(&mut self) -> ([&mut [V]; N], &mut [V], &mut [V]) {
        let mut rest = &mut *self.numbers;
        let first = std::array::from_fn(|_| {
            let (number, others) = std::mem::take(&mut rest).split_at_mut(self.digits);
            rest = others;
            number
        });
        (first, rest, self.scratch)
    }
}

impl<V: Zeroize> Drop for Buffers<'_, V> {
    fn drop(&mut self) {
        self.numbers.iter_mut().for_each(Zeroize::zeroize);
        self.scratch.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Runs private operations, at most `LANES / 2`, all of one modulus size. The results are unchecked: see
/// [`public`].
pub(super) fn private<K: MontLanes>(kernel: K, workspace: &mut Workspace<K>, jobs: &mut [PrivateJob<'_>]) {
    kernel.assert_environment();
    let shape = jobs[0].key.halves[0].modulus.shape;
    let mut buffers = workspace.take(shape, 6 + exp::workspace_len(1));
    let ([acc, n, n_inv, one, enter, factor], table, scratch) = buffers.split::<6>();
    assert!(2 * jobs.len() <= K::LANES);
    for (lane, (job, half)) in jobs.iter().flat_map(|j| [(j, 0), (j, 1)]).enumerate() {
        let (key, blinding) = (&job.key.halves[half], &job.blinding[half]);
        key.modulus.load::<K>(Number::N, n, lane);
        key.modulus.load::<K>(Number::NInv, n_inv, lane);
        key.modulus.load::<K>(Number::One, one, lane);
        key.modulus.load::<K>(Number::Enter, enter, lane);
        digits::to_lane::<K>(factor, lane, blinding.factor.expose(), shape);
        key.load_reduced::<K>(job.input, acc, lane);
    }
    let mut lanes = MontgomeryLanes { kernel, moduli: Moduli { shape, n, n_inv }, scratch };
    // m·2^(−64k) → m·R² → (m·A)·R: blinded, in Montgomery form.
    lanes.mul(acc, enter);
    lanes.mul(acc, factor);
    let windows = (64 * jobs[0].input.len() / 2).div_ceil(exp::WINDOW);
    // An unused lane has window 0 throughout: its factor is the zero that `one` holds there.
    let window = |lane: usize, i: usize| jobs.get(lane / 2).map_or(0, |j| j.key.halves[lane % 2].window(i));
    lanes.pow(acc, one, windows, window, table);
    for (lane, pair) in jobs.iter().flat_map(|j| &j.blinding).enumerate() {
        digits::to_lane::<K>(factor, lane, pair.inverse.expose(), shape);
    }
    // A plain factor unblinds and leaves Montgomery form at once.
    lanes.mul(acc, factor);
    for (i, job) in jobs.iter_mut().enumerate() {
        let mut results = Zeroizing::new([0; 2 * MAX_LIMBS]);
        let (m1, m2) = results[..job.output.len()].split_at_mut(job.output.len() / 2);
        let [p, q] = &job.key.halves;
        digits::from_lane::<K>(m1, acc, 2 * i, p.prime.expose(), shape);
        digits::from_lane::<K>(m2, acc, 2 * i + 1, q.prime.expose(), shape);
        #[cfg(test)]
        fault::inject(m1, m2);
        job.key.recombine(job.output, m1, m2);
    }
}

#[cfg(test)]
mod tests;

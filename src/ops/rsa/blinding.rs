//! Base blinding (P. Kocher, "Timing attacks on implementations of Diffie-Hellman, RSA, DSS, and other
//! systems", 1996, §10): the private exponentiation works on a number that nobody outside knows.
//!
//! For a prime p and a random r, instead of `m^dp` it computes `(m·A)^dp · A⁻`, with A = r^e and A⁻ = r⁻¹
//! modulo p. That is the same number, because dp is the inverse of e modulo p − 1.
//!
//! Each CRT half has a blinding of its own. Blinding p with r₁ and q with r₂ is blinding n with the r that is
//! r₁ modulo p and r₂ modulo q; that r is uniform if r₁ and r₂ are, so nothing is lost against blinding
//! before the split, and inversions are of half length.
//!
//! As in BoringSSL and aws-lc (`crypto/fipsmodule/rsa/blinding.c`), a pair is squared after each use and
//! replaced by a fresh one after 32. After a fork the child starts afresh.

use super::import::Components;
use crate::arch::{Secret, disclose};
use crate::arith::invert::invert;
use crate::arith::limbs::{bit_len_vartime, ct_lt, from_be_bytes, is_zero};
use crate::arith::mont::{Mont, pow_of_two_mod};
use crate::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use zeroize::Zeroize;

/// Uses of one random number: `BN_BLINDING_COUNTER` of BoringSSL and aws-lc.
const USES: u32 = 32;

/// Random numbers drawn before giving up. Each is good with a probability of more than one half, so this many
/// bad ones mean a broken generator.
const DRAWS: u32 = 128;

/// Blindings of one key that different threads can use at the same time.
const SLOTS: usize = 4;

/// A source of random bytes: fills the slice or fails.
pub(super) type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), Error>;

/// What does not change from one blinding to the next.
struct Modulus {
    p: Secret<u64>,
    e: u64,
    /// 2^(128·k) mod p for the k limbs of p: takes a number into Montgomery form.
    r2: Secret<u64>,
}

/// The sequence of blinding factors for one CRT half; every buffer is wiped when dropped.
pub(super) struct Blinding {
    modulus: Arc<Modulus>,
    /// A and A⁻, in Montgomery form.
    factor: Secret<u64>,
    inverse: Secret<u64>,
    uses_left: u32,
}

impl Modulus {
    fn new(p: &[u64], e: u64) -> Arc<Self> {
        let mut r2 = Secret::zeroed(p.len());
        pow_of_two_mod(r2.expose_mut(), 128 * p.len(), p);
        Arc::new(Self { p: Secret::copied_from(p), e, r2 })
    }
}

impl Blinding {
    /// Draws no random number yet.
    fn new(modulus: &Arc<Modulus>) -> Self {
        let zero = || Secret::zeroed(modulus.p.expose().len());
        Self { modulus: Arc::clone(modulus), factor: zero(), inverse: zero(), uses_left: 0 }
    }

    /// The next pair, not in Montgomery form and below p: `factor` = A = r^e and `inverse` = A⁻ = r⁻¹ mod p,
    /// both as long as p.
    ///
    /// # Errors
    /// That of `random`; [`Error::Random`] too when it gives no usable number. The next call tries again.
    pub(super) fn take(
        &mut self,
        random: Random<'_>,
        factor: &mut [u64],
        inverse: &mut [u64],
    ) -> Result<(), Error> {
        if self.uses_left == 0 {
            self.refresh(random)?;
            self.uses_left = USES;
        } else {
            let mut mont = Mont::new(self.modulus.p.expose());
            mont.square_assign(self.factor.expose_mut());
            mont.square_assign(self.inverse.expose_mut());
        }
        self.uses_left -= 1;
        let mut mont = Mont::new(self.modulus.p.expose());
        mont.leave(factor, self.factor.expose());
        mont.leave(inverse, self.inverse.expose());
        Ok(())
    }

    /// Makes the next [`Blinding::take`] draw a new random number.
    fn forget(&mut self) {
        self.uses_left = 0;
    }

    /// A new pair from a random number.
    ///
    /// The number drawn is taken for the Montgomery form r·R of r, which is as uniform as r itself.
    fn refresh(&mut self, random: Random<'_>) -> Result<(), Error> {
        for _ in 0..DRAWS {
            self.draw(random)?;
            let Modulus { p, e, r2 } = &*self.modulus;
            let (factor, inverse) = (self.factor.expose_mut(), self.inverse.expose_mut());
            // There is always an inverse if p is prime; that is not checked at import.
            if disclose(invert(inverse, factor, p.expose())) {
                let mut mont = Mont::new(p.expose());
                // (r·R)⁻¹ twice by R² gives r⁻¹·R.
                mont.mul_assign(inverse, r2.expose());
                mont.mul_assign(inverse, r2.expose());
                mont.pow_vartime(factor, *e);
                return Ok(());
            }
        }
        Err(Error::Random)
    }

    /// `self.factor` uniform in 1 ≤ r < p, by rejection, thus without any bias.
    ///
    /// How often it is repeated depends only on numbers that are thrown away.
    fn draw(&mut self, random: Random<'_>) -> Result<(), Error> {
        let (p, r) = (self.modulus.p.expose(), self.factor.expose_mut());
        let bits = bit_len_vartime(p);
        let mut bytes = Secret::zeroed(bits.div_ceil(8));
        for _ in 0..DRAWS {
            random(bytes.expose_mut())?;
            bytes.expose_mut()[0] &= 0xff >> (bits.wrapping_neg() % 8);
            from_be_bytes(r, bytes.expose());
            if disclose(ct_lt(r, p) & !is_zero(r)) {
                return Ok(());
            }
        }
        r.zeroize();
        Err(Error::Random)
    }
}

/// The blinding of both halves of one key, shared by threads.
pub(super) struct KeyBlinding {
    slots: [Mutex<Slot>; SLOTS],
}

/// Blindings that one signature at a time uses.
struct Slot {
    p: Blinding,
    q: Blinding,
    /// The process that drew the random numbers.
    process: u32,
}

impl KeyBlinding {
    /// For a checked key. Draws no random numbers yet.
    pub(super) fn new(key: &Components) -> Self {
        let [p, q] = [&key.p, &key.q].map(|prime| Modulus::new(prime.expose(), key.e));
        let process = std::process::id();
        let slot = |_| Mutex::new(Slot { p: Blinding::new(&p), q: Blinding::new(&q), process });
        Self { slots: std::array::from_fn(slot) }
    }

    /// Makes what it knows of the key undefined to valgrind, but for the primes' lengths.
    #[cfg(test)]
    pub(super) fn mark_secret(&self) {
        use crate::arch::memcheck::{mark_secret, mark_secret_prime};
        let slot = self.lock();
        for Modulus { p, r2, .. } in [&*slot.p.modulus, &*slot.q.modulus] {
            mark_secret_prime(p.expose());
            mark_secret(r2.expose());
        }
    }

    /// Gives `take` the blindings modulo p and q, which no other thread uses meanwhile.
    ///
    /// A thread waits only if as many others as there are slots are taking factors of this key at this
    /// moment.
    pub(super) fn with<R>(&self, take: impl FnOnce(&mut Blinding, &mut Blinding) -> R) -> R {
        let mut slot = self.lock();
        let Slot { p, q, process } = &mut *slot;
        // The child of a fork must not use the numbers that its parent goes on to use.
        if *process != std::process::id() {
            *process = std::process::id();
            p.forget();
            q.forget();
        }
        take(p, q)
    }

    /// A free slot, or the first one when it becomes free.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        let wait = || self.slots[0].lock().unwrap_or_else(|poisoned| recovered(poisoned.into_inner()));
        self.free_slot().unwrap_or_else(wait)
    }

    fn free_slot(&self) -> Option<MutexGuard<'_, Slot>> {
        self.slots.iter().find_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(recovered(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

/// A slot whose last user panicked: factor and inverse may not belong together, so both are drawn again.
fn recovered(mut slot: MutexGuard<'_, Slot>) -> MutexGuard<'_, Slot> {
    slot.p.forget();
    slot.q.forget();
    slot
}

#[cfg(test)]
mod tests;

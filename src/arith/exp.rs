//! Exponentiation in lanes: every lane has its own base, modulus and exponent.

use crate::arch::lanes::{Moduli, MontLanes};

/// Bits of an exponent window. 32 table entries of 21 digits are 21 KiB, which stay in a first-level cache; a
/// sixth bit would save 1/30 of the multiplications and double what every lookup reads.
pub(crate) const WINDOW: usize = 5;
const ENTRIES: usize = 1 << WINDOW;

/// Vectors of workspace that [`MontgomeryLanes::pow`] needs, for numbers of `digits` digits.
pub(crate) const fn workspace_len(digits: usize) -> usize {
    (ENTRIES + 1) * digits
}

/// Arithmetic modulo the moduli of one batch.
pub(crate) struct MontgomeryLanes<'a, K: MontLanes> {
    pub(crate) kernel: K,
    pub(crate) moduli: Moduli<'a, K::Vec>,
    /// [`MontLanes::scratch_len`] vectors; the caller wipes them.
    pub(crate) scratch: &'a mut [K::Vec],
}

impl<K: MontLanes> MontgomeryLanes<'_, K> {
    /// acc ← acc·b/R.
    pub(crate) fn mul(&mut self, acc: &mut [K::Vec], b: &[K::Vec]) {
        self.kernel.mul(acc, b, self.moduli, self.scratch);
    }

    /// acc ← acc²/R.
    pub(crate) fn sqr(&mut self, acc: &mut [K::Vec]) {
        self.kernel.sqr(acc, self.moduli, self.scratch);
    }

    /// acc ← `times` squarings of acc.
    fn sqr_times(&mut self, acc: &mut [K::Vec], times: usize) {
        self.kernel.sqr_times(acc, times, self.moduli, self.scratch);
    }

    /// acc ← acc^exponent in Montgomery form, by fixed windows of [`WINDOW`] bits from the top.
    ///
    /// `one` is R mod n. `window(lane, i)` gives bits `5·i..5·i + 5` of the lane's exponent; it is asked for
    /// `windows` windows in every lane. Constant-time in bases, exponents and moduli: every table entry is
    /// read for every window.
    ///
    /// `workspace` has [`workspace_len`] vectors and is left with powers of the base: the caller wipes it.
    pub(crate) fn pow(
        &mut self,
        acc: &mut [K::Vec],
        one: &[K::Vec],
        windows: usize,
        window: impl Fn(usize, usize) -> u64,
        workspace: &mut [K::Vec],
    ) {
        let digits = self.moduli.shape.digits;
        let (table, factor) = workspace[..workspace_len(digits)].split_at_mut(ENTRIES * digits);
        self.fill_table(table, acc, one);
        let kernel = self.kernel;
        let lookup = |i: usize, factor: &mut [K::Vec]| {
            let mut index = [0; 8];
            let index = &mut index[..K::LANES];
            for (lane, index) in index.iter_mut().enumerate() {
                *index = window(lane, i);
            }
            kernel.select(factor, table, index);
        };
        lookup(windows - 1, acc);
        for i in (0..windows - 1).rev() {
            self.sqr_times(acc, WINDOW);
            lookup(i, factor);
            self.mul(acc, factor);
        }
    }

    /// table[i] ← base^i: even powers by squaring, which is cheaper than multiplying.
    fn fill_table(&mut self, table: &mut [K::Vec], base: &[K::Vec], one: &[K::Vec]) {
        let digits = self.moduli.shape.digits;
        table[..digits].copy_from_slice(one);
        table[digits..2 * digits].copy_from_slice(base);
        for i in 2..ENTRIES {
            let (done, next) = table.split_at_mut(i * digits);
            let next = &mut next[..digits];
            if i % 2 == 0 {
                next.copy_from_slice(&done[i / 2 * digits..][..digits]);
                self.sqr(next);
            } else {
                next.copy_from_slice(&done[(i - 1) * digits..][..digits]);
                self.mul(next, base);
            }
        }
    }

    /// acc ← acc^exponent, a plain number from a plain number, with the same odd public exponent ≥ 3 in every
    /// lane: square and multiply from the top.
    ///
    /// `enter` is R² mod n: it takes the base into Montgomery form. An odd exponent ends with a
    /// multiplication by the base; doing that one by the plain base leaves Montgomery form at no cost. `base`
    /// and `plain` have a number's digits and are overwritten.
    pub(crate) fn pow_public(
        &mut self,
        acc: &mut [K::Vec],
        exponent: u64,
        enter: &[K::Vec],
        [base, plain]: [&mut [K::Vec]; 2],
    ) {
        assert!(exponent >= 3 && exponent % 2 == 1);
        plain.copy_from_slice(acc);
        self.mul(acc, enter);
        base.copy_from_slice(acc);
        let mut squarings = 1;
        for i in (1..exponent.ilog2()).rev() {
            if (exponent >> i) & 1 == 1 {
                self.sqr_times(acc, squarings);
                self.mul(acc, base);
                squarings = 0;
            }
            squarings += 1;
        }
        self.sqr_times(acc, squarings);
        self.mul(acc, plain);
    }
}

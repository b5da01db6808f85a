//! Multiples of points: of the base point by secret scalars, and what a verification needs.

use super::fixed_base::{self, Kernel, WINDOWS};
use super::{Entry, Group, Point, TWICE_D, Undecodable, codec, constant};
use crate::arch::Secret;
use crate::arch::field25519::{Digits, Field25519Lanes};
use crate::arch::lookup::spacing;
use crate::arith::curve25519::order;
use subtle::Choice;
use zeroize::Zeroizing;

/// Bits of a window of the public scalar of a verification.
const WINDOW: usize = 4;

/// Windows of such a scalar, below 2^253, with the sign: 256 bits.
const PUBLIC_WINDOWS: usize = 256 / WINDOW;

/// The most windows of any scalar here.
const DIGITS: usize = if WINDOWS > PUBLIC_WINDOWS { WINDOWS } else { PUBLIC_WINDOWS };

/// Multiples 0 to 8 of the lane's own point.
const ENTRIES: usize = (1 << (WINDOW - 1)) + 1;

/// Multiplies the base point by one scalar in each lane; constant-time; wiped when dropped.
pub(crate) struct BaseMultiplier<K: Field25519Lanes> {
    group: Group<K>,
    point: Secret<Point<K::Reduced>>,
    entry: Secret<K::Reduced>,
    /// The digits of the scalars: index and sign for each window.
    digits: Secret<K::Mask>,
}

impl<K: Kernel> BaseMultiplier<K> {
    pub(crate) fn new(kernel: K) -> Self {
        let group = Group::new(kernel);
        Self { group, point: Secret::zeroed(1), entry: Secret::zeroed(3), digits: Secret::zeroed(2 * DIGITS) }
    }

    /// The encodings (RFC 8032 §5.1.2) of the multiples by `scalars`, numbers below the group order, at most
    /// one for each lane; and whether each of the points that was computed is on the curve.
    pub(crate) fn points(
        &mut self,
        scalars: &[[u64; 4]],
    ) -> impl Iterator<Item = ([u8; 32], Choice)> + use<'_, K> {
        self.multiply(scalars);
        codec::encode_points::<K>(&self.point.expose()[0], scalars.len())
    }

    /// The u-coordinates (RFC 7748 §4.1) of the multiples by `scalars`, clamped numbers of 255 bits, at most
    /// one for each lane; and whether each of the points that was computed is on the curve.
    pub(crate) fn key_shares(
        &mut self,
        scalars: &[[u64; 4]],
    ) -> impl Iterator<Item = ([u8; 32], Choice)> + use<'_, K> {
        self.multiply(scalars);
        codec::encode_u::<K>(self.group.kernel, &self.point.expose()[0], scalars.len())
    }

    fn multiply(&mut self, scalars: &[[u64; 4]]) {
        self.group.kernel.assert_environment();
        self.point.expose_mut()[0] = Point::neutral::<K>();
        match spacing(scalars.len()) {
            passes if passes < K::LANES => self.add_multiples_split(scalars, passes),
            _ => self.add_multiples(scalars),
        }
    }

    /// Adds the multiples by `scalars` below 2^255.
    fn add_multiples(&mut self, scalars: &[[u64; 4]]) {
        assert!(scalars.len() <= K::LANES);
        let kernel = self.group.kernel;
        let table = fixed_base::table(kernel);
        let odd = odd(scalars);
        let (digits, _) = self.digits.expose_mut().as_chunks_mut();
        for (window, [index, negative]) in digits[..WINDOWS].iter_mut().enumerate() {
            let words = index.as_mut().iter_mut().zip(negative.as_mut()).zip(odd.iter());
            words.for_each(|((i, n), scalar)| (*i, *n) = fixed_base::digit(scalar, window, WINDOWS));
        }
        let [point] = self.point.expose_mut() else { unreachable!("one point") };
        for (window, [index, negative]) in digits[..WINDOWS].iter().enumerate() {
            let entry: &mut Entry<K::Reduced> = self.entry.expose_mut().try_into().expect("three numbers");
            for (number, table) in entry.iter_mut().zip(table.window(window)) {
                kernel.select_shared(number.digits_mut(), table, 0, index);
            }
            self.group.add(point, entry, None, negative);
        }
    }

    /// The same with several lanes for each scalar: s, s + m, s + 2·m, … for scalar s, with m = `passes`.
    ///
    /// In pass j of m, lane l adds an entry from window l + j of a group of windows, as many as there are
    /// lanes. So each scalar gets all windows, and no two lanes read the same one. Then the lanes of a scalar
    /// add what they have.
    fn add_multiples_split(&mut self, scalars: &[[u64; 4]], passes: usize) {
        let kernel = self.group.kernel;
        let groups = fixed_base::table(kernel).split().groups();
        let windows = groups.len() * K::LANES;
        let odd = odd(scalars);
        for (group, table) in groups.iter().enumerate() {
            for pass in 0..passes {
                let (mut index, mut negative) = (K::Mask::default(), K::Mask::default());
                let words = index.as_mut().iter_mut().zip(negative.as_mut()).enumerate();
                for (lane, (index, negative)) in words {
                    // The entry is for the lane that is `pass` lanes before.
                    let scalar = &odd[(lane + K::LANES - pass) & (passes - 1)];
                    (*index, *negative) = fixed_base::digit(scalar, group * K::LANES + lane, windows);
                }
                self.add_entries(table, pass, &index, &negative);
            }
        }
        self.add_parts(passes);
    }

    /// Adds what each lane finds `pass` lanes further on in a group's table.
    fn add_entries(&mut self, table: &[K::Mask], pass: usize, index: &K::Mask, negative: &K::Mask) {
        let entry: &mut Entry<K::Reduced> = self.entry.expose_mut().try_into().expect("three numbers");
        let digits = Digits::all_digits_mut(entry);
        self.group.kernel.select_own(digits, table, digits.len(), 0, index);
        let mut negative = *negative;
        if pass > 0 {
            entry.iter_mut().for_each(|number| *number = number.rotated(pass));
            negative.as_mut().rotate_left(pass);
        }
        self.group.add(&mut self.point.expose_mut()[0], entry, None, &negative);
    }

    /// Adds the points in the lanes of each scalar, so far apart; all of these have the sum then.
    fn add_parts(&mut self, spacing: usize) {
        let twice_d = constant::<K>(&TWICE_D);
        let [point] = self.point.expose_mut() else { unreachable!("one point") };
        let mut distance = K::LANES / 2;
        while distance >= spacing {
            let Point { x, y, z, t } = *point;
            let [x, y, z, t] = [x, y, z, t].map(|coordinate| coordinate.rotated(distance));
            let (entry, z) = self.group.entry(&Point { x, y, z, t }, &twice_d);
            self.group.add(point, &entry, Some(&z), &K::Mask::default());
            distance /= 2;
        }
    }
}

/// The scalars, made odd: the base point has the order L, so adding L to an even scalar changes nothing else.
/// Ones for the other lanes.
fn odd(scalars: &[[u64; 4]]) -> Zeroizing<[[u64; 4]; super::MAX_LANES]> {
    let mut odd = Zeroizing::new([[1, 0, 0, 0]; super::MAX_LANES]);
    odd.iter_mut().zip(scalars).for_each(|(odd, scalar)| *odd = order::odd(scalar));
    odd
}

/// What a verification computes of public numbers: s·B − h·A.
pub(crate) struct Combination<'a> {
    /// Below the group order.
    pub(crate) s: [u64; 4],
    /// Below the group order.
    pub(crate) h: [u64; 4],
    /// The encoding of A.
    pub(crate) a: &'a [u8; 32],
}

/// Computes one [`Combination`] in each lane.
pub(crate) struct Combiner<K: Field25519Lanes> {
    base: BaseMultiplier<K>,
    /// The multiples of −A: the entries' numbers, one after the other, and 2·Z.
    tables: [Vec<K::Mask>; 4],
}

impl<K: Kernel> Combiner<K> {
    pub(crate) fn new(kernel: K) -> Self {
        Self { base: BaseMultiplier::new(kernel), tables: Default::default() }
    }

    /// The encoding of s·B − h·A for each of `jobs`, at most one for each lane, or why A could not be
    /// decoded.
    ///
    /// h is taken as it is, not modulo the group order, as A may have another one.
    pub(crate) fn run(&mut self, jobs: &[Combination<'_>]) -> Vec<Result<[u8; 32], Undecodable>> {
        assert!(jobs.len() <= K::LANES);
        let kernel = self.base.group.kernel;
        kernel.assert_environment();
        let mut point = Point::neutral::<K>();
        let encodings: Vec<_> = jobs.iter().map(|job| job.a).collect();
        let decoded = codec::decode_opposite_vartime(kernel, &mut point, &encodings);
        self.tabulate(point);
        self.base.point.expose_mut()[0] = Point::neutral::<K>();
        let (digits, _) = self.base.digits.expose_mut().as_chunks_mut();
        for (window, [index, negative]) in digits[..PUBLIC_WINDOWS].iter_mut().enumerate() {
            (*index, *negative) = Default::default();
            let words = index.as_mut().iter_mut().zip(negative.as_mut()).zip(jobs);
            words.for_each(|((i, n), job)| (*i, *n) = signed_digit(&job.h, window));
        }
        for window in (0..PUBLIC_WINDOWS).rev() {
            self.window(window);
        }
        let scalars: Vec<_> = jobs.iter().map(|job| job.s).collect();
        self.base.add_multiples(&scalars);
        let points = codec::encode_points::<K>(&self.base.point.expose()[0], jobs.len());
        points.zip(decoded).map(|((encoding, _), decoded)| decoded.map(|()| encoding)).collect()
    }

    /// Fills the tables with the multiples 0 to 8 of `point`.
    fn tabulate(&mut self, point: Point<K::Reduced>) {
        let group = &mut self.base.group;
        let twice_d = constant::<K>(&TWICE_D);
        let (step, step_z) = group.entry(&point, &twice_d);
        self.tables.iter_mut().for_each(Vec::clear);
        let mut multiple = Point::neutral::<K>();
        for i in 0..ENTRIES {
            let (entry, z) = group.entry(&multiple, &twice_d);
            for (table, number) in self.tables.iter_mut().zip(entry.iter().chain([&z])) {
                table.extend_from_slice(number.digits());
            }
            if i + 1 < ENTRIES {
                group.add(&mut multiple, &step, Some(&step_z), &K::Mask::default());
            }
        }
    }

    /// 16 times the sum, and the multiple that belongs to this window of h.
    fn window(&mut self, window: usize) {
        let Self { base: BaseMultiplier { group, point, entry, digits }, tables } = self;
        let [point] = point.expose_mut() else { unreachable!("one point") };
        // The neutral point need not be doubled.
        if window + 1 < PUBLIC_WINDOWS {
            (0..WINDOW).for_each(|i| group.double(point, i + 1 == WINDOW));
        }
        let [index, negative] = &digits.expose().as_chunks().0[window];
        let entry: &mut Entry<K::Reduced> = entry.expose_mut().try_into().expect("three numbers");
        let mut z = K::Reduced::default();
        for (number, table) in entry.iter_mut().chain([&mut z]).zip(&*tables) {
            let digits = number.digits_mut();
            let len = digits.len();
            group.kernel.select_own(digits, table, len, 0, index);
        }
        group.add(point, entry, Some(&z), negative);
    }
}

/// The magnitude, 0 to 8, of a digit of h, and whether it is negative, all ones for yes: h = Σ ±mᵢ·16^i.
///
/// The digit is the window of h + Σ 8·16^i, less 8.
fn signed_digit(h: &[u64; 4], window: usize) -> (u64, u64) {
    let mut carry = 0;
    // No carry leaves: h is below 2^253, and the sum of the eights below 2^256 − 2^254.
    let raised = h.map(|limb| {
        let (sum, out) = crate::arith::limbs::adc(limb, 0x8888_8888_8888_8888, carry);
        carry = out;
        sum
    });
    let bit = WINDOW * window;
    let digit = (raised[bit / 64] >> (bit % 64) & 15) as i64 - 8;
    (digit.unsigned_abs(), (digit >> 63) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::testing::{Operands, big};
    use num_bigint::BigInt;

    #[test]
    fn signed_digits_are_those_of_the_scalar() {
        let mut operands = Operands::new(4);
        let edges = [[0; 4], [1, 0, 0, 0], [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 3]];
        let drawn: Vec<[u64; 4]> = (0..50).map(|_| operands.rough(4).try_into().unwrap()).collect();
        for mut h in edges.into_iter().chain(drawn) {
            h[3] >>= 3;
            let sum = (0..PUBLIC_WINDOWS).rev().fold(BigInt::ZERO, |sum, i| {
                let (magnitude, negative) = signed_digit(&h, i);
                assert!(magnitude < ENTRIES as u64);
                (sum << WINDOW) + if negative == 0 { 1 } else { -1 } * BigInt::from(magnitude)
            });
            assert_eq!(sum, big(&h).into());
        }
    }
}

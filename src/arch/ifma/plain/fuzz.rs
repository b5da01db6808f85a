//! A fuzz body: programs of kernels, on plain words and in the specification, which have to agree after every
//! step. `FUZZ_ROUNDS` sets how many programs, by default 300. Kernels of whole points are compared by the
//! tests of `arith`.

use super::{PlainIfma, portable};
use crate::arch::Portable;
use crate::arch::field25519::Field25519Lanes;
use crate::arch::lanes::Vec4;
use crate::arch::prime::{P256, P384, Prime, PrimeLanes};
use crate::arch::testing::Random;
use num_bigint::BigUint;
use std::panic::catch_unwind;

const STEPS: usize = 40;

fn rounds() -> u64 {
    std::env::var("FUZZ_ROUNDS").map_or(300, |rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"))
}

/// Limbs at an edge of some digit or of the prime, or random ones; below `p`.
fn number(random: &mut Random, p: &[u64]) -> Vec<u64> {
    let mut limbs: Vec<u64> = match random.word() % 4 {
        0 => p.iter().map(|limb| limb.wrapping_sub(random.word() % 3)).collect(),
        1 => vec![[0, u64::MAX][random.word() as usize % 2]; p.len()],
        2 => p.iter().map(|_| 1 << (random.word() % 64)).collect(),
        _ => p.iter().map(|_| random.word()).collect(),
    };
    while limbs.iter().rev().ge(p.iter().rev()) {
        *limbs.last_mut().expect("limbs") >>= 1;
    }
    limbs
}

fn mask(random: &mut Random) -> Vec4 {
    Vec4(std::array::from_fn(|_| (random.word() & 1).wrapping_neg()))
}

/// Four numbers, in the lanes of a tier.
struct Pool<P: Prime, K: PrimeLanes<P>>(K, [K::Reduced; 4]);

impl<P: Prime, K: PrimeLanes<P, Vec = Vec4>> Pool<P, K> {
    fn step(&mut self, [operation, a, b, c, to]: [usize; 5], mask: &Vec4) {
        let Self(kernel, numbers) = self;
        let [x, y, z] = [a, b, c].map(|i| numbers[i % 4]);
        let [mut sum, mut difference] = [K::Sum::default(); 2];
        kernel.add(&mut sum, &x, &y);
        kernel.sub(&mut difference, &y, &z);
        let out = &mut numbers[to % 4];
        match operation % 9 {
            0 => kernel.mul(out, &x, &y),
            1 => kernel.mul(out, &sum, &difference),
            2 => kernel.sqr(out, &difference),
            3 => kernel.sqr(out, &sum),
            4 => kernel.combine::<1, -1, -2>(out, &x, &y, &z),
            5 => kernel.combine::<-4, -4, -4>(out, &x, &y, &z),
            6 => kernel.combine::<12, 0, 0>(out, &x, &y, &z),
            7 => kernel.assign_if(out, &x, mask),
            _ => kernel.negate_if(out, mask),
        }
    }

    /// Writes a number times R: the specification's R is another one.
    fn set(&mut self, i: usize, lane: usize, limbs: &[u64]) {
        let mut limbs = ((big(limbs) << K::R_BITS) % big(P::P)).to_u64_digits();
        limbs.resize(P::P.len(), 0);
        K::set(&mut self.1[i], lane, &limbs);
    }

    /// The numbers, divided by R.
    fn lanes(&self) -> Vec<BigUint> {
        let p = big(P::P);
        let r_inverse = (BigUint::from(1u8) << K::R_BITS).modinv(&p).expect("p is odd");
        let places = self.1.iter().flat_map(|number| (0..4).map(move |lane| (number, lane)));
        let read = |(number, lane)| {
            let mut limbs = vec![0; P::P.len()];
            K::get(&mut limbs, number, lane);
            big(&limbs) * &r_inverse % &p
        };
        places.map(read).collect()
    }
}

fn big(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64) + *limb)
}

fn prime<P: Prime>(seed: u64, tamper: fn(&mut Vec4))
where
    Portable: PrimeLanes<P, Vec = Vec4>,
    PlainIfma: PrimeLanes<P, Vec = Vec4>,
{
    let mut random = Random(seed);
    let mut specified = Pool::<P, Portable>(portable(), Default::default());
    let mut plain = Pool::<P, PlainIfma>(PlainIfma, Default::default());
    for (i, lane) in (0..4).flat_map(|i| (0..4).map(move |lane| (i, lane))) {
        let limbs = number(&mut random, P::P);
        specified.set(i, lane, &limbs);
        plain.set(i, lane, &limbs);
    }
    for step in 0..STEPS {
        let choice: [usize; 5] = std::array::from_fn(|_| random.word() as usize);
        let mut chosen = mask(&mut random);
        // Zero is not to be negated.
        if plain.lanes().contains(&BigUint::ZERO) {
            chosen = Vec4::default();
        }
        specified.step(choice, &chosen);
        tamper(&mut chosen);
        plain.step(choice, &chosen);
        assert_eq!(plain.lanes(), specified.lanes(), "seed {seed}, step {step}");
    }
}

/// What one step makes of three numbers.
fn step_25519<K: Field25519Lanes<Mask = Vec4>>(
    kernel: K,
    numbers: &mut [K::Reduced; 4],
    [operation, a, b, c, to]: [usize; 5],
    mask: &Vec4,
) {
    let [x, y, z] = [a, b, c].map(|i| numbers[i % 4]);
    let [mut sum, mut difference, mut other] = [K::Sum::default(); 3];
    kernel.add_sub(&mut sum, &mut difference, &x, &y);
    let out = &mut numbers[to % 4];
    match operation % 8 {
        0 => kernel.mul(out, &sum, &difference),
        1 => kernel.sqr(out, &difference),
        2 => kernel.reduce(out, &difference),
        3 => {
            kernel.add_121665(&mut other, &z, &sum);
            kernel.mul(out, &other, &x);
        }
        4 => {
            kernel.sub(&mut other, &y, &z);
            kernel.assign_if(&mut other, &sum, mask);
            kernel.mul(out, &other, &difference);
        }
        5 => {
            kernel.add(&mut other, &y, &z);
            kernel.sqr(out, &other);
        }
        6 => {
            kernel.negate_if(&mut other, &x, mask);
            kernel.reduce(out, &other);
        }
        _ => {
            kernel.swap_if(&mut sum, &mut difference, &x, &z, mask);
            kernel.mul(out, &sum, &y);
        }
    }
}

fn field_25519(seed: u64, tamper: fn(&mut Vec4)) {
    let mut random = Random(seed);
    let mut specified = [<Portable as Field25519Lanes>::Reduced::default(); 4];
    let mut plain = [<PlainIfma as Field25519Lanes>::Reduced::default(); 4];
    let end = [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1];
    for (specified, plain) in specified.iter_mut().zip(&mut plain) {
        for lane in 0..4 {
            let limbs = number(&mut random, &end).try_into().expect("four limbs");
            <Portable as Field25519Lanes>::set(specified, lane, &limbs);
            <PlainIfma as Field25519Lanes>::set(plain, lane, &limbs);
        }
    }
    for step in 0..STEPS {
        let (choice, mut chosen) = (std::array::from_fn(|_| random.word() as usize), mask(&mut random));
        step_25519(portable(), &mut specified, choice, &chosen);
        tamper(&mut chosen);
        step_25519(PlainIfma, &mut plain, choice, &chosen);
        for (specified, plain) in specified.iter().zip(&plain) {
            for lane in 0..4 {
                let expected = <Portable as Field25519Lanes>::get(specified, lane).to_limbs();
                let found = <PlainIfma as Field25519Lanes>::get(plain, lane).to_limbs();
                assert_eq!(found, expected, "seed {seed}, step {step}, lane {lane}");
            }
        }
    }
}

#[test]
fn programs_of_kernels_agree_with_the_specification() {
    for seed in 0..rounds() {
        prime::<P256>(seed, |_| {});
        prime::<P384>(seed, |_| {});
        field_25519(seed, |_| {});
    }
}

/// The planted defect: one lane's mask is another one.
#[test]
fn a_kernel_that_takes_the_wrong_lane_is_caught() {
    let swap: fn(&mut Vec4) = |mask| mask.0[2] = !mask.0[2];
    let caught =
        |run: fn(u64, fn(&mut Vec4)), tamper| (0..20).any(|seed| catch_unwind(|| run(seed, tamper)).is_err());
    for run in [prime::<P256>, prime::<P384>, field_25519] as [fn(u64, fn(&mut Vec4)); 3] {
        assert!(caught(run, swap));
        assert!(!caught(run, |_| {}));
    }
}

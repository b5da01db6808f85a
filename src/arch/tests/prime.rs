//! Every tier against big integers: random chains of operations and operands at their bounds.

use crate::arch::prime::{P256, P384, Prime, PrimeLanes};
use crate::arch::testing::{Random, with_tier};
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use num_bigint::{BigInt, BigUint, Sign};

fn big(limbs: &[u64]) -> BigUint {
    BigUint::from_slice(&limbs.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect::<Vec<_>>())
}

fn limbs<P: Prime>(x: &BigUint) -> Vec<u64> {
    let mut limbs = x.to_u64_digits();
    limbs.resize(P::P.len(), 0);
    limbs
}

fn modulo<P: Prime>(x: &BigInt) -> BigUint {
    let p = BigInt::from_biguint(Sign::Plus, big(P::P));
    (((x % &p) + &p) % &p).to_biguint().expect("not negative")
}

/// One element a lane, beside the numbers that they stand for.
struct Checked<P: Prime, K: PrimeLanes<P>> {
    element: K::Reduced,
    values: Vec<BigUint>,
}

impl<P: Prime, K: PrimeLanes<P>> Checked<P, K> {
    fn new(values: Vec<BigUint>) -> Self {
        let mut element = K::Reduced::default();
        values.iter().enumerate().for_each(|(lane, x)| K::set(&mut element, lane, &limbs::<P>(x)));
        Self { element, values }
    }

    #[track_caller]
    fn verified(element: K::Reduced, values: impl Iterator<Item = BigInt>) -> Self {
        let values: Vec<_> = values.map(|x| modulo::<P>(&x)).collect();
        for (lane, value) in values.iter().enumerate() {
            let mut out = vec![0; P::P.len()];
            K::get(&mut out, &element, lane);
            assert_eq!(&big(&out), value, "lane {lane}");
        }
        Self { element, values }
    }
}

/// Interesting residues: the ends, around powers of two, around R, and random ones.
fn residues<P: Prime>(random: &mut Random, r_bits: usize) -> Vec<BigUint> {
    let p = big(P::P);
    let one = BigUint::from(1u8);
    let mut all = vec![BigUint::ZERO, one.clone(), &p - 1u8, &p - 2u8, &p >> 1, (&p >> 1) + 1u8];
    for bit in [48, 52, 96, 128, 192, 224, 240, 255] {
        all.extend([(&one << bit) - 1u8, &one << bit, &p - (&one << bit)]);
    }
    all.extend([(&one << r_bits) % &p, (&p - (&one << r_bits) % &p) % &p]);
    all.extend((0..12).map(|_| random.below(&p)));
    all
}

fn check<P: Prime, K: PrimeLanes<P>>(kernel: K) {
    kernel.assert_environment();
    let mut random = Random(256);
    let residues = residues::<P>(&mut random, K::R_BITS);
    let pick = |random: &mut Random| {
        let one = |_| residues[random.word() as usize % residues.len()].clone();
        Checked::<P, K>::new((0..K::LANES).map(one).collect())
    };
    for _ in 0..60 {
        let (mut a, mut b) = (pick(&mut random), pick(&mut random));
        // Results are operands again: digits that no `set` makes.
        for _ in 0..6 {
            let next = step(kernel, &a, &b);
            (a, b) = (b, next);
        }
    }
}

/// Checks every operation on a and b; gives one of the results.
fn step<P: Prime, K: PrimeLanes<P>>(kernel: K, a: &Checked<P, K>, b: &Checked<P, K>) -> Checked<P, K> {
    let p = big(P::P);
    let r_inverse = (BigUint::from(1u8) << K::R_BITS).modinv(&p).unwrap();
    let of = |f: &dyn Fn(&BigInt, &BigInt) -> BigInt| {
        let pairs = a.values.iter().zip(&b.values).map(|(a, b)| f(&a.clone().into(), &b.clone().into()));
        pairs.collect::<Vec<_>>().into_iter()
    };
    let montgomery = |x: BigInt| x * BigInt::from(r_inverse.clone());
    let (mut sum, mut difference) = (K::Sum::default(), K::Sum::default());
    let mut out = K::Reduced::default();
    kernel.add(&mut sum, &a.element, &b.element);
    kernel.sub(&mut difference, &a.element, &b.element);
    kernel.mul(&mut out, &sum, &difference);
    Checked::<P, K>::verified(out, of(&|a, b| montgomery((a + b) * (a - b))));
    kernel.mul(&mut out, &sum, &b.element);
    Checked::<P, K>::verified(out, of(&|a, b| montgomery((a + b) * b)));
    kernel.sqr(&mut out, &difference);
    Checked::<P, K>::verified(out, of(&|a, b| montgomery((a - b) * (a - b))));
    kernel.sqr(&mut out, &sum);
    Checked::<P, K>::verified(out, of(&|a, b| montgomery((a + b) * (a + b))));
    kernel.combine::<3, 0, 0>(&mut out, &a.element, &b.element, &b.element);
    Checked::<P, K>::verified(out, of(&|a, _| a * 3));
    kernel.combine::<1, -8, 0>(&mut out, &a.element, &b.element, &b.element);
    Checked::<P, K>::verified(out, of(&|a, b| a - b * 8));
    kernel.combine::<-4, -4, -4>(&mut out, &a.element, &b.element, &a.element);
    Checked::<P, K>::verified(out, of(&|a, b| a * -8 - b * 4));
    let square = {
        kernel.sqr(&mut out, &a.element);
        Checked::<P, K>::verified(out, of(&|a, _| montgomery(a * a)))
    };
    masks(kernel, a, b, 0);
    masks(kernel, a, b, usize::MAX);
    masks(kernel, a, b, 0b0110_0101);
    let mut last = K::Reduced::default();
    kernel.combine::<1, -1, -2>(&mut last, &square.element, &a.element, &b.element);
    Checked::verified(last, of(&|a, b| montgomery(a * a) - a - b * 2))
}

/// `set` has a bit for each lane whose mask is to be set.
fn masks<P: Prime, K: PrimeLanes<P>>(kernel: K, a: &Checked<P, K>, b: &Checked<P, K>, set: usize) {
    let mut mask = K::Vec::default();
    let chosen = |lane: usize| set >> lane & 1 == 1;
    mask.as_mut().iter_mut().enumerate().for_each(|(i, w)| *w = if chosen(i) { u64::MAX } else { 0 });
    let mut out = a.element;
    kernel.assign_if(&mut out, &b.element, &mask);
    let values = (0..K::LANES).map(|i| if chosen(i) { &b.values[i] } else { &a.values[i] });
    Checked::<P, K>::verified(out, values.map(|x| x.clone().into()));
    if a.values.iter().all(|x| *x != BigUint::ZERO) {
        let mut out = a.element;
        kernel.negate_if(&mut out, &mask);
        let value = |i: usize| BigInt::from(a.values[i].clone()) * if chosen(i) { -1 } else { 1 };
        Checked::<P, K>::verified(out, (0..K::LANES).map(value));
    }
}

macro_rules! prime_lane_tests {
    ($($name:ident: $token:expr, $kind:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn lanes_p256_arithmetic() {
                with_tier($kind, $token, check::<P256, _>);
            }

            #[test]
            fn lanes_p384_arithmetic() {
                with_tier($kind, $token, check::<P384, _>);
            }
        }
    )*};
}

fn portable_token() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

prime_lane_tests! {
    portable: portable_token(), TierKind::Portable;
    ifma_on_plain_words: Some(crate::arch::PlainIfma), TierKind::Portable;
    avx_ifma: AvxIfma::detect(), TierKind::AvxIfma;
    avx512_ifma: Avx512Ifma::detect(), TierKind::Avx512Ifma;
    avx2_fma: Avx2Fma::detect(), TierKind::Avx2Fma;
}

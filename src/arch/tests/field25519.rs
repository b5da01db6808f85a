//! One test body per kernel, run for every tier: against big integers and against the specification.

use crate::arch::field25519::Field25519Lanes;
use crate::arch::testing::{Random, with_tier};
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use num_bigint::{BigInt, BigUint};

macro_rules! lane_tests {
    ($module:ident, $kind:expr, $token:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn lanes_store_and_load() {
                with_tier($kind, $token, check_store_and_load);
            }

            #[test]
            fn lanes_products() {
                with_tier($kind, $token, check_products);
            }

            #[test]
            fn lanes_small_kernels() {
                with_tier($kind, $token, check_small_kernels);
            }

            #[test]
            fn lanes_fill() {
                with_tier($kind, $token, check_fills);
            }

            #[test]
            fn lanes_chain() {
                with_tier($kind, $token, check_chain);
            }
        }
    };
}

fn portable() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

lane_tests!(portable, TierKind::Portable, portable());
#[cfg(lanes)]
lane_tests!(ifma_on_plain_words, TierKind::Portable, Some(crate::arch::PlainIfma));
lane_tests!(avx2_fma, TierKind::Avx2Fma, Avx2Fma::detect());
lane_tests!(avx_ifma, TierKind::AvxIfma, AvxIfma::detect());
lane_tests!(avx512_ifma, TierKind::Avx512Ifma, Avx512Ifma::detect());

fn p() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn limbs(x: &BigUint) -> [u64; 4] {
    let digits = x.to_u64_digits();
    std::array::from_fn(|i| digits.get(i).copied().unwrap_or(0))
}

/// Numbers below 2^255, at the edges of the field and of every digit size, and random ones.
fn operands(random: &mut Random) -> Vec<BigUint> {
    let one = BigUint::from(1u8);
    let end = &one << 255;
    let small = [0u8, 1, 2, 18, 19, 20].map(BigUint::from);
    let high = [1u8, 2, 18, 19, 20].map(|x| &end - x);
    // Every digit of half the radix, or just above: what balancing carries out of.
    let halves =
        |radix: usize| (0..255 / radix).map(move |i| BigUint::from(1u8) << (radix * i + radix - 1)).sum();
    let digits: [BigUint; 3] = [43, 51, 52].map(halves);
    let above = digits.clone().map(|x| x + 1u8);
    let drawn: Vec<_> = (0..12).map(|_| random.below(&end)).collect();
    let edges = small.into_iter().chain(high).chain(digits).chain(above);
    edges.chain([&end >> 1u8]).chain(drawn).filter(|x| x < &end).collect()
}

fn write<L: Field25519Lanes>(values: &[BigUint]) -> L::Reduced {
    let mut out = L::Reduced::default();
    values.iter().enumerate().for_each(|(lane, x)| L::set(&mut out, lane, &limbs(x)));
    out
}

/// The element of a lane, below p.
fn read<L: Field25519Lanes>(element: &L::Reduced, lane: usize) -> BigUint {
    let limbs = L::get(element, lane).to_limbs();
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64u8) + *limb)
}

/// The element of a lane of a sum, below p: times one.
fn read_sum<L: Field25519Lanes>(tier: L, sum: &L::Sum, lane: usize) -> BigUint {
    let mut out = L::Reduced::default();
    tier.mul(&mut out, sum, &write::<L>(&vec![BigUint::from(1u8); L::LANES]));
    read::<L>(&out, lane)
}

/// One value for each lane, other ones in other lanes.
fn pick<L: Field25519Lanes>(values: &[BigUint], first: usize) -> Vec<BigUint> {
    (0..L::LANES).map(|lane| values[(first + 3 * lane) % values.len()].clone()).collect()
}

fn check_store_and_load<L: Field25519Lanes>(_: L) {
    let values = operands(&mut Random(1));
    for first in 0..values.len() {
        let lanes = pick::<L>(&values, first);
        let element = write::<L>(&lanes);
        for (lane, x) in lanes.iter().enumerate() {
            assert_eq!(read::<L>(&element, lane), x % p(), "lane {lane}");
        }
    }
}

/// Every pair of operands, both as they are and as sums and differences of them.
fn check_products<L: Field25519Lanes>(tier: L) {
    let values = operands(&mut Random(2));
    for first in 0..values.len() {
        for second in 0..values.len() {
            let (a, b) = (pick::<L>(&values, first), pick::<L>(&values, second));
            let (x, y) = (write::<L>(&a), write::<L>(&b));
            let (mut sum, mut difference) = Default::default();
            tier.add_sub(&mut sum, &mut difference, &x, &y);
            let [mut product, mut square, mut wide] = [L::Reduced::default(); 3];
            tier.mul(&mut product, &x, &y);
            tier.sqr(&mut square, &x);
            tier.mul(&mut wide, &sum, &difference);
            let [mut sum_square, mut difference_square] = [L::Reduced::default(); 2];
            tier.sqr(&mut sum_square, &sum);
            tier.sqr(&mut difference_square, &difference);
            for lane in 0..L::LANES {
                let [a, b] = [&a[lane], &b[lane]].map(|x| BigInt::from(x.clone()));
                let expect = |element: &L::Reduced, expected: BigInt| {
                    assert_eq!(read::<L>(element, lane), canonical(&expected), "lane {lane}: {a:x}, {b:x}");
                };
                expect(&product, &a * &b);
                expect(&square, &a * &a);
                expect(&wide, &a * &a - &b * &b);
                expect(&sum_square, (&a + &b) * (&a + &b));
                expect(&difference_square, (&a - &b) * (&a - &b));
            }
        }
    }
}

fn canonical(x: &BigInt) -> BigUint {
    let p = BigInt::from(p());
    ((x % &p + &p) % &p).to_biguint().unwrap()
}

fn check_small_kernels<L: Field25519Lanes>(tier: L) {
    let values = operands(&mut Random(3));
    for first in 0..values.len() {
        let (a, b) = (pick::<L>(&values, first), pick::<L>(&values, 5 * first + 1));
        let (x, y) = (write::<L>(&a), write::<L>(&b));
        let [mut sum, mut difference, mut again, mut scaled] = [L::Sum::default(); 4];
        tier.add_sub(&mut sum, &mut difference, &x, &y);
        tier.sub(&mut again, &x, &y);
        let [mut sum_alone, mut reduced] = [L::Sum::default(); 2];
        tier.add(&mut sum_alone, &x, &y);
        let mut carried = L::Reduced::default();
        tier.reduce(&mut carried, &difference);
        tier.sub(&mut reduced, &carried, &y);
        tier.add_121665(&mut scaled, &x, &sum);
        let mut mask = L::Mask::default();
        // Bit `lane` of `first` says whether the lane is replaced.
        for (lane, word) in mask.as_mut().iter_mut().enumerate() {
            *word = (first as u64 >> lane & 1).wrapping_neg();
        }
        let mut chosen = sum;
        tier.assign_if(&mut chosen, &difference, &mask);
        let [mut first_of, mut second_of, mut negated] = [L::Sum::default(); 3];
        tier.swap_if(&mut first_of, &mut second_of, &x, &y, &mask);
        tier.negate_if(&mut negated, &x, &mask);
        for lane in 0..L::LANES {
            let [a, b] = [&a[lane], &b[lane]].map(|x| BigInt::from(x.clone()));
            let expect = |sum: &L::Sum, expected: BigInt| {
                assert_eq!(read_sum(tier, sum, lane), canonical(&expected), "lane {lane}: {a:x}, {b:x}");
            };
            expect(&sum, &a + &b);
            expect(&difference, &a - &b);
            expect(&again, &a - &b);
            expect(&sum_alone, &a + &b);
            expect(&carried, &a - &b);
            // What was carried is an operand of further sums.
            expect(&reduced, &a - &b * 2);
            expect(&scaled, &a + (&a + &b) * 121_665);
            let is_set = first >> lane & 1 == 1;
            expect(&first_of, if is_set { b.clone() } else { a.clone() });
            expect(&second_of, if is_set { a.clone() } else { b.clone() });
            expect(&negated, if is_set { -a.clone() } else { a.clone() });
            expect(&chosen, if first >> lane & 1 == 1 { &a - &b } else { &a + &b });
        }
    }
}

/// Every number of occupied lanes: the others stay zero.
fn check_fills<L: Field25519Lanes>(tier: L) {
    let values = operands(&mut Random(4));
    for fill in 1..=L::LANES {
        let a = pick::<L>(&values, fill)[..fill].to_vec();
        let x = write::<L>(&a);
        let (mut sum, mut difference) = Default::default();
        tier.add_sub(&mut sum, &mut difference, &x, &x);
        let [mut product, mut square] = [L::Reduced::default(); 2];
        tier.mul(&mut product, &sum, &x);
        tier.sqr(&mut square, &sum);
        for lane in 0..L::LANES {
            let a = a.get(lane).cloned().unwrap_or_default();
            assert_eq!(read_sum(tier, &difference, lane), BigUint::ZERO);
            assert_eq!(read::<L>(&product, lane), &a * &a * 2u8 % p());
            assert_eq!(read::<L>(&square, lane), &a * &a * 4u8 % p());
        }
    }
}

/// Results are operands of further kernels, as in a ladder, and the specification agrees all the way.
fn check_chain<L: Field25519Lanes>(tier: L) {
    let values = operands(&mut Random(5));
    for first in 0..values.len() {
        let start = pick::<L>(&values, first);
        let ours = chain(tier, write::<L>(&start));
        for (lane, x) in start.iter().enumerate() {
            let specified = chain(portable().unwrap(), write::<Portable>(&vec![x.clone(); Portable::LANES]));
            assert_eq!(read::<L>(&ours, lane), read::<Portable>(&specified, lane % Portable::LANES));
        }
    }
}

fn chain<L: Field25519Lanes>(tier: L, mut x: L::Reduced) -> L::Reduced {
    let mut y = x;
    for _ in 0..40 {
        let (mut sum, mut difference, mut scaled) = (L::Sum::default(), L::Sum::default(), L::Sum::default());
        tier.add_sub(&mut sum, &mut difference, &x, &y);
        tier.sqr(&mut x, &sum);
        tier.add_121665(&mut scaled, &x, &difference);
        tier.mul(&mut y, &difference, &scaled);
    }
    x
}

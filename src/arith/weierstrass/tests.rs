//! Every tier against affine arithmetic with big integers, at every fill.

use super::*;
use crate::arch::prime::PrimeLanes;
use crate::arch::testing::with_tier;
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use crate::arith::testing::{Operands, big, limbs};
use num_bigint::BigUint;

/// The group law of the textbook; `None` is the point at infinity.
type Reference = Option<(BigUint, BigUint)>;

fn add<const N: usize, C: Curve<N>>(a: &Reference, b: &Reference) -> Reference {
    let p = big(C::FIELD.limbs());
    let (Some((x1, y1)), Some((x2, y2))) = (a, b) else { return a.clone().or(b.clone()) };
    let (numerator, denominator) = match x1 == x2 {
        true if y1 == y2 => (x1 * x1 * 3u8 + &p - 3u8, y1 * 2u8),
        true => return None,
        false => (y2 + &p - y1, x2 + &p - x1),
    };
    let slope = numerator * (denominator % &p).modinv(&p).unwrap() % &p;
    let x = (&slope * &slope + &p + &p - x1 - x2) % &p;
    let y = (slope * (x1 + &p - &x) + &p - y1) % &p;
    Some((x, y))
}

fn multiply<const N: usize, C: Curve<N>>(k: &BigUint, q: &Reference) -> Reference {
    (0..k.bits()).rev().fold(None, |sum, bit| {
        let double = add::<N, C>(&sum, &sum);
        if k.bit(bit) { add::<N, C>(&double, q) } else { double }
    })
}

fn reference<const N: usize>(point: &Affine<N>) -> Reference {
    Some((big(&point.x), big(&point.y)))
}

fn array<const N: usize>(x: &BigUint) -> [u64; N] {
    limbs(x, N).try_into().unwrap()
}

fn affine<const N: usize>(point: &Reference) -> Affine<N> {
    let (x, y) = point.as_ref().unwrap();
    Affine { x: array(x), y: array(y) }
}

/// Scalars: the ends, powers of two and their neighbours, and random ones.
fn scalars<const N: usize, C: Curve<N>>() -> Vec<[u64; N]> {
    let n = big(C::ORDER.limbs());
    let one = BigUint::from(1u8);
    let mut all: Vec<BigUint> = (1u8..4).flat_map(|i| [BigUint::from(i), &n - i]).collect();
    all.extend([&n >> 1, (&n >> 1) + 1u8, &one << (64 * N - 1), (&one << (64 * N - 4)) - 1u8, one << 130]);
    let mut operands = Operands::new(9);
    all.extend((0..5).map(|_| big(&operands.random(N)) % &n));
    all.iter().map(array).collect()
}

fn check<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let scalars = scalars::<N, C>();
    let g = reference(&C::G);
    let points: Vec<_> = scalars.iter().map(|k| multiply::<N, C>(&big(k), &g)).collect();
    for fill in 1..=K::LANES {
        for (scalars, points) in scalars.chunks(fill).zip(points.chunks(fill)) {
            let multiples = lanes.base_multiples(scalars);
            let found: Vec<_> = multiples.iter().map(|m| reference(m.expect("a point"))).collect();
            assert_eq!(found, points);
        }
    }
    // Each scalar with a point that belongs to another one, in rotating lanes.
    let pairs: Vec<_> =
        (0..scalars.len()).map(|i| (scalars[i], &points[(7 * i + 3) % points.len()])).collect();
    for fill in [1, K::LANES - 1, K::LANES] {
        for chunk in pairs.chunks(fill) {
            let (ks, qs): (Vec<_>, Vec<_>) = chunk.iter().map(|(k, q)| (*k, affine::<N>(q))).unzip();
            let multiples = lanes.multiples(&ks, &qs);
            for ((k, q), found) in chunk.iter().zip(multiples.iter()) {
                assert_eq!(found.map(reference), Some(multiply::<N, C>(&big(k), q)), "{k:x?}");
            }
        }
    }
}

/// A sum u₁·G + u₂·Q, the x-coordinate modulo n that it has, and whether a partial sum is exceptional.
struct Sum<const N: usize> {
    u1: BigUint,
    u2: BigUint,
    q: Affine<N>,
    r: [u64; N],
    exceptional: bool,
}

/// Ordinary sums and all exceptional ones: Q = ±G, equal and opposite summands.
fn sums<const N: usize, C: Curve<N>>() -> Vec<Sum<N>> {
    let n = big(C::ORDER.limbs());
    let g = reference(&C::G);
    let scalars = scalars::<N, C>();
    let sum = |u1: BigUint, u2: BigUint, q: Reference, exceptional| {
        let sum = add::<N, C>(&multiply::<N, C>(&u1, &g), &multiply::<N, C>(&u2, &q));
        let r = sum.map_or([1; N], |(x, _)| array(&(x % &n)));
        Sum { u1, u2, q: affine(&q), r, exceptional }
    };
    let ordinary = (0..scalars.len()).map(|i| {
        let at = |j: usize| big(&scalars[(i + j) % scalars.len()]);
        sum(at(0), at(3), multiply::<N, C>(&at(5), &g), false)
    });
    let minus_g = multiply::<N, C>(&(&n - 1u8), &g);
    let k = big(&scalars[scalars.len() - 1]);
    let two_g = multiply::<N, C>(&BigUint::from(2u8), &g);
    let exceptional = [
        (k.clone(), k.clone(), g.clone()),
        (k.clone(), &n - &k, g.clone()),
        (k.clone(), k.clone(), minus_g.clone()),
        (k.clone(), &n - &k, minus_g),
        // u₂·Q = ±u₁·G for another Q.
        (&k * 2u8 % &n, k.clone(), two_g.clone()),
        (&n - &k * 2u8 % &n, k, two_g),
    ];
    ordinary.chain(exceptional.map(|(u1, u2, q)| sum(u1, u2, q, true))).collect()
}

/// Checks of the right x-coordinate, or of one that differs in a bit.
fn checks<const N: usize>(sums: &[Sum<N>], wrong: u64) -> Vec<Scalars<N>> {
    let check = |sum: &Sum<N>| {
        let mut r = sum.r;
        r[0] ^= wrong;
        Scalars { u1: array(&sum.u1), u2: array(&sum.u2), r }
    };
    sums.iter().map(check).collect()
}

fn check_sums<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let sums = sums::<N, C>();
    for fill in [1, 2, K::LANES] {
        for chunk in sums.chunks(fill) {
            let points: Vec<_> = chunk.iter().map(|sum| sum.q).collect();
            for wrong in [0, 1] {
                let verdicts = lanes.check(&checks(chunk, wrong), &points);
                for (sum, verdict) in chunk.iter().zip(verdicts) {
                    assert_eq!(verdict, (!sum.exceptional).then_some(wrong == 0), "{} {}", sum.u1, sum.u2);
                }
            }
        }
    }
}

/// The same with tables. There the order of additions is another one, and so are the exceptional sums: never a wrong
/// verdict, and one wherever two random numbers are added.
fn check_prepared<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let sums = sums::<N, C>();
    let some = &sums[sums.len() - 10..];
    let tables: Vec<_> = some.iter().map(|sum| PublicTable::new(&mut lanes, &sum.q)).collect();
    let tables: Vec<_> = tables.iter().collect();
    for fill in [1, K::LANES] {
        for (chunk, tables) in some.chunks(fill).zip(tables.chunks(fill)) {
            for wrong in [0, 1] {
                let verdicts = lanes.check_prepared(&checks(chunk, wrong), tables);
                for (sum, verdict) in chunk.iter().zip(verdicts) {
                    assert!(verdict.is_some() || sum.exceptional);
                    let is_infinity = sum.r == [1; N];
                    assert!(verdict.is_none_or(|v| v == (wrong == 0 && !is_infinity)));
                }
            }
        }
    }
}

#[test]
fn points_of_the_curve_are_told_from_others() {
    assert!(bool::from(is_on_curve::<4, P256>(&P256::G)));
    assert!(bool::from(is_on_curve::<6, P384>(&P384::G)));
    let mut off = P256::G;
    off.y[0] ^= 1;
    assert!(!bool::from(is_on_curve::<4, P256>(&off)));
    assert!(!bool::from(is_on_curve::<6, P384>(&Affine::default())));
}

fn portable_token() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

macro_rules! curve_tests {
    ($($name:ident: $limbs:literal, $curve:ty, $token:expr, $kind:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn lanes_multiples() {
                with_tier($kind, $token, check::<$limbs, $curve, _>);
            }

            #[test]
            fn lanes_sums() {
                with_tier($kind, $token, check_sums::<$limbs, $curve, _>);
            }

            #[test]
            fn lanes_prepared_sums() {
                with_tier($kind, $token, check_prepared::<$limbs, $curve, _>);
            }
        }
    )*};
}

curve_tests! {
    portable_p256: 4, P256, portable_token(), TierKind::Portable;
    portable_p384: 6, P384, portable_token(), TierKind::Portable;
    avx2_fma_p256: 4, P256, Avx2Fma::detect(), TierKind::Avx2Fma;
    avx2_fma_p384: 6, P384, Avx2Fma::detect(), TierKind::Avx2Fma;
    avx_ifma_p256: 4, P256, AvxIfma::detect(), TierKind::AvxIfma;
    avx_ifma_p384: 6, P384, AvxIfma::detect(), TierKind::AvxIfma;
    avx512_ifma_p256: 4, P256, Avx512Ifma::detect(), TierKind::Avx512Ifma;
    avx512_ifma_p384: 6, P384, Avx512Ifma::detect(), TierKind::Avx512Ifma;
}

//! Every tier against aws-lc-rs, at every fill.
//!
//! All points here are multiples of the base point, by scalars that are known: so every result is one, and
//! aws-lc-rs computes it as a public key.

use super::*;
use crate::arch::prime::PrimeLanes;
use crate::arch::testing::with_tier;
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use crate::arith::testing::{Operands, big, limbs};
use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey};
use num_bigint::BigUint;

/// k·G; `None` is the point at infinity.
fn multiple<const N: usize, C: Curve<N>>(k: &BigUint) -> Option<Affine<N>> {
    let k = k % big(C::ORDER.limbs());
    if k == BigUint::ZERO {
        return None;
    }
    let bytes: Vec<u8> = limbs(&k, N).iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    let curve = if N == 4 { &ECDH_P256 } else { &ECDH_P384 };
    let public = PrivateKey::from_private_key(curve, &bytes).unwrap().compute_public_key().unwrap();
    let (x, y) = public.as_ref()[1..].split_at(8 * N);
    let [x, y] = [x, y].map(|bytes| array(&BigUint::from_bytes_be(bytes)));
    Some(Affine { x, y })
}

fn array<const N: usize>(x: &BigUint) -> [u64; N] {
    limbs(x, N).try_into().unwrap()
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

fn check<const N: usize, C: Curve<N>, K: Kernel<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let scalars = scalars::<N, C>();
    let points: Vec<_> = scalars.iter().map(|k| multiple::<N, C>(&big(k))).collect();
    for fill in 1..=K::LANES {
        for (scalars, points) in scalars.chunks(fill).zip(points.chunks(fill)) {
            let multiples = lanes.base_multiples(scalars);
            assert_eq!(multiples.iter().map(|point| point.copied()).collect::<Vec<_>>(), points);
        }
    }
    // Each scalar with a point that belongs to another one, in rotating lanes.
    let pairs: Vec<_> =
        (0..scalars.len()).map(|i| (scalars[i], scalars[(7 * i + 3) % scalars.len()])).collect();
    for fill in [1, K::LANES - 1, K::LANES] {
        for chunk in pairs.chunks(fill) {
            let (ks, ds): (Vec<_>, Vec<_>) = chunk.iter().copied().unzip();
            let points: Vec<_> = ds.iter().map(|d| multiple::<N, C>(&big(d)).unwrap()).collect();
            let multiples = lanes.multiples_x(&ks, &points);
            for ((k, d), found) in chunk.iter().zip(multiples.iter()) {
                let expected = multiple::<N, C>(&(big(k) * big(d)));
                assert_eq!(found.map(|point| point.x), expected.map(|point| point.x), "{k:x?}");
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
    let scalars = scalars::<N, C>();
    // Q = d·G.
    let sum = |u1: BigUint, u2: BigUint, d: BigUint, exceptional| {
        let r = multiple::<N, C>(&(&u1 + &u2 * &d)).map_or([1; N], |point| array(&(big(&point.x) % &n)));
        Sum { u1, u2, q: multiple::<N, C>(&d).unwrap(), r, exceptional }
    };
    let ordinary = (0..scalars.len()).map(|i| {
        let at = |j: usize| big(&scalars[(i + j) % scalars.len()]);
        sum(at(0), at(3), at(5), false)
    });
    let k = big(&scalars[scalars.len() - 1]);
    let [one, two] = [1u8, 2].map(BigUint::from);
    let exceptional = [
        (k.clone(), k.clone(), one.clone()),
        (k.clone(), &n - &k, one.clone()),
        (k.clone(), k.clone(), &n - &one),
        (k.clone(), &n - &k, &n - one),
        // u₂·Q = ±u₁·G for another Q.
        (&k * 2u8 % &n, k.clone(), two.clone()),
        (&n - &k * 2u8 % &n, k, two),
    ];
    ordinary.chain(exceptional.map(|(u1, u2, d)| sum(u1, u2, d, true))).collect()
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

fn check_sums<const N: usize, C: Curve<N>, K: Kernel<C>>(kernel: K) {
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

/// The same with tables. There the order of additions is another one, and so are the exceptional sums: never
/// a wrong verdict, and one wherever two random numbers are added.
fn check_prepared<const N: usize, C: Curve<N>, K: Kernel<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let sums = sums::<N, C>();
    let some = &sums[sums.len() - 10..];
    for make in [PublicTable::small, PublicTable::large] {
        let tables: Vec<_> = some.iter().map(|sum| make(&mut lanes, &sum.q)).collect();
        check_tables(&mut lanes, some, &tables.iter().collect::<Vec<_>>());
    }
}

fn check_tables<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    some: &[Sum<N>],
    tables: &[&PublicTable<C, K>],
) {
    for fill in 1..=K::LANES {
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

/// The scalars whose last digit is added to its opposite in a full batch: there is no result, and so no wrong
/// one.
fn check_exceptional_scalars<K: Kernel<P384>>(kernel: K) {
    let mut lanes = Lanes::<6, P384, K>::new(kernel);
    let scalar = |k: u64| std::array::from_fn(|i| if i == 0 { k } else { 0 });
    for k in [scalar(102), P384::ORDER.neg(&scalar(102))] {
        let mut scalars = vec![scalar(1); K::LANES];
        scalars[1] = k;
        let found: Vec<_> = lanes.base_multiples(&scalars).iter().map(|p| p.is_some()).collect();
        assert!(found.iter().enumerate().all(|(lane, found)| *found == (lane != 1)));
        // Split, they are like any other.
        assert!(lanes.base_multiples(&[k, scalar(1)]).iter().all(|p| p.is_some()));
    }
    for k in [scalar(38), P384::ORDER.neg(&scalar(38))] {
        let found = lanes.multiples_x(&[k, scalar(39)], &[P384::G; 2]);
        assert_eq!(found.iter().map(|p| p.is_some()).collect::<Vec<_>>(), [false, true]);
    }
}

#[test]
fn lanes_exceptional_scalars() {
    with_tier(TierKind::Portable, portable_token(), check_exceptional_scalars);
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), check_exceptional_scalars);
    with_tier(TierKind::AvxIfma, AvxIfma::detect(), check_exceptional_scalars);
    with_tier(TierKind::Avx512Ifma, Avx512Ifma::detect(), check_exceptional_scalars);
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
    ifma_on_plain_words_p256: 4, P256, Some(crate::arch::PlainIfma), TierKind::Portable;
    ifma_on_plain_words_p384: 6, P384, Some(crate::arch::PlainIfma), TierKind::Portable;
    avx2_fma_p256: 4, P256, Avx2Fma::detect(), TierKind::Avx2Fma;
    avx2_fma_p384: 6, P384, Avx2Fma::detect(), TierKind::Avx2Fma;
    avx_ifma_p256: 4, P256, AvxIfma::detect(), TierKind::AvxIfma;
    avx_ifma_p384: 6, P384, AvxIfma::detect(), TierKind::AvxIfma;
    avx512_ifma_p256: 4, P256, Avx512Ifma::detect(), TierKind::Avx512Ifma;
    avx512_ifma_p384: 6, P384, Avx512Ifma::detect(), TierKind::Avx512Ifma;
}

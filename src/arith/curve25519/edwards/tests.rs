//! Every tier against plain affine arithmetic of big integers.

use super::*;
use crate::arch::testing::{Random, with_tier};
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use crate::arith::curve25519::{Job, Ladder, order};
use crate::arith::testing::from_hex;
use fixed_base::Kernel;
use num_bigint::BigUint;

/// An affine point.
#[derive(Clone, Debug, PartialEq)]
struct Affine {
    x: BigUint,
    y: BigUint,
}

fn p() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn big(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64u8) + *limb)
}

fn limbs(x: &BigUint) -> [u64; 4] {
    let digits = x.to_u64_digits();
    std::array::from_fn(|i| digits.get(i).copied().unwrap_or(0))
}

impl Affine {
    fn neutral() -> Self {
        Self { x: BigUint::ZERO, y: 1u8.into() }
    }

    fn base() -> Self {
        Self { x: big(&BASE[0]), y: big(&BASE[1]) }
    }

    /// RFC 8032 §5.1.4's formulas, before they were made projective.
    fn add(&self, other: &Self) -> Self {
        let (d, p) = (big(&D), p());
        let product = &d * &self.x * &other.x * &self.y * &other.y % &p;
        let (above, below) = (1u8 + &product, 1u8 + &p - &product);
        // One inversion for both denominators, which are never zero.
        let inverse = (&above * &below).modinv(&p).expect("the formulas are complete");
        let x = (&self.x * &other.y + &other.x * &self.y) * below * &inverse;
        let y = (&self.y * &other.y + &self.x * &other.x) * above * inverse;
        Self { x: x % &p, y: y % &p }
    }

    fn negate(&self) -> Self {
        Self { x: (p() - &self.x) % p(), y: self.y.clone() }
    }

    fn times(&self, scalar: &BigUint) -> Self {
        let bits = (0..scalar.bits()).rev();
        bits.fold(Self::neutral(), |sum, bit| {
            let twice = sum.add(&sum);
            if scalar.bit(bit) { twice.add(self) } else { twice }
        })
    }

    fn encode(&self) -> [u8; 32] {
        let mut bytes = order::to_bytes(&limbs(&self.y));
        bytes[31] |= (limbs(&self.x)[0] as u8 & 1) << 7;
        bytes
    }

    /// A point of order 8: its multiples are all points of small order.
    fn torsion() -> Self {
        // Its y-coordinate; x = √((y² − 1)/(d·y² + 1)).
        let y = from_hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
        let y = BigUint::from_bytes_le(&y);
        let (p, d, yy) = (p(), big(&D), &y * &y);
        let xx = (&yy + &p - 1u8) * (&d * &yy + 1u8).modpow(&(&p - 2u8), &p) % &p;
        let root = xx.modpow(&((&p + 3u8) >> 3), &p);
        let root = if &root * &root % &p == xx {
            root
        } else {
            root * BigUint::from(2u8).modpow(&((&p - 1u8) >> 2), &p) % &p
        };
        assert_eq!(&root * &root % &p, xx);
        Self { x: root, y }
    }
}

/// Points of every order: 1, 2, 4, 8, L and multiples of L.
fn points() -> Vec<Affine> {
    let (base, torsion) = (Affine::base(), Affine::torsion());
    let small: Vec<_> = (0..8u8).map(|i| torsion.times(&i.into())).collect();
    assert_eq!(small[4], Affine { x: BigUint::ZERO, y: p() - 1u8 });
    assert_eq!(torsion.times(&8u8.into()), Affine::neutral());
    assert_eq!(base.times(&big(&order::L)), Affine::neutral());
    let mut random = Random(8032);
    let drawn = (0..3).map(|_| base.times(&random.below(&big(&order::L)))).collect::<Vec<_>>();
    let mixed = [base.add(&torsion), drawn[0].add(&small[4])];
    small.into_iter().chain([base.clone(), base.negate()]).chain(drawn).chain(mixed).collect()
}

fn write<K: Field25519Lanes>(points: &[Affine]) -> Point<K::Reduced> {
    let mut out = Point::neutral::<K>();
    for (lane, point) in points.iter().enumerate() {
        let t = &point.x * &point.y % p();
        out.set::<K>(lane, &[limbs(&point.x), limbs(&point.y), limbs(&t)]);
    }
    out
}

/// The point of a lane, whose T must belong to it.
fn read<K: Field25519Lanes>(point: &Point<K::Reduced>, lane: usize) -> Affine {
    let [x, y, z, t] = [&point.x, &point.y, &point.z, &point.t].map(|c| big(&K::get(c, lane).to_limbs()));
    assert_ne!(z, BigUint::ZERO);
    assert_eq!(&x * &y % p(), &t * &z % p());
    let inverse = z.modinv(&p()).expect("Z is not zero");
    Affine { x: x * &inverse % p(), y: y * inverse % p() }
}

/// Every pair of points, in every lane, with either sign.
fn check_group_law<K: Kernel>(kernel: K) {
    let points = points();
    let at = |i: usize| points[i % points.len()].clone();
    let mut group = Group::new(kernel);
    let twice_d = constant::<K>(&TWICE_D);
    for first in 0..points.len() {
        for second in 0..points.len() {
            let lanes: Vec<_> = (0..K::LANES).map(|lane| (at(first + lane), at(second + 3 * lane))).collect();
            let (a, b): (Vec<_>, Vec<_>) = lanes.iter().cloned().unzip();
            let mut mask = K::Mask::default();
            let negative = |lane: usize| (first + second * 3 + lane).is_multiple_of(3);
            mask.as_mut()
                .iter_mut()
                .enumerate()
                .for_each(|(i, w)| *w = if negative(i) { u64::MAX } else { 0 });
            let mut doubled = write::<K>(&b);
            let mut sum = write::<K>(&a);
            group.double(&mut doubled, true);
            let (entry, z) = group.entry(&doubled, &twice_d);
            group.add(&mut sum, &entry, Some(&z), &mask);
            for (lane, (a, b)) in lanes.iter().enumerate() {
                let twice = b.add(b);
                assert_eq!(read::<K>(&doubled, lane), twice, "lane {lane}");
                let expected = a.add(&if negative(lane) { twice.negate() } else { twice });
                assert_eq!(read::<K>(&sum, lane), expected, "lane {lane}");
            }
        }
    }
}

fn scalars() -> Vec<BigUint> {
    let (order, mut random) = (big(&order::L), Random(25519));
    let small = [0u8, 1, 2, 3, 31, 32, 63, 64].map(BigUint::from);
    let high = [1u8, 2, 3].map(|i| &order - i);
    let windows = [BigUint::from(1u8) << 251, (BigUint::from(1u8) << 252) - 1u8, &order >> 1];
    let drawn: Vec<_> = (0..6).map(|_| random.below(&order)).collect();
    small.into_iter().chain(high).chain(windows).chain(drawn).collect()
}

fn check_base_multiples<K: Kernel>(kernel: K) {
    let scalars = scalars();
    let expected: Vec<_> = scalars.iter().map(|scalar| Affine::base().times(scalar).encode()).collect();
    let mut multiplier = BaseMultiplier::new(kernel);
    for fill in 1..=K::LANES {
        for first in 0..scalars.len() {
            let chosen: Vec<_> = (0..fill).map(|lane| (first + 5 * lane) % scalars.len()).collect();
            let numbers: Vec<_> = chosen.iter().map(|i| limbs(&scalars[*i])).collect();
            for ((encoding, on_curve), i) in multiplier.points(&numbers).zip(&chosen) {
                assert_eq!(encoding, expected[*i], "{:x}", scalars[*i]);
                assert!(bool::from(on_curve));
            }
        }
    }
}

/// Key shares are what the ladder makes of the base point.
fn check_key_shares<K: Kernel>(kernel: K) {
    let mut random = Random(7748);
    let mut multiplier = BaseMultiplier::new(kernel);
    let mut ladder = Ladder::new(kernel);
    let mut nine = [0; 32];
    nine[0] = 9;
    for round in 0..20 {
        for fill in 1..=K::LANES {
            let scalars: Vec<[u8; 32]> = (0..fill)
                .map(|lane| {
                    let mut bytes = order::to_bytes(&std::array::from_fn(|_| random.word()));
                    // The smallest and the largest clamped scalar.
                    match (round + lane) % 5 {
                        0 => bytes = [0; 32],
                        1 => bytes = [0xff; 32],
                        _ => {}
                    }
                    crate::arith::curve25519::clamp(&mut bytes);
                    bytes
                })
                .collect();
            let jobs: Vec<_> = scalars.iter().map(|scalar| Job { scalar, u: &nine }).collect();
            let expected: Vec<_> = ladder.run(&jobs).map(|u| *u).collect();
            let numbers: Vec<_> = scalars.iter().map(order::from_bytes).collect();
            let shares =
                multiplier.key_shares(&numbers).map(|(u, on_curve)| bool::from(on_curve).then_some(u));
            assert_eq!(shares.collect::<Option<Vec<_>>>(), Some(expected));
        }
    }
}

fn check_combinations<K: Kernel>(kernel: K) {
    let (points, scalars) = (points(), scalars());
    let encodings: Vec<_> = points.iter().map(Affine::encode).collect();
    let mut combiner = Combiner::new(kernel);
    for fill in 1..=K::LANES {
        for first in 0..points.len() {
            let choose = |lane: usize| {
                let (s, h) = (
                    &scalars[(first * 7 + lane) % scalars.len()],
                    &scalars[(first + 3 * lane) % scalars.len()],
                );
                (s, h, (first + lane) % points.len())
            };
            let chosen: Vec<_> = (0..fill).map(choose).collect();
            let jobs: Vec<_> = chosen
                .iter()
                .map(|(s, h, point)| Combination { s: limbs(s), h: limbs(h), a: &encodings[*point] })
                .collect();
            for (result, (s, h, point)) in combiner.run(&jobs).into_iter().zip(chosen) {
                let expected = Affine::base().times(s).add(&points[point].times(h).negate());
                assert_eq!(result, Ok(expected.encode()), "{s:x}, {h:x}, {:?}", points[point]);
            }
        }
    }
}

/// Bytes that encode nothing, in every lane, next to good ones.
fn check_undecodable<K: Kernel>(kernel: K) {
    let p = p();
    let number = |x: BigUint| order::to_bytes(&limbs(&x));
    let signed = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        bytes
    };
    // 2 is no y-coordinate; p, p + 1 and the largest are y-coordinates 0, 1 and 18 written otherwise; −0 is
    // not 0.
    let cases = [
        (number(2u8.into()), Undecodable::NotOnCurve),
        (signed(number(2u8.into())), Undecodable::NotOnCurve),
        (number(p.clone()), Undecodable::NotCanonical),
        (number(&p + 1u8), Undecodable::NotCanonical),
        (signed(number(&p + 1u8)), Undecodable::NotCanonical),
        (number(&p + 18u8), Undecodable::NotCanonical),
        (signed(number(1u8.into())), Undecodable::NotCanonical),
        (signed(number(&p - 1u8)), Undecodable::NotCanonical),
    ];
    let mut combiner = Combiner::new(kernel);
    let good = Affine::base().encode();
    for (bytes, expected) in cases {
        for bad in 0..K::LANES {
            let job = |lane: usize| Combination {
                s: [lane as u64, 0, 0, 0],
                h: [0; 4],
                a: if lane == bad { &bytes } else { &good },
            };
            for (lane, result) in
                combiner.run(&(0..K::LANES).map(job).collect::<Vec<_>>()).into_iter().enumerate()
            {
                match lane == bad {
                    true => assert_eq!(result, Err(expected), "{bytes:x?}"),
                    false => assert_eq!(result, Ok(Affine::base().times(&lane.into()).encode())),
                }
            }
        }
    }
}

/// A point off the curve is noticed.
fn check_off_curve<K: Kernel>(kernel: K) {
    let mut points: Vec<_> = (1..=K::LANES).map(|i| Affine::base().times(&i.into())).collect();
    points[K::LANES - 1].x += 1u8;
    let written = write::<K>(&points);
    for (lane, (_, on_curve)) in codec::encode_points::<K>(&written, K::LANES).enumerate() {
        assert_eq!(bool::from(on_curve), lane + 1 < K::LANES);
    }
    for (lane, (_, on_curve)) in codec::encode_u::<K>(kernel, &written, K::LANES).enumerate() {
        assert_eq!(bool::from(on_curve), lane + 1 < K::LANES);
    }
    // All zeros satisfy the equation, and are no point.
    let nothing =
        Point { x: K::Reduced::default(), y: K::Reduced::default(), z: K::Reduced::default(), ..written };
    assert!(codec::encode_u::<K>(kernel, &nothing, K::LANES).all(|(_, on_curve)| !bool::from(on_curve)));
}

fn portable() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

macro_rules! edwards_tests {
    ($module:ident, $kind:expr, $token:expr, [$($test:ident: $check:ident),*]) => {
        mod $module {
            use super::*;

            $(#[test]
            fn $test() {
                with_tier($kind, $token, $check);
            })*
        }
    };
    ($module:ident, $kind:expr, $token:expr) => {
        edwards_tests!($module, $kind, $token, [
            lanes_group_law: check_group_law,
            lanes_base_multiples: check_base_multiples,
            lanes_key_shares: check_key_shares,
            lanes_combinations: check_combinations,
            lanes_undecodable: check_undecodable,
            lanes_off_curve: check_off_curve
        ]);
    };
}

edwards_tests!(portable, TierKind::Portable, portable());
#[cfg(lanes)]
edwards_tests!(ifma_on_plain_words, TierKind::Portable, Some(crate::arch::PlainIfma));
edwards_tests!(avx2_fma, TierKind::Avx2Fma, Avx2Fma::detect());
edwards_tests!(avx_ifma, TierKind::AvxIfma, AvxIfma::detect());
edwards_tests!(avx512_ifma, TierKind::Avx512Ifma, Avx512Ifma::detect());

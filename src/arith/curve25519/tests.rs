use super::Ladder;
use super::ladder::Job;
use crate::arch::field25519::Field25519Lanes;
use crate::arch::testing::with_tier;
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use crate::arith::testing::from_hex;

fn portable() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

fn run<K: Field25519Lanes>(ladder: &mut Ladder<K>, pairs: &[([u8; 32], [u8; 32])]) -> Vec<[u8; 32]> {
    let jobs: Vec<_> = pairs.iter().map(|(scalar, u)| Job { scalar, u }).collect();
    ladder.run(&jobs).map(|result| *result).collect()
}

/// RFC 7748 §5.2, the two test vectors: in every pair of lanes.
fn check_vectors<K: Field25519Lanes>(tier: K) {
    let vectors = [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ]
    .map(|vector| vector.map(|hex| <[u8; 32]>::try_from(from_hex(hex)).unwrap()));
    let mut ladder = Ladder::new(tier);
    for fill in 1..=K::LANES {
        for choice in 0..1usize << fill {
            let chosen: Vec<_> = (0..fill).map(|lane| vectors[choice >> lane & 1]).collect();
            let pairs: Vec<_> = chosen.iter().map(|[scalar, u, _]| (*scalar, *u)).collect();
            let expected: Vec<_> = chosen.iter().map(|[.., result]| *result).collect();
            assert_eq!(run(&mut ladder, &pairs), expected);
        }
    }
}

/// RFC 7748 §5.2, the iterated test, in all lanes.
fn iterate<K: Field25519Lanes>(tier: K, iterations: usize, expected: &str) {
    let mut start = [0; 32];
    start[0] = 9;
    let mut pairs = vec![(start, start); K::LANES];
    let mut ladder = Ladder::new(tier);
    for _ in 0..iterations {
        let results = run(&mut ladder, &pairs);
        for ((scalar, u), result) in pairs.iter_mut().zip(results) {
            (*u, *scalar) = (*scalar, result);
        }
    }
    for (scalar, _) in pairs {
        assert_eq!(scalar[..], from_hex(expected), "after {iterations}");
    }
}

const ONE: &str = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
const THOUSAND: &str = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
const MILLION: &str = "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424";

macro_rules! ladder_tests {
    ($module:ident, $kind:expr, $token:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn lanes_rfc7748_vectors() {
                with_tier($kind, $token, check_vectors);
            }

            #[test]
            fn lanes_rfc7748_iterated() {
                with_tier($kind, $token, |tier| iterate(tier, 1, ONE));
                with_tier($kind, $token, |tier| iterate(tier, 1000, THOUSAND));
            }

            #[test]
            #[ignore = "a million batches take a minute in release"]
            fn lanes_rfc7748_iterated_a_million_times() {
                with_tier($kind, $token, |tier| iterate(tier, 1_000_000, MILLION));
            }
        }
    };
}

ladder_tests!(portable, TierKind::Portable, portable());
#[cfg(lanes)]
ladder_tests!(ifma_on_plain_words, TierKind::Portable, Some(crate::arch::PlainIfma));
ladder_tests!(avx2_fma, TierKind::Avx2Fma, Avx2Fma::detect());
ladder_tests!(avx_ifma, TierKind::AvxIfma, AvxIfma::detect());
ladder_tests!(avx512_ifma, TierKind::Avx512Ifma, Avx512Ifma::detect());

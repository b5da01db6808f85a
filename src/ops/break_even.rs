//! The fills from which lanes are worth their fixed price.
//!
//! A batch costs the same however many of its lanes are filled, so below some fill aws-lc-rs is faster one by one.
//! The fills are measured with `handshake-bench ops`; `benches/record/` has the figures.

use super::{Family, Op};
use crate::arch::TierKind;

/// The smallest fill that runs in lanes: from there on they are not slower, shared core or not.
pub(super) fn fill(tier: TierKind, op: Op) -> usize {
    match (tier, op) {
        // Multiplications of fixed points are split: a request alone has all lanes, and costs less than one in
        // aws-lc-rs, but for those on curve25519, which are short and cost as much.
        (TierKind::Avx2Fma, Op::X25519Keygen | Op::Ed25519Sign) => 2,
        (
            _,
            Op::X25519Keygen
            | Op::Ed25519Sign
            | Op::P256Sign
            | Op::P256VerifyKnown
            | Op::P256Keygen
            | Op::P384Sign
            | Op::P384VerifyKnown
            | Op::P384Keygen,
        ) => 1,
        // aws-lc-rs uses IFMA for RSA where AVX-512 has it: one signature of four is not worth a batch.
        (TierKind::Avx512Ifma, Op::RsaSign2048 | Op::RsaSign3072 | Op::RsaSign4096) => 2,
        // A batch of two costs about 0.9 of one signature, but 1.1 and more while somebody else uses the same core: aws-lc-rs
        // leaves execution units idle that the other then has, and lanes leave none.
        (TierKind::Avx2Fma, Op::RsaSign2048 | Op::RsaSign3072 | Op::RsaSign4096) => 2,
        // Here a batch of four costs a little more than two operations,
        (TierKind::Avx2Fma, Op::Ed25519Verify) => 3,
        // and here one and a half to two.
        (TierKind::Avx2Fma, _) => 2,
        // No machine with IFMA was at hand: calculated from the instructions of a batch (`ops::counts`), two a cycle,
        // and from what aws-lc-rs takes for one operation.
        (TierKind::Avx512Ifma | TierKind::AvxIfma, Op::X25519) => 2,
        (TierKind::Avx512Ifma | TierKind::AvxIfma, op) if op.family() != Family::Rsa => 3,
        _ => 1,
    }
}

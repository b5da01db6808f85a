//! The operations, as one table.

use crate::arch::TierKind;

/// Operations that share kernels and their workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    Curve25519,
    P256,
    P384,
}

/// What is said of an operation in the table.
struct Row {
    name: &'static str,
    family: Family,
    /// Lanes that one request takes.
    lanes: usize,
    /// The smallest fill that runs in lanes, on AVX2 with FMA, on AVX-IFMA, and on AVX-512 with IFMA.
    break_even: [usize; 3],
}

macro_rules! operations {
    ($($(#[$doc:meta])* $op:ident: $name:literal, $family:ident, $lanes:literal, $break_even:expr;)*) => {
        /// An operation and its size: requests of one `Op` can share a batch, whatever their keys.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Op {
            $($(#[$doc])* $op,)*
        }

        impl Op {
            /// Every operation, indexed by [`Op::index`].
            pub const ALL: &'static [Self] = &[$(Self::$op),*];

            const fn row(self) -> Row {
                match self {
                    $(Self::$op => Row {
                        name: $name,
                        family: Family::$family,
                        lanes: $lanes,
                        break_even: $break_even,
                    },)*
                }
            }
        }
    };
}

// A batch costs much the same however many of its lanes are filled, so below some fill aws-lc-rs is faster
// one by one. From the fills here on lanes are not slower, shared core or not, until an engine has measured
// its own batches (`timings`). Those on AVX2 with FMA (Zen 3) and on AVX-512 with IFMA (Zen 4) are measured
// with `handshake-bench ops`; `benches/record/` has the figures. No machine with AVX-IFMA was at hand: there
// they are calculated from the instructions of a batch (`ops::counts`), two a cycle, and from what aws-lc-rs
// takes for one operation.
operations! {
    // A batch of two signatures costs about 0.9 of one, but 1.1 and more while somebody else uses the same
    // core: aws-lc-rs leaves execution units idle that the other then has, and lanes leave none. aws-lc-rs
    // uses IFMA for RSA where AVX-512 has it: a batch of signatures costs two and a half of one there, and a
    // batch of verifications one and two thirds.

    /// RSA private operation with a 2048-bit modulus (any padding, any hash).
    RsaSign2048: "rsa2048-sign", Rsa, 2, [2, 1, 3];
    /// RSA private operation with a 3072-bit modulus.
    RsaSign3072: "rsa3072-sign", Rsa, 2, [2, 1, 3];
    /// RSA private operation with a 4096-bit modulus.
    RsaSign4096: "rsa4096-sign", Rsa, 2, [2, 1, 3];
    /// Verification of an RSA signature with a 2048-bit modulus (any padding, hash and exponent).
    RsaVerify2048: "rsa2048-verify", Rsa, 1, [2, 1, 2];
    /// Verification of an RSA signature with a 3072-bit modulus.
    RsaVerify3072: "rsa3072-verify", Rsa, 1, [2, 1, 2];
    /// Verification of an RSA signature with a 4096-bit modulus.
    RsaVerify4096: "rsa4096-verify", Rsa, 1, [2, 1, 2];

    // Multiplications of fixed points are split: a request alone has all lanes, and costs less than one in
    // aws-lc-rs, but for those on curve25519, which are short and cost as much. A batch of other
    // operations costs there one and a half to two operations, and one of Ed25519's verifications a little
    // more than two.

    // A server's whole key exchange has its seat among the agreements; its key pair is made just before them.

    /// X25519 key agreement, whole key exchanges included.
    X25519: "x25519", Curve25519, 1, [2, 2, 3];
    /// Generation of an X25519 key pair, such as a client's key share.
    X25519Keygen: "x25519-keygen", Curve25519, 1, [2, 1, 2];
    /// An Ed25519 signature.
    Ed25519Sign: "ed25519-sign", Curve25519, 1, [2, 1, 2];
    /// Verification of an Ed25519 signature.
    Ed25519Verify: "ed25519-verify", Curve25519, 1, [3, 3, 3];
    /// ECDSA signature with P-256 and SHA-256.
    P256Sign: "p256-sign", P256, 1, [1, 1, 1];
    /// Verification of an ECDSA signature with P-256 (any hash).
    P256Verify: "p256-verify", P256, 1, [2, 3, 3];
    /// The same with a public key that was seen often.
    P256VerifyKnown: "p256-verify-known-key", P256, 1, [1, 1, 1];
    /// ECDH key agreement with P-256, whole key exchanges included.
    P256Ecdh: "p256-ecdh", P256, 1, [2, 3, 3];
    /// Generation of a P-256 key pair.
    P256Keygen: "p256-keygen", P256, 1, [1, 1, 1];
    /// ECDSA signature with P-384 and SHA-384.
    P384Sign: "p384-sign", P384, 1, [1, 1, 1];
    /// Verification of an ECDSA signature with P-384 (any hash).
    P384Verify: "p384-verify", P384, 1, [2, 3, 3];
    /// The same with a public key that was seen often.
    P384VerifyKnown: "p384-verify-known-key", P384, 1, [1, 1, 1];
    /// ECDH key agreement with P-384, whole key exchanges included.
    P384Ecdh: "p384-ecdh", P384, 1, [2, 3, 3];
    /// Generation of a P-384 key pair.
    P384Keygen: "p384-keygen", P384, 1, [1, 1, 1];
}

impl Op {
    /// The position in [`Op::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in metrics and reports, such as `rsa2048-sign`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    pub(super) fn family(self) -> Family {
        self.row().family
    }

    /// How many requests fill so many lanes; 1 for the one lane of a tier without.
    pub(super) fn capacity(self, lanes: usize) -> usize {
        (lanes / self.row().lanes).max(1)
    }

    /// The smallest fill that runs in lanes.
    pub(super) fn break_even(self, tier: TierKind) -> usize {
        let [avx2_fma, avx_ifma, avx512_ifma] = self.row().break_even;
        match tier {
            TierKind::Avx2Fma => avx2_fma,
            TierKind::AvxIfma => avx_ifma,
            TierKind::Avx512Ifma => avx512_ifma,
            TierKind::Scalar | TierKind::Portable => 1,
        }
    }
}

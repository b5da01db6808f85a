//! Which CPU features a batch may use, and the proof that they are there.

use std::fmt;
use std::str::FromStr;

/// Expands to whether this CPU *and* its operating system offer every named feature; `false` off x86-64.
macro_rules! have {
    ($($feature:tt),+) => {{
        #[cfg(lanes)]
        { $(std::arch::is_x86_feature_detected!($feature))&&+ }
        #[cfg(not(lanes))]
        { false }
    }};
}

/// Whether this CPU has instructions for AES, and for SHA-256, that aws-lc uses.
pub(crate) fn crypto_instructions() -> [bool; 2] {
    #[cfg(target_arch = "aarch64")]
    {
        [std::arch::is_aarch64_feature_detected!("aes"), std::arch::is_aarch64_feature_detected!("sha2")]
    }
    #[cfg(not(target_arch = "aarch64"))]
    {
        [have!("aes", "pclmulqdq"), have!("sha")]
    }
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $detected:expr) => {
        $(#[$doc])*
        ///
        /// A value exists only where its features were detected: kernels take it as the proof.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// The proof, if this CPU and operating system have every feature that the tier uses.
            pub fn detect() -> Option<Self> {
                $detected.then_some(Self(()))
            }
        }
    };
}

token!(
    /// AVX-512 with IFMA: 8 lanes of 52-bit limbs (Ice Lake server, Sapphire Rapids, Zen 4 and later).
    Avx512Ifma,
    have!("avx512f", "avx512ifma", "avx512vl", "avx512dq", "avx512bw", "bmi2", "adx")
);
token!(
    /// AVX-IFMA, the VEX encoding without AVX-512: 4 lanes of 52-bit limbs (Alder Lake-N, Arrow Lake, Sierra
    /// Forest and later).
    AvxIfma,
    have!("avx2", "avxifma", "bmi2", "adx")
);
token!(
    /// AVX2 and FMA: 4 lanes of digits held exactly in doubles (Haswell, Zen and later).
    Avx2Fma,
    have!("avx2", "fma", "bmi2")
);
token!(
    /// The executable specification: plain Rust, any CPU, no claim to speed. Kernels are compared with it.
    Portable,
    true
);

/// A tier, with the proof that this machine can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// 8 lanes, AVX-512 IFMA.
    Avx512Ifma(Avx512Ifma),
    /// 4 lanes, AVX-IFMA.
    AvxIfma(AvxIfma),
    /// 4 lanes, AVX2 and FMA.
    Avx2Fma(Avx2Fma),
    /// No lanes: aws-lc-rs, one operation at a time.
    Scalar,
    /// The executable specification, for tests: never chosen by detection.
    Portable(Portable),
}

/// A tier's name, without the proof: what configuration and reports speak of.
///
/// Ordered by preference, the best last; [`TierKind::Portable`] is below all, because it is for tests only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TierKind {
    /// The executable specification, for tests: never chosen by detection.
    Portable,
    /// No lanes: aws-lc-rs, one operation at a time.
    Scalar,
    /// 4 lanes: AVX2 and FMA.
    Avx2Fma,
    /// 4 lanes: AVX-IFMA.
    AvxIfma,
    /// 8 lanes: AVX-512 IFMA.
    Avx512Ifma,
}

impl TierKind {
    /// Every tier that detection may choose, best first.
    pub const DETECTABLE: &[Self] = &[Self::Avx512Ifma, Self::AvxIfma, Self::Avx2Fma, Self::Scalar];

    /// How many tiers there are, for tables indexed by `kind as usize`.
    pub(crate) const COUNT: usize = 5;

    /// The name used in configuration, reports and metrics, such as `avx512-ifma`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Ifma => "avx512-ifma",
            Self::AvxIfma => "avx-ifma",
            Self::Avx2Fma => "avx2-fma",
            Self::Scalar => "scalar",
            Self::Portable => "portable",
        }
    }

    /// How many operations on a curve run side by side; an RSA signature takes two of these lanes.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Avx512Ifma => 8,
            Self::AvxIfma | Self::Avx2Fma | Self::Portable => 4,
            Self::Scalar => 1,
        }
    }
}

impl fmt::Display for TierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TierKind {
    type Err = UnknownTier;

    fn from_str(s: &str) -> Result<Self, UnknownTier> {
        let known = [Self::Avx512Ifma, Self::AvxIfma, Self::Avx2Fma, Self::Scalar, Self::Portable];
        known.into_iter().find(|k| k.name() == s).ok_or_else(|| UnknownTier(s.to_owned()))
    }
}

/// No tier has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTier(String);

impl fmt::Display for UnknownTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = "avx512-ifma, avx-ifma, avx2-fma, scalar, portable";
        write!(f, "unknown tier {:?}; known are {known}", self.0)
    }
}

impl std::error::Error for UnknownTier {}

/// What detection chose, and why every better tier was passed over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detection {
    /// The chosen tier.
    pub tier: Tier,
    /// The better tiers, best first, each with the reason why it was not chosen.
    pub passed_over: Vec<(TierKind, &'static str)>,
}

impl Tier {
    /// The best tier of this machine.
    pub fn detect() -> Self {
        Self::detect_up_to(TierKind::Avx512Ifma).tier
    }

    /// The best tier of this machine that is not above `max`, with the reasons against the better ones.
    ///
    /// A `max` of [`TierKind::Portable`] gives [`Tier::Scalar`]: the specification is never chosen for work.
    pub fn detect_up_to(max: TierKind) -> Detection {
        let mut passed_over = Vec::new();
        for kind in TierKind::DETECTABLE.iter().copied() {
            if kind > max && kind != TierKind::Scalar {
                passed_over.push((kind, "above the configured max_tier"));
            } else if let Some(tier) = Self::of_kind(kind) {
                return Detection { tier, passed_over };
            } else {
                passed_over.push((kind, "not offered by this CPU or operating system"));
            }
        }
        Detection { tier: Self::Scalar, passed_over }
    }

    /// The tier of that name, if this machine can run it.
    pub fn of_kind(kind: TierKind) -> Option<Self> {
        match kind {
            TierKind::Avx512Ifma => Self::avx512_ifma(),
            TierKind::AvxIfma => Self::avx_ifma(),
            TierKind::Avx2Fma => Self::avx2_fma(),
            TierKind::Scalar => Some(Self::Scalar),
            TierKind::Portable => Some(Self::portable()),
        }
    }

    /// [`Tier::Avx512Ifma`], if this machine can run it.
    pub fn avx512_ifma() -> Option<Self> {
        Avx512Ifma::detect().map(Self::Avx512Ifma)
    }

    /// [`Tier::AvxIfma`], if this machine can run it.
    pub fn avx_ifma() -> Option<Self> {
        AvxIfma::detect().map(Self::AvxIfma)
    }

    /// [`Tier::Avx2Fma`], if this machine can run it.
    pub fn avx2_fma() -> Option<Self> {
        Avx2Fma::detect().map(Self::Avx2Fma)
    }

    /// [`Tier::Portable`]: every machine can run it.
    pub fn portable() -> Self {
        Self::Portable(Portable(()))
    }

    /// The tier's name.
    pub fn kind(self) -> TierKind {
        match self {
            Self::Avx512Ifma(_) => TierKind::Avx512Ifma,
            Self::AvxIfma(_) => TierKind::AvxIfma,
            Self::Avx2Fma(_) => TierKind::Avx2Fma,
            Self::Scalar => TierKind::Scalar,
            Self::Portable(_) => TierKind::Portable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in TierKind::DETECTABLE.iter().copied() {
            assert_eq!(kind.name().parse::<TierKind>(), Ok(kind));
        }
        assert!("avx9".parse::<TierKind>().is_err());
    }

    #[test]
    fn detection_explains_itself_and_obeys_the_maximum() {
        for max in TierKind::DETECTABLE.iter().copied() {
            let found = Tier::detect_up_to(max);
            assert!(found.tier.kind() <= max);
            let better = TierKind::DETECTABLE.iter().filter(|k| **k > found.tier.kind()).count();
            assert_eq!(found.passed_over.len(), better);
        }
        assert_eq!(Tier::detect_up_to(TierKind::Portable).tier, Tier::Scalar);
    }

    /// On emulated CPUs, whose features are known, the chosen tier is, too.
    #[test]
    fn the_expected_tier_is_chosen() {
        if let Ok(expected) = std::env::var("EXPECT_TIER") {
            assert_eq!(Tier::detect().kind().name(), expected);
        }
    }
}

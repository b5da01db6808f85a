//! The parameters of operations: curves, hash functions, paddings.

/// A curve of SP 800-186 that lanes serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NistCurve {
    /// P-256, also known as secp256r1 and prime256v1.
    P256,
    /// P-384, also known as secp384r1.
    P384,
}

impl NistCurve {
    /// The length of a coordinate, a scalar and a shared secret, in bytes.
    pub fn scalar_len(self) -> usize {
        8 * self.limbs()
    }

    /// The length of a public key in the uncompressed encoding, in bytes.
    pub fn public_key_len(self) -> usize {
        1 + 2 * self.scalar_len()
    }

    /// The length of a coordinate and a scalar, in limbs.
    pub(super) fn limbs(self) -> usize {
        match self {
            Self::P256 => 4,
            Self::P384 => 6,
        }
    }

    /// The hash function that TLS 1.3 pairs with the curve (RFC 8446 §4.2.3); nonces are derived with it,
    /// too.
    pub fn hash(self) -> Hash {
        match self {
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
        }
    }
}

/// A group of a key exchange (RFC 8446 §4.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Group {
    /// X25519 (RFC 7748).
    X25519,
    /// ECDH over P-256, secp256r1.
    P256,
    /// ECDH over P-384, secp384r1.
    P384,
}

impl Group {
    /// The length of a private key and of a shared secret, in bytes.
    pub fn secret_len(self) -> usize {
        self.nist().map_or(32, NistCurve::scalar_len)
    }

    /// The length of a key share, in bytes.
    pub fn public_key_len(self) -> usize {
        self.nist().map_or(32, NistCurve::public_key_len)
    }

    /// The curve, if it is one of NIST's.
    pub(super) fn nist(self) -> Option<NistCurve> {
        match self {
            Self::X25519 => None,
            Self::P256 => Some(NistCurve::P256),
            Self::P384 => Some(NistCurve::P384),
        }
    }
}

impl From<NistCurve> for Group {
    fn from(curve: NistCurve) -> Self {
        match curve {
            NistCurve::P256 => Self::P256,
            NistCurve::P384 => Self::P384,
        }
    }
}

/// A hash function of signatures (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The longest output of a [`Hash`], in bytes.
pub(super) const MAX_HASH_LEN: usize = 64;

impl Hash {
    /// The output's length in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The block's length in bytes.
    pub(super) fn block_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }
}

/// How a message becomes the number that an RSA key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Pkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with the same hash, a salt as long as the hash.
    PssSha256,
    /// RSASSA-PSS with SHA-384, likewise.
    PssSha384,
    /// RSASSA-PSS with SHA-512, likewise.
    PssSha512,
}

impl Padding {
    /// The hash of the message and, for PSS, of the mask generation function.
    pub(super) fn hash(self) -> Hash {
        match self {
            Self::Pkcs1Sha256 | Self::PssSha256 => Hash::Sha256,
            Self::Pkcs1Sha384 | Self::PssSha384 => Hash::Sha384,
            Self::Pkcs1Sha512 | Self::PssSha512 => Hash::Sha512,
        }
    }

    /// The length of the salt in bytes: that of the hash for PSS, 0 for PKCS#1 v1.5.
    pub(super) fn salt_len(self) -> usize {
        match self {
            Self::Pkcs1Sha256 | Self::Pkcs1Sha384 | Self::Pkcs1Sha512 => 0,
            Self::PssSha256 | Self::PssSha384 | Self::PssSha512 => self.hash().len(),
        }
    }
}

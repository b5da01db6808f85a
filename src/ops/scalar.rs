//! The scalar twins: the same operations through aws-lc-rs, one at a time. The only module that names it.

use crate::error::{Error, KeyError};
use crate::ops::SharedSecret;
use crate::ops::kinds::{Group, Hash, NistCurve, Padding};
use aws_lc_rs::agreement;
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair, RsaParameters, UnparsedPublicKey,
};
use zeroize::Zeroizing;

/// The moduli that aws-lc-rs signs and verifies with, in bits.
pub(crate) const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest public exponent that aws-lc accepts, in bits: a bound on the cost of hostile keys.
pub(crate) const RSA_EXPONENT_BITS: usize = 33;

fn digest_algorithm(hash: Hash) -> &'static digest::Algorithm {
    match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    }
}

/// `out` = hash of `data`; `out` is as long as the hash.
pub(crate) fn digest(hash: Hash, data: &[u8], out: &mut [u8]) {
    out.copy_from_slice(digest::digest(digest_algorithm(hash), data).as_ref());
}

/// `out` = SHA-512 of `parts`, one after the other.
pub(crate) fn sha512(parts: &[&[u8]], out: &mut [u8; 64]) {
    let mut context = digest::Context::new(&digest::SHA512);
    parts.iter().for_each(|part| context.update(part));
    out.copy_from_slice(context.finish().as_ref());
}

/// Fills `out` from aws-lc's generator, which the operating system seeds.
///
/// # Errors
/// [`Error::Random`] when it fails.
pub(crate) fn random(out: &mut [u8]) -> Result<(), Error> {
    SystemRandom::new().fill(out).map_err(|_| Error::Random)?;
    #[cfg(test)]
    crate::arch::memcheck::drawn(out);
    Ok(())
}

/// Has aws-lc's generator seeded. The first time in a process it gathers entropy for it, for 30 to 70 ms,
/// which otherwise the first handshake waits for. A failure shows again when random numbers are wanted.
pub(crate) fn seed() {
    let _ = SystemRandom::new().fill(&mut [0]);
}

/// An RSA private key inside aws-lc-rs.
pub(crate) struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// Imports PKCS#1 `RSAPrivateKey` DER; aws-lc-rs does consistency checks of its own.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        RsaKeyPair::from_der(der).map(Self).map_err(|_| KeyError::Scalar)
    }

    /// Signs `message`; randomness is aws-lc-rs' own.
    pub(crate) fn sign(&self, padding: Padding, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding(padding), &SystemRandom::new(), message, &mut out).map_err(|_| Error::Scalar)?;
        Ok(out)
    }
}

fn encoding(padding: Padding) -> &'static dyn RsaEncoding {
    match padding {
        Padding::Pkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
        Padding::Pkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
        Padding::Pkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
        Padding::PssSha256 => &signature::RSA_PSS_SHA256,
        Padding::PssSha384 => &signature::RSA_PSS_SHA384,
        Padding::PssSha512 => &signature::RSA_PSS_SHA512,
    }
}

/// An ECDSA private key inside aws-lc-rs.
pub(crate) struct EcdsaKey(EcdsaKeyPair);

impl EcdsaKey {
    /// Imports a private key, big-endian, and its public key, uncompressed; aws-lc-rs checks that they belong
    /// together.
    pub(crate) fn new(curve: NistCurve, private: &[u8], public: &[u8]) -> Result<Self, KeyError> {
        let algorithm = match curve {
            NistCurve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            NistCurve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public);
        pair.map(Self).map_err(|_| KeyError::PublicKey)
    }

    /// Signs a message with the given hash; randomness is aws-lc-rs' own.
    pub(crate) fn sign(&self, m_hash: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = match self.0.algorithm() {
            a if a == &signature::ECDSA_P256_SHA256_ASN1_SIGNING => &digest::SHA256,
            _ => &digest::SHA384,
        };
        let digest = Digest::import_less_safe(m_hash, algorithm).map_err(|_| Error::Scalar)?;
        self.0.sign_digest(&digest).map(|s| s.as_ref().to_vec()).map_err(|_| Error::Scalar)
    }
}

/// Verifies the ECDSA signature (DER) of the message with the hash `m_hash`, with a public key in any
/// encoding that aws-lc-rs reads.
///
/// # Errors
/// [`Error::InvalidSignature`] when it is not valid, or when aws-lc-rs does not accept the key.
pub(crate) fn verify_ecdsa(
    (curve, hash): (NistCurve, Hash),
    public_key: &[u8],
    m_hash: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let algorithm = match (curve, hash) {
        (NistCurve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (NistCurve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (NistCurve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (NistCurve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (NistCurve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (NistCurve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
    };
    let digest = Digest::import_less_safe(m_hash, digest_algorithm(hash)).map_err(|_| Error::Scalar)?;
    let key = UnparsedPublicKey::new(algorithm, public_key);
    key.verify_digest(&digest, signature).map_err(|_| Error::InvalidSignature)
}

/// The private key of a key exchange inside aws-lc-rs.
pub(crate) struct AgreementKey(agreement::PrivateKey);

fn agreement_algorithm(group: Group) -> &'static agreement::Algorithm {
    match group {
        Group::X25519 => &agreement::X25519,
        Group::P256 => &agreement::ECDH_P256,
        Group::P384 => &agreement::ECDH_P384,
    }
}

impl AgreementKey {
    /// Generates a key; randomness is aws-lc-rs' own.
    pub(crate) fn generate(group: Group) -> Result<Self, Error> {
        agreement::PrivateKey::generate(agreement_algorithm(group)).map(Self).map_err(|_| Error::Random)
    }

    /// Imports a private key: 32 bytes for X25519, a big-endian scalar for the other groups. aws-lc-rs
    /// computes the public key on the way.
    pub(crate) fn from_bytes(group: Group, bytes: &[u8]) -> Result<Self, Error> {
        agreement::PrivateKey::from_private_key(agreement_algorithm(group), bytes)
            .map(Self)
            .map_err(|_| Error::Scalar)
    }

    /// The private key, as it is imported.
    pub(crate) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let copied = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        let bytes = if self.0.algorithm() == &agreement::X25519 {
            AsBigEndian::<Curve25519SeedBin<'_>>::as_be_bytes(&self.0).map(|bytes| copied(bytes.as_ref()))
        } else {
            AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&self.0).map(|bytes| copied(bytes.as_ref()))
        };
        bytes.map_err(|_| Error::Scalar)
    }

    /// The public key: the u-coordinate, or the uncompressed encoding of the point.
    pub(crate) fn public(&self) -> Result<Vec<u8>, Error> {
        self.0.compute_public_key().map(|key| key.as_ref().to_vec()).map_err(|_| Error::Scalar)
    }

    /// The shared secret; [`Error::PeerKey`] when aws-lc-rs refuses the peer's key, or when the secret is
    /// zero.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = agreement::UnparsedPublicKey::new(self.0.algorithm(), peer);
        agreement::agree(&self.0, peer, Error::PeerKey, |secret| Ok(SharedSecret::copied_from(secret)))
    }
}

/// An Ed25519 private key inside aws-lc-rs.
pub(crate) struct Ed25519Key(Ed25519KeyPair);

impl Ed25519Key {
    /// Imports a private key (RFC 8032 §5.1.5). aws-lc-rs computes the public key on the way.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(bytes).map(Self).map_err(|_| KeyError::Scalar)
    }

    /// The public key.
    pub(crate) fn public(&self) -> Result<[u8; 32], KeyError> {
        self.0.public_key().as_ref().try_into().map_err(|_| KeyError::Scalar)
    }

    /// Signs `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(|_| Error::Scalar)
    }
}

/// Verifies the Ed25519 signature of a message with a public key as RFC 8032 §5.1.2 encodes it.
///
/// # Errors
/// [`Error::InvalidSignature`] when it is not valid, or when aws-lc-rs does not accept the key.
pub(crate) fn verify_ed25519(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let key = UnparsedPublicKey::new(&signature::ED25519, public_key);
    key.verify(message, signature).map_err(|_| Error::InvalidSignature)
}

/// Verifies the RSA signature of the message with the hash `m_hash`, with a public key in the encoding
/// `RSAPublicKey` (RFC 8017 appendix A.1.1), DER.
///
/// # Errors
/// [`Error::InvalidSignature`] when it is not valid, or when aws-lc-rs does not accept the key.
pub(crate) fn verify_rsa(
    padding: Padding,
    public_key: &[u8],
    m_hash: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let digest =
        Digest::import_less_safe(m_hash, digest_algorithm(padding.hash())).map_err(|_| Error::Scalar)?;
    let key = UnparsedPublicKey::new(parameters(padding), public_key);
    key.verify_digest(&digest, signature).map_err(|_| Error::InvalidSignature)
}

fn parameters(padding: Padding) -> &'static RsaParameters {
    match padding {
        Padding::Pkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Padding::Pkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Padding::Pkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Padding::PssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Padding::PssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Padding::PssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
    }
}

/// Verifies the signature of a message with the public key (n, e), both big-endian without leading zeros.
#[cfg(test)]
pub(crate) fn verify_components(
    padding: Padding,
    (n, e): (&[u8], &[u8]),
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let key = signature::RsaPublicKeyComponents { n, e };
    key.verify(parameters(padding), message, signature).map_err(|_| Error::InvalidSignature)
}

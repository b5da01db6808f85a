//! Private keys of SVIDs and authorities.

use super::AuthorityError;
use crate::spiffe::SvidKey;
use pkcs8::{PrivateKeyInfo, SecretDocument};
use rcgen::{KeyPair, RsaKeySize};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What kind of key an SVID or an authority has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA with 2048 bits. Making one takes a tenth of a second and more.
    Rsa2048,
    /// ECDSA with P-256, SPIRE's default.
    #[default]
    P256,
    /// ECDSA with P-384.
    P384,
    /// EdDSA over Curve25519.
    Ed25519,
}

impl KeyKind {
    /// A new key pair.
    pub(super) fn generate(self) -> Result<KeyPair, AuthorityError> {
        let pair = match self {
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        pair.map_err(AuthorityError::issuing)
    }
}

/// The private key in the first version of PKCS #8, which is the only one that every workload reads.
pub(super) fn export(pair: &KeyPair) -> Result<SvidKey, AuthorityError> {
    let mut info = PrivateKeyInfo::try_from(pair.serialized_der()).map_err(AuthorityError::issuing)?;
    info.public_key = None;
    let document = SecretDocument::encode_msg(&info).map_err(AuthorityError::issuing)?;
    Ok(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec())).into())
}

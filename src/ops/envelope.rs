//! The envelope that private keys of every kind come in: `PrivateKeyInfo` (PKCS#8, RFC 5208) and its second
//! version, the `OneAsymmetricKey` of RFC 5958, which may carry the public key beside the private one.

use crate::error::KeyError;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};

/// rsaEncryption (RFC 8017 appendix A.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519 (RFC 8410 §3).
pub(super) const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Whose importer reads the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa,
    Ecdsa,
    Ed25519,
}

/// The kind of key in an envelope; [`KeyError::Algorithm`] for one that is not imported here.
pub(crate) fn algorithm(der: &[u8]) -> Result<Algorithm, KeyError> {
    match read(der)?.algorithm.oid {
        RSA_ENCRYPTION => Ok(Algorithm::Rsa),
        EC_PUBLIC_KEY => Ok(Algorithm::Ecdsa),
        ID_ED25519 => Ok(Algorithm::Ed25519),
        _ => Err(KeyError::Algorithm),
    }
}

/// The envelope's contents, if they are for this algorithm.
pub(super) fn open(der: &[u8], algorithm: ObjectIdentifier) -> Result<PrivateKeyInfo<'_>, KeyError> {
    let info = read(der)?;
    if info.algorithm.oid == algorithm { Ok(info) } else { Err(KeyError::Algorithm) }
}

fn read(der: &[u8]) -> Result<PrivateKeyInfo<'_>, KeyError> {
    let info = PrivateKeyInfo::from_der(der).map_err(|_| KeyError::Encoding)?;
    if has_unknown_fields(der).unwrap_or(true) { Err(KeyError::Encoding) } else { Ok(info) }
}

/// Whether there is more than RFC 5958 §2 defines: the three fields that all keys have, attributes \[0\], and
/// the public key \[1\]. The decoder passes over the rest, which a later version may give a meaning that
/// matters.
fn has_unknown_fields(der: &[u8]) -> pkcs8::der::Result<bool> {
    SliceReader::new(der)?.sequence(|fields| {
        for _ in 0..3 {
            AnyRef::decode(fields)?;
        }
        let (mut least, mut unknown) = (0, false);
        while !fields.is_finished() {
            let number = match AnyRef::decode(fields)?.tag() {
                Tag::ContextSpecific { number, .. } => TagNumber::value(number),
                _ => u8::MAX,
            };
            unknown |= number < least || number > 1;
            least = number.saturating_add(1);
        }
        Ok(unknown)
    })
}

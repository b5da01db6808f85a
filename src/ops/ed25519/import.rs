//! Private keys from PKCS#8, as RFC 8410 defines their contents.

use super::KEY_LEN;
use crate::arch::Secret;
use crate::error::KeyError;
use crate::ops::envelope::{self, ID_ED25519};
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::{self, Decode, Encode};
use pkcs8::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

/// The private key, and the public key that an encoding of version 2 carries (RFC 8410 §7), of a DER
/// encoding.
pub(super) fn from_pkcs8_der(der: &[u8]) -> Result<(Secret<u8>, Option<&[u8]>), KeyError> {
    let info = envelope::open(der, ID_ED25519)?;
    // RFC 8410 §3: "For all of the OIDs, the parameters MUST be absent."
    if info.algorithm.parameters.is_some() {
        return Err(KeyError::Encoding);
    }
    // CurvePrivateKey ::= OCTET STRING
    let key = OctetStringRef::from_der(info.private_key).map_err(encoding)?;
    match key.as_bytes().len() == KEY_LEN {
        true => Ok((Secret::copied_from(key.as_bytes()), info.public_key)),
        false => Err(KeyError::Encoding),
    }
}

/// A public key as `SubjectPublicKeyInfo` (RFC 8410 §4), DER.
pub(super) fn spki_der(public_key: &[u8; KEY_LEN]) -> Result<Vec<u8>, KeyError> {
    let encode = || -> der::Result<Vec<u8>> {
        let algorithm = AlgorithmIdentifierRef { oid: ID_ED25519, parameters: None };
        let subject_public_key = BitStringRef::from_bytes(public_key)?;
        SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der()
    };
    encode().map_err(encoding)
}

fn encoding(_: der::Error) -> KeyError {
    KeyError::Encoding
}

#[cfg(test)]
mod tests;

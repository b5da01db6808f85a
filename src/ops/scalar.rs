//! The scalar twins: the same operations through aws-lc-rs, one at a time. The only module that names it.

use crate::error::{Error, KeyError};
use crate::ops::rsa::Padding;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, RsaEncoding, RsaKeyPair};

/// An RSA private key inside aws-lc-rs.
pub(crate) struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// Imports PKCS#8 DER; aws-lc-rs does its own consistency checks.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        RsaKeyPair::from_pkcs8(der).map(Self).map_err(|_| KeyError::Encoding)
    }

    pub(crate) fn modulus_bits(&self) -> usize {
        self.0.public_modulus_len() * 8
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

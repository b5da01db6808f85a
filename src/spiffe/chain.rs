//! A chain, and why it does not verify.

use ::spiffe::TrustDomain;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use std::fmt;
use webpki::{Error, KeyUsage};

/// What is verified, and how.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) leaf: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
    pub(super) usage: KeyUsage,
    pub(super) algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

/// Why a chain does not verify.
#[derive(Debug)]
pub(super) enum ChainError {
    WebPki(Error),
    Foreign(TrustDomain),
}

impl From<Error> for ChainError {
    fn from(e: Error) -> Self {
        Self::WebPki(e)
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebPki(e) => f.write_str(&words(e)),
            Self::Foreign(domain) => write!(f, "an intermediate belongs to {domain}"),
        }
    }
}

/// What webpki means: its own words are Rust's names, with the bytes of every algorithm that it knows.
pub(super) fn words(error: &Error) -> String {
    let fixed = match error {
        Error::UnknownIssuer => "no root has issued it",
        Error::CertExpired { .. } => "a certificate has expired",
        Error::CertNotValidYet { .. } => "a certificate is not valid yet",
        Error::InvalidSignatureForPublicKey => "a certificate's signature is not its issuer's",
        Error::CaUsedAsEndEntity => "the leaf is a CA",
        Error::EndEntityUsedAsCa => "a certificate that is no CA has issued another",
        Error::PathLenConstraintViolated => "an authority has issued more authorities than it may",
        Error::NameConstraintViolation => "an authority has issued a name that it may not",
        Error::CertRevoked => "a certificate is revoked",
        Error::UnknownRevocationStatus => "an authority of the chain has no revocation list",
        Error::CrlExpired { .. } => "a revocation list has expired",
        Error::InvalidCrlSignatureForPublicKey => "a revocation list's signature is not its issuer's",
        Error::IssuerNotCrlSigner => {
            "an authority may not sign revocation lists: its key usage lacks cRLSign"
        }
        Error::UnsupportedSignatureAlgorithmContext(context) => {
            return unsupported("a certificate", &context.signature_algorithm_id);
        }
        Error::UnsupportedCrlSignatureAlgorithmContext(context) => {
            return unsupported("a revocation list", &context.signature_algorithm_id);
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
            return unsupported("a certificate", &context.signature_algorithm_id);
        }
        other => {
            let name = format!("{other:?}");
            return name.split(['(', ' ', '{']).next().unwrap_or_default().to_owned();
        }
    };
    fixed.to_owned()
}

/// `algorithm` is what is inside an AlgorithmIdentifier: an OID first.
fn unsupported(what: &str, algorithm: &[u8]) -> String {
    let name = match algorithm {
        // sha1WithRSAEncryption and ecdsa-with-SHA1
        [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, ..]
        | [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1, ..] => "SHA-1, which is broken".to_owned(),
        [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4, ..] => "MD5, which is broken".to_owned(),
        [6, length, rest @ ..] => dotted(rest.get(..usize::from(*length)).unwrap_or(rest)),
        _ => "an algorithm without a name".to_owned(),
    };
    format!("{what} is signed with {name}: not supported for this key")
}

/// An OID as people write it (X.690 §8.19).
fn dotted(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let Some((first, rest)) = arcs.split_first() else { return "an empty OID".to_owned() };
    let top = (*first / 40).min(2);
    let start = format!("OID {top}.{}", first - 40 * top);
    rest.iter().fold(start, |text, arc| format!("{text}.{arc}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_named() {
        let sha1 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];
        assert!(unsupported("a certificate", &sha1).contains("SHA-1"));
        let sha224 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14, 5, 0];
        assert!(unsupported("a certificate", &sha224).contains("OID 1.2.840.113549.1.1.14:"));
        assert_eq!(dotted(&[0x55, 0x1d, 15]), "OID 2.5.29.15");
        assert_eq!(words(&Error::BadDer), "BadDer");
    }
}

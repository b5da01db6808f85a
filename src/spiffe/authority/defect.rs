//! SVIDs that are wrong on purpose, to see how workloads take them.

use super::ca::IssuedSvid;
use crate::spiffe::SvidKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// What is wrong with an SVID that an authority hands out; see
/// [`Authority::set_defect`](super::Authority::set_defect).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The private key is not the certificate's.
    KeyMismatch,
    /// The certificate is cut off in the middle.
    Truncated,
    /// The certificate and the key are not even DER.
    Garbage,
    /// There is no certificate.
    Empty,
}

/// A P-256 key of nobody, in PKCS #8: the private value is one.
const OTHER_KEY: [u8; 67] = *b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\
    \x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01";

impl Defect {
    /// A copy of the SVID with this defect.
    pub(super) fn apply(self, svid: &IssuedSvid) -> Arc<IssuedSvid> {
        let mut svid = svid.clone();
        match self {
            Self::KeyMismatch => svid.key = key(OTHER_KEY.to_vec()),
            Self::Truncated => svid.chain = svid.chain.iter().map(first_half).collect(),
            Self::Garbage => {
                svid.chain = vec![CertificateDer::from(b"no certificate".to_vec())];
                svid.key = key(b"no key".to_vec());
            }
            Self::Empty => svid.chain.clear(),
        }
        Arc::new(svid)
    }
}

fn key(der: Vec<u8>) -> SvidKey {
    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der)).into()
}

fn first_half(certificate: &CertificateDer<'static>) -> CertificateDer<'static> {
    CertificateDer::from(certificate[..certificate.len() / 2].to_vec())
}

//! What signatures are verified with before they are released.

use super::Error;
use crate::fiber::unlocked;
use crate::provider::SUPPORTED_SIG_ALGS;
use pkcs8::der::{AnyRef, Decode, Encode};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id};
use rustls::{SignatureAlgorithm, SignatureScheme};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

pub(super) struct PublicKey {
    spki: SubjectPublicKeyInfoDer<'static>,
    /// What of it an algorithm wants.
    bits: Vec<u8>,
    kind: SignatureAlgorithm,
    algorithms: Vec<(SignatureScheme, Algorithm)>,
}

impl PublicKey {
    pub(super) fn new(spki: &SubjectPublicKeyInfoDer<'_>) -> Result<Self, Error> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| Error::PublicKey)?;
        let bits = info.subject_public_key.as_bytes().ok_or(Error::PublicKey)?.to_vec();
        // rustls compares identifiers without the header of their SEQUENCE.
        let id = info.algorithm.to_der().map_err(|_| Error::PublicKey)?;
        let id = AnyRef::from_der(&id).map_err(|_| Error::PublicKey)?;
        // Where a scheme has several algorithms, the first is that of TLS 1.3, which ties curve to hash.
        let algorithms = SUPPORTED_SIG_ALGS.mapping.iter();
        let algorithms = algorithms.filter_map(|(scheme, all)| Some((*scheme, *all.first()?)));
        let algorithms: Vec<_> =
            algorithms.filter(|(_, algorithm)| *algorithm.public_key_alg_id() == *id.value()).collect();
        let kind = match algorithms.first().ok_or(Error::PublicKey)?.1.public_key_alg_id() {
            alg_id::RSA_ENCRYPTION => SignatureAlgorithm::RSA,
            alg_id::ED25519 => SignatureAlgorithm::ED25519,
            alg_id::ECDSA_P256 | alg_id::ECDSA_P384 | alg_id::ECDSA_P521 => SignatureAlgorithm::ECDSA,
            _ => return Err(Error::PublicKey),
        };
        Ok(Self { spki: spki.clone().into_owned(), bits, kind, algorithms })
    }

    pub(super) fn spki(&self) -> SubjectPublicKeyInfoDer<'_> {
        SubjectPublicKeyInfoDer::from(self.spki.as_ref())
    }

    pub(super) fn kind(&self) -> SignatureAlgorithm {
        self.kind
    }

    pub(super) fn schemes(&self) -> impl Iterator<Item = SignatureScheme> {
        self.algorithms.iter().map(|(scheme, _)| *scheme)
    }

    /// Verifies a signature, in a batch. To be called where nothing is held, as rustls calls signers.
    pub(super) fn verify(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let (_, algorithm) =
            self.algorithms.iter().find(|(s, _)| *s == scheme).ok_or(Error::Scheme(Some(scheme)))?;
        unlocked(|| algorithm.verify_signature(&self.bits, message, signature))
            .map_err(|_| Error::WrongSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PublicKeyData};

    fn public_key(algorithm: &'static rcgen::SignatureAlgorithm) -> PublicKey {
        let key = KeyPair::generate_for(algorithm).unwrap();
        PublicKey::new(&SubjectPublicKeyInfoDer::from(key.subject_public_key_info())).unwrap()
    }

    #[test]
    fn the_schemes_are_those_of_the_key() {
        use SignatureScheme as S;
        for (algorithm, kind, schemes) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, SignatureAlgorithm::ECDSA, vec![S::ECDSA_NISTP256_SHA256]),
            (&rcgen::PKCS_ECDSA_P384_SHA384, SignatureAlgorithm::ECDSA, vec![S::ECDSA_NISTP384_SHA384]),
            (&rcgen::PKCS_ED25519, SignatureAlgorithm::ED25519, vec![S::ED25519]),
            (
                &rcgen::PKCS_RSA_SHA256,
                SignatureAlgorithm::RSA,
                vec![
                    S::RSA_PSS_SHA512,
                    S::RSA_PSS_SHA384,
                    S::RSA_PSS_SHA256,
                    S::RSA_PKCS1_SHA512,
                    S::RSA_PKCS1_SHA384,
                    S::RSA_PKCS1_SHA256,
                ],
            ),
        ] {
            let key = public_key(algorithm);
            assert_eq!((key.kind(), key.schemes().collect::<Vec<_>>()), (kind, schemes));
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        for bytes in [&b""[..], b"\x30\x00", b"a public key"] {
            assert!(matches!(PublicKey::new(&bytes.into()), Err(Error::PublicKey)));
        }
        // X25519, which does not sign.
        let mut x25519 = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00".to_vec();
        x25519.extend([9; 32]);
        assert!(matches!(PublicKey::new(&x25519.into()), Err(Error::PublicKey)));
    }
}

//! Providers of the application's with our operations in them.

use super::sign::import;
use super::{kx_group, unaccelerated, verify};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::sync::Arc;

/// `provider` with operations of ours wherever it has one that there are lanes for: key-exchange groups,
/// verification algorithms, and the signing keys that it loads. What has no lanes, the order of preference,
/// cipher suites and the source of random numbers stay as they are.
///
/// Each call leaks some hundred bytes, because rustls wants lists that live as long as the process: call it
/// once.
///
/// ```
/// use rustls::crypto::{CryptoProvider, aws_lc_rs};
/// use rustls_multibuffer::provider::accelerate;
///
/// let mine = CryptoProvider {
///     kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::SECP384R1],
///     ..aws_lc_rs::default_provider()
/// };
/// let accelerated = accelerate(mine);
/// assert_eq!(accelerated.kx_groups.len(), 2);
/// ```
pub fn accelerate(provider: CryptoProvider) -> CryptoProvider {
    let CryptoProvider { kx_groups, signature_verification_algorithms, key_provider, .. } = provider;
    CryptoProvider {
        kx_groups: kx_groups.into_iter().map(kx_group::in_lanes).collect(),
        signature_verification_algorithms: verify::in_lanes(signature_verification_algorithms),
        key_provider: Box::leak(Box::new(Keys(key_provider))),
        ..provider
    }
}

/// Loads keys that there are lanes for, and leaves all others to the provider that was there before.
#[derive(Debug)]
struct Keys(&'static dyn KeyProvider);

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        match import(&der) {
            Ok(key) => Ok(key),
            Err(why) => self.0.load_private_key(der).map(|key| unaccelerated::counted(key, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::NamedGroup;
    use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};

    #[test]
    fn only_what_has_lanes_is_replaced() {
        let stock = aws_lc_rs::default_provider();
        let algorithms =
            WebPkiSupportedAlgorithms { mapping: &[], ..stock.signature_verification_algorithms };
        let kx_groups = vec![aws_lc_rs::kx_group::MLKEM768, aws_lc_rs::kx_group::X25519];
        let mut cipher_suites = stock.cipher_suites.clone();
        cipher_suites.truncate(1);
        let mine = CryptoProvider {
            kx_groups,
            cipher_suites,
            signature_verification_algorithms: algorithms,
            ..stock
        };
        let ours = accelerate(mine.clone());
        assert_eq!(ours.cipher_suites, mine.cipher_suites);
        let names: Vec<_> = ours.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names, [NamedGroup::MLKEM768, NamedGroup::X25519]);
        let types = |provider: &CryptoProvider| provider.kx_groups.iter().map(|g| format!("{g:?}")).collect();
        let (before, after): (Vec<_>, Vec<_>) = (types(&mine), types(&ours));
        assert!(before[0] == after[0] && before[1] != after[1], "{before:?} {after:?}");
        let (all, replaced) = (algorithms.all, ours.signature_verification_algorithms.all);
        assert_eq!(all.len(), replaced.len());
        for (stock, ours) in all.iter().zip(replaced) {
            assert_eq!(stock.public_key_alg_id(), ours.public_key_alg_id());
            assert_eq!(stock.signature_alg_id(), ours.signature_alg_id());
        }
        assert!(ours.signature_verification_algorithms.mapping.is_empty());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let (stock, loaded) = (mine.key_provider, ours.key_provider);
        let types = [stock, loaded].map(|p| format!("{:?}", p.load_private_key(key.clone_key()).unwrap()));
        assert_ne!(types[0], types[1]);
    }
}

//! Private keys: whatever the bytes are, there is an error, or a key that signs what its own public key
//! verifies.

use rustls_multibuffer::KeyError;
use rustls_multibuffer::internals::ops::ecdsa::{self, EcdsaPrivateKey};
use rustls_multibuffer::internals::ops::ed25519;
use rustls_multibuffer::internals::ops::rsa::{self, Padding, RsaPrivateKey};

/// How a key is read from an encoding.
type Import<K> = fn(&[u8]) -> Result<K, KeyError>;

const MESSAGE: &[u8] = b"message";

/// Imports the bytes in every way; how many ways gave a key.
pub(crate) fn run(data: &[u8]) -> usize {
    let rsa: [Import<RsaPrivateKey>; 3] =
        [RsaPrivateKey::from_pkcs1_der, RsaPrivateKey::from_pkcs8_der, RsaPrivateKey::from_pem];
    let ecdsa: [Import<EcdsaPrivateKey>; 2] =
        [EcdsaPrivateKey::from_sec1_der, EcdsaPrivateKey::from_pkcs8_der];
    let ed25519: [Import<ed25519::PrivateKey>; 2] =
        [ed25519::PrivateKey::from_pkcs8_der, ed25519::PrivateKey::from_pem];
    let rsa = rsa.iter().filter_map(|import| import(data).ok()).map(|key| check_rsa(&key));
    let ecdsa = ecdsa.iter().filter_map(|import| import(data).ok()).map(|key| check_ecdsa(&key));
    let ed25519 = ed25519.iter().filter_map(|import| import(data).ok()).map(|key| check_ed25519(&key));
    rsa.chain(ecdsa).chain(ed25519).count()
}

fn check_rsa(key: &RsaPrivateKey) {
    let signature = key.sign(Padding::PssSha256, MESSAGE).expect("an accepted key signs");
    rsa::verify(key.public_key_der(), Padding::PssSha256, MESSAGE, &signature).expect("with its public key");
}

fn check_ecdsa(key: &EcdsaPrivateKey) {
    let signature = key.sign(MESSAGE).expect("an accepted key signs");
    let (curve, public) = (key.curve(), key.public_key());
    ecdsa::verify(curve, curve.hash(), public, MESSAGE, &signature).expect("with its public key");
}

fn check_ed25519(key: &ed25519::PrivateKey) {
    let signature = key.sign(MESSAGE).expect("an accepted key signs");
    ed25519::verify(key.public_key(), MESSAGE, &signature).expect("with its public key");
}

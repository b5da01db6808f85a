//! Whoever makes signatures.

use super::public_key::PublicKey;
use super::{BoxError, BoxFuture};
use rustls::SignatureScheme;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use std::future::Future;
use std::sync::Arc;

/// Signs with a private key that is elsewhere.
pub trait Signer: Send + Sync + 'static {
    /// The key's public half, as it is in its certificate (`SubjectPublicKeyInfo`, RFC 5280 §4.1).
    fn public_key(&self) -> SubjectPublicKeyInfoDer<'_>;

    /// The schemes of [`sign`](Self::sign), the preferred one first. By default everything that TLS 1.3 can
    /// do with the key, in the order of rustls, and RSA PKCS#1 v1.5, which TLS 1.2 needs with some peers.
    fn schemes(&self) -> Vec<SignatureScheme> {
        PublicKey::new(&self.public_key()).map(|key| key.schemes().collect()).unwrap_or_default()
    }

    /// Signs `message`, which is not hashed, as `scheme` says (RFC 8446 §4.2.3): an ECDSA signature is an
    /// `ECDSA-Sig-Value` in DER, an RSA signature as long as the modulus.
    ///
    /// The future is dropped when the signature is not wanted any more. It must not block.
    ///
    /// # Errors
    /// Whatever goes wrong; the message is shown in logs and in the handshake's error.
    fn sign<'a>(
        &'a self,
        scheme: SignatureScheme,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, BoxError>>;
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn public_key(&self) -> SubjectPublicKeyInfoDer<'_> {
        (**self).public_key()
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        (**self).schemes()
    }

    fn sign<'a>(
        &'a self,
        scheme: SignatureScheme,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, BoxError>> {
        (**self).sign(scheme, message)
    }
}

/// A [`Signer`] of an asynchronous closure, for a key with this public half.
///
/// ```
/// use rustls::pki_types::SubjectPublicKeyInfoDer;
/// use rustls_multibuffer::offload::{BoxError, Key, Policy, signer_fn};
///
/// # async fn ask_somebody(message: Vec<u8>) -> Result<Vec<u8>, BoxError> { Ok(message) }
/// fn key(public_key: SubjectPublicKeyInfoDer<'static>) -> Result<Key, rustls_multibuffer::offload::Error> {
///     let signer = signer_fn(public_key, |scheme, message| async move {
///         println!("{} bytes to be signed with {scheme:?}", message.len());
///         ask_somebody(message).await
///     });
///     Key::new(signer, Policy::default())
/// }
/// ```
pub fn signer_fn<F, Fut>(public_key: SubjectPublicKeyInfoDer<'static>, sign: F) -> impl Signer
where
    F: Fn(SignatureScheme, Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, BoxError>> + Send + 'static,
{
    SignerFn { public_key, sign }
}

struct SignerFn<F> {
    public_key: SubjectPublicKeyInfoDer<'static>,
    sign: F,
}

impl<F, Fut> Signer for SignerFn<F>
where
    F: Fn(SignatureScheme, Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, BoxError>> + Send + 'static,
{
    fn public_key(&self) -> SubjectPublicKeyInfoDer<'_> {
        SubjectPublicKeyInfoDer::from(self.public_key.as_ref())
    }

    fn sign<'a>(
        &'a self,
        scheme: SignatureScheme,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, BoxError>> {
        Box::pin((self.sign)(scheme, message.to_vec()))
    }
}

//! A private key that is elsewhere, as rustls sees it.

use super::public_key::PublicKey;
use super::source::Source;
use super::{Error, KeyStats, Policy, Signer};
use crate::handshake::wait_for_signature;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{self, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A private key that is elsewhere: a [`SigningKey`] for rustls' configurations and resolvers.
///
/// It asks its signers in their order, each at most once for a signature, until one gives a good one, and in
/// the end its fallback key, if there is one. What each signer is allowed is its [`Policy`]'s matter. Every
/// signature is verified with the public key before it is released; on an engine, that is done in a batch.
///
/// Clones are the same key: keep one for [`stats`](Self::stats).
///
/// ```
/// use rustls::pki_types::CertificateDer;
/// use rustls::server::ParsedCertificate;
/// use rustls::sign::{CertifiedKey, SingleCertAndKey};
/// use rustls_multibuffer::offload::{BoxError, Key, Policy, signer_fn};
/// use rustls_multibuffer::provider::default_provider;
/// use std::sync::Arc;
///
/// # async fn ask_somebody(message: Vec<u8>) -> Result<Vec<u8>, BoxError> { Ok(message) }
/// # fn main() -> Result<(), BoxError> {
/// # let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
/// # let chain = vec![issued.cert.der().clone()];
/// let public_key = ParsedCertificate::try_from(&chain[0])?.subject_public_key_info();
/// let key = Key::new(signer_fn(public_key, |_, message| ask_somebody(message)), Policy::default())?;
/// let certified = CertifiedKey::new(chain, Arc::new(key.clone()));
/// certified.keys_match()?;
/// let config = rustls::ServerConfig::builder_with_provider(default_provider().into())
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
/// assert_eq!(key.stats().signers[0].signed, 0);
/// # drop(config);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Key {
    public_key: Arc<PublicKey>,
    schemes: Vec<SignatureScheme>,
    policy: Policy,
    sources: Vec<Arc<Source>>,
    fallback: Option<Arc<dyn SigningKey>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    retries: AtomicU64,
    fallbacks: AtomicU64,
    failed: AtomicU64,
}

impl Key {
    /// The key that `signer` has.
    ///
    /// # Errors
    /// [`Error::PublicKey`] if signatures cannot be verified with its public key; [`Error::Scheme`] if it has
    /// no scheme, or one that is not its key's.
    pub fn new(signer: impl Signer, policy: Policy) -> Result<Self, Error> {
        let public_key = PublicKey::new(&signer.public_key())?;
        let schemes = signer.schemes();
        if schemes.is_empty() {
            return Err(Error::Scheme(None));
        }
        for scheme in &schemes {
            public_key.schemes().find(|s| s == scheme).ok_or(Error::Scheme(Some(*scheme)))?;
        }
        let sources = vec![Source::new(signer, 1, policy.clone())];
        let (public_key, counts) = (Arc::new(public_key), Arc::default());
        Ok(Self { public_key, schemes, policy, sources, fallback: None, counts })
    }

    /// The same key, with another signer that has it, too, and is asked when those before it give no
    /// signature. It has limits and a breaker of its own.
    ///
    /// # Errors
    /// [`Error::OtherPublicKey`]; [`Error::Scheme`] if a scheme of the first signer is none of this one's.
    pub fn with_signer(mut self, signer: impl Signer) -> Result<Self, Error> {
        if signer.public_key() != self.public_key.spki() {
            return Err(Error::OtherPublicKey);
        }
        let schemes = signer.schemes();
        self.serves_all(|scheme| schemes.contains(&scheme))?;
        self.sources.push(Source::new(signer, self.sources.len() + 1, self.policy.clone()));
        Ok(self)
    }

    /// The same key, of which there is a copy here, or elsewhere in a way that needs no awaiting: it signs
    /// when no signer does.
    ///
    /// # Errors
    /// [`Error::OtherPublicKey`]; [`Error::Scheme`] if a scheme of the first signer is none of this one's.
    pub fn with_fallback(mut self, key: Arc<dyn SigningKey>) -> Result<Self, Error> {
        if key.public_key().is_some_and(|public_key| public_key != self.public_key.spki()) {
            return Err(Error::OtherPublicKey);
        }
        self.serves_all(|scheme| key.choose_scheme(&[scheme]).is_some())?;
        self.fallback = Some(key);
        Ok(self)
    }

    fn serves_all(&self, serves: impl Fn(SignatureScheme) -> bool) -> Result<(), Error> {
        match self.schemes.iter().find(|scheme| !serves(**scheme)) {
            Some(scheme) => Err(Error::Scheme(Some(*scheme))),
            None => Ok(()),
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> KeyStats {
        let [retries, fallbacks, failed] =
            [&self.counts.retries, &self.counts.fallbacks, &self.counts.failed].map(|n| n.load(Relaxed));
        KeyStats {
            signers: self.sources.iter().map(|source| source.stats()).collect(),
            retries,
            fallbacks,
            failed,
        }
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        let shared: Arc<[u8]> = message.into();
        let mut first_error = None;
        for source in &self.sources {
            if first_error.is_some() {
                self.counts.retries.fetch_add(1, Relaxed);
            }
            let answer = wait_for_signature(source.clone().ask(scheme, shared.clone()))?;
            let verify = |signature: &[u8]| self.public_key.verify(scheme, message, signature);
            match answer.and_then(|answer| answer.judge(verify)) {
                Ok(signature) => return Ok(signature),
                Err(why) => first_error.get_or_insert(why),
            };
        }
        let signed = match self.fallback.as_ref().and_then(|key| key.choose_scheme(&[scheme])) {
            Some(fallback) => self.fall_back(&*fallback, message),
            None => Err(first_error.unwrap_or(Error::BreakerOpen)),
        };
        if signed.is_err() {
            self.counts.failed.fetch_add(1, Relaxed);
        }
        signed
    }

    fn fall_back(&self, signer: &dyn sign::Signer, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = signer.sign(message).map_err(|e| Error::Failed(Arc::new(e)))?;
        self.public_key.verify(signer.scheme(), message, &signature)?;
        self.counts.fallbacks.fetch_add(1, Relaxed);
        Ok(signature)
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(Chosen { key: self.clone(), scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.public_key.spki())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.kind()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.public_key.kind())
            .field("signers", &self.sources.len())
            .field("has_fallback", &self.fallback.is_some())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Chosen {
    key: Key,
    scheme: SignatureScheme,
}

impl sign::Signer for Chosen {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.key.sign(self.scheme, message)?)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

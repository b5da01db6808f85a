//! How what is elsewhere fails.

use crate::handshake::NotAwaited;
use rustls::{OtherError, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no signature, no certificate or no verdict, or why a [`Key`](super::Key) cannot be made.
///
/// In a handshake it is found inside of a [`rustls::Error::Other`], which `accept` and `connect` return
/// inside of an [`io::Error`](std::io::Error). Errors of resolvers and verifiers are found there as they are,
/// the latter inside of a [`CertificateError::Other`](rustls::CertificateError::Other).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The handshake runs on no engine, so that nothing can be awaited.
    NotOnEngine,
    /// The handshake was given up meanwhile.
    GivenUp,
    /// As many operations as the policy admits are with the signer, and as many wait as may; or no place
    /// became free in time.
    Busy,
    /// The signer did not answer within this time.
    TimedOut(Duration),
    /// The signer has failed too often and is not asked for a while.
    BreakerOpen,
    /// What the signer said.
    Failed(Arc<dyn std::error::Error + Send + Sync>),
    /// The signer panicked; here is what with.
    Panicked(String),
    /// The signature is not one of this message by this key. It was not released.
    WrongSignature,
    /// The public key is no `SubjectPublicKeyInfo` of a kind that signatures can be verified with.
    PublicKey,
    /// A signer or a fallback key has another public key than the first signer.
    OtherPublicKey,
    /// The key cannot be used with this scheme, or has none.
    Scheme(Option<SignatureScheme>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnEngine => NotAwaited::NotOnEngine.fmt(f),
            Self::GivenUp => NotAwaited::GivenUp.fmt(f),
            Self::Busy => f.write_str("the signer is busy"),
            Self::TimedOut(limit) => write!(f, "the signer did not answer within {limit:?}"),
            Self::BreakerOpen => f.write_str("the signer has failed too often and is not asked for a while"),
            Self::Failed(why) => write!(f, "the signer failed: {why}"),
            Self::Panicked(message) => write!(f, "the signer panicked: {message}"),
            Self::WrongSignature => f.write_str("the signer's signature does not verify"),
            Self::PublicKey => f.write_str("the public key is of no supported kind"),
            Self::OtherPublicKey => {
                f.write_str("the public key is another one than that of the first signer")
            }
            Self::Scheme(Some(scheme)) => write!(f, "the key does not serve the signature scheme {scheme:?}"),
            Self::Scheme(None) => f.write_str("the key serves no signature scheme"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(why) => Some(&**why),
            _ => None,
        }
    }
}

impl From<NotAwaited> for Error {
    fn from(why: NotAwaited) -> Self {
        match why {
            NotAwaited::NotOnEngine => Self::NotOnEngine,
            NotAwaited::GivenUp => Self::GivenUp,
        }
    }
}

impl From<Error> for rustls::Error {
    fn from(e: Error) -> Self {
        Self::Other(OtherError(Arc::new(e)))
    }
}

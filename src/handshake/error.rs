//! How a handshake fails for reasons other than the network and the peer.

use crate::fiber::Panic;
use std::{fmt, io};

/// Why an engine gave a handshake up.
///
/// It is found inside of the [`io::Error`] that `accept` and `connect` return; errors of the network come
/// as they are, and errors of the peer's TLS as a [`rustls::Error`] inside of an
/// [`io::ErrorKind::InvalidData`].
///
/// ```
/// use rustls_multibuffer::handshake::HandshakeError;
/// use std::io;
///
/// let error = io::Error::from(HandshakeError::TimedOut);
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// let inner = error.get_ref().and_then(|e| e.downcast_ref::<HandshakeError>());
/// assert_eq!(inner, Some(&HandshakeError::TimedOut));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It took longer than `handshake_timeout`.
    TimedOut,
    /// The engine is draining and takes no new handshakes.
    Draining,
    /// The engine was shut down or dropped.
    ShutDown,
    /// Code that rustls called, such as a certificate resolver, panicked; here is what with.
    Panicked(String),
    /// This process was forked after the engine was made: the engine's threads are in the parent. Make
    /// another engine.
    Forked,
    /// The operating system granted no stack.
    NoStack(io::ErrorKind),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the TLS handshake took too long"),
            Self::Draining => f.write_str("the handshake engine is draining: no new handshakes"),
            Self::ShutDown => f.write_str("the handshake engine was shut down"),
            Self::Panicked(message) => write!(f, "a panic ended the TLS handshake: {message}"),
            Self::Forked => f.write_str("the handshake engine was made before this process was forked"),
            Self::NoStack(kind) => write!(f, "no memory for a fiber's stack: {kind}"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<Panic> for HandshakeError {
    fn from(panic: Panic) -> Self {
        Self::Panicked(panic.to_string())
    }
}

impl From<HandshakeError> for io::Error {
    fn from(e: HandshakeError) -> Self {
        let kind = match e {
            HandshakeError::TimedOut => io::ErrorKind::TimedOut,
            HandshakeError::Draining | HandshakeError::ShutDown => io::ErrorKind::ConnectionAborted,
            HandshakeError::Panicked(_) | HandshakeError::Forked => io::ErrorKind::Other,
            HandshakeError::NoStack(_) => io::ErrorKind::OutOfMemory,
        };
        Self::new(kind, e)
    }
}

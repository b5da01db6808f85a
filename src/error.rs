//! The errors of every layer below rustls' own.

use std::fmt;

/// Why one operation, or one handshake, did not succeed.
///
/// An error concerns one request only: the other requests of its batch are not affected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A private key was refused at import.
    Key(KeyError),
    /// Both the lanes and the scalar repetition of a private operation failed the public-key check;
    /// nothing was released.
    FaultDetected,
    /// The scalar implementation (aws-lc-rs) refused the operation.
    Scalar,
    /// The signature is not one of this message by this key. An answer like any other, not a failure.
    InvalidSignature,
    /// The peer's public key has the wrong length, or leads to a shared secret that everybody knows.
    PeerKey,
    /// The operating system's random number generator failed.
    Random,
    /// The batch panicked, a bug of this crate, and so did aws-lc-rs when it did the request again. Nothing
    /// was released.
    Panicked,
    /// The key cannot make this kind of signature, for example because it is too small for the padding.
    Unsupported(&'static str),
    /// The request was withdrawn before its batch ran: the handshake was cancelled, timed out, or its engine
    /// is shutting down.
    Cancelled,
    /// A queue bound of the configuration was reached.
    QueueFull,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(e) => write!(f, "private key refused: {e}"),
            Self::FaultDetected => f.write_str("a private-key result failed its public-key check twice"),
            Self::Scalar => f.write_str("aws-lc-rs refused the operation"),
            Self::InvalidSignature => f.write_str("the signature is not valid"),
            Self::PeerKey => f.write_str("the peer's public key is not acceptable"),
            Self::Random => f.write_str("the system's random number generator failed"),
            Self::Panicked => f.write_str("the batch panicked; this is a bug"),
            Self::Unsupported(what) => write!(f, "not supported by this key: {what}"),
            Self::Cancelled => f.write_str("the operation was cancelled before its batch ran"),
            Self::QueueFull => f.write_str("the operation queue is full"),
        }
    }
}

impl std::error::Error for Error {}

impl From<KeyError> for Error {
    fn from(e: KeyError) -> Self {
        Self::Key(e)
    }
}

/// Why a private key was refused at import. Never carries key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a well-formed PKCS#8, PKCS#1 or PEM encoding.
    Encoding,
    /// Well-formed, but of an algorithm that neither the lanes nor aws-lc-rs serve.
    Algorithm,
    /// The modulus is smaller or larger than aws-lc-rs accepts.
    Size,
    /// The public exponent is even, below 3, or longer than 33 bits.
    PublicExponent,
    /// p or q is even, they are equal, or one of them is below 3.
    Primes,
    /// n is not p·q.
    Modulus,
    /// d·e is not 1 modulo p − 1 and q − 1.
    PrivateExponent,
    /// dp or dq is not d modulo p − 1 or q − 1.
    CrtExponent,
    /// qinv·q is not 1 modulo p.
    CrtCoefficient,
    /// The private scalar of an elliptic-curve key has the wrong length, is zero, or is not below the group's
    /// order.
    PrivateScalar,
    /// The public key in the encoding is not that of the private one.
    PublicKey,
    /// The private key has more than two primes (RFC 8017 `otherPrimeInfos`).
    MultiPrime,
    /// The key is encrypted: this crate takes no passwords.
    Encrypted,
    /// aws-lc-rs refused the key although it passed every check of this list.
    Scalar,
    /// The certificate's public key is another one.
    CertificateMismatch,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "malformed encoding",
            Self::Algorithm => "unsupported key algorithm",
            Self::Size => "unsupported modulus size",
            Self::PublicExponent => "unsupported public exponent",
            Self::Primes => "p or q is even or too small, or they are equal",
            Self::Modulus => "n is not the product of p and q",
            Self::PrivateExponent => "d does not belong to e",
            Self::CrtExponent => "dp or dq does not belong to d",
            Self::CrtCoefficient => "qinv is not the inverse of q modulo p",
            Self::PrivateScalar => "the private scalar is out of range",
            Self::PublicKey => "the public key does not belong to the private one",
            Self::MultiPrime => "keys with more than two primes are not supported",
            Self::Encrypted => "the key is encrypted",
            Self::Scalar => "aws-lc-rs does not accept the key",
            Self::CertificateMismatch => "the key does not belong to the certificate",
        })
    }
}

impl std::error::Error for KeyError {}

//! What an authority can fail with.

use ::spiffe::{SpiffeId, TrustDomain};
use std::{fmt, io};

/// Why an [`Authority`](super::Authority) did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthorityError {
    /// It has no such identity.
    UnknownIdentity(SpiffeId),
    /// The identity is of a trust domain that is not its own.
    ForeignIdentity(SpiffeId),
    /// The bundle is of its own trust domain, which it federates with already.
    OwnBundle(TrustDomain),
    /// A key or certificate could not be made.
    Issuing(String),
    /// The socket could not be opened.
    Socket(io::Error),
}

impl AuthorityError {
    pub(super) fn issuing(why: impl fmt::Display) -> Self {
        Self::Issuing(why.to_string())
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIdentity(id) => write!(f, "the authority has no identity {id}"),
            Self::ForeignIdentity(id) => write!(f, "{id} is not of the authority's trust domain"),
            Self::OwnBundle(domain) => write!(f, "{domain} is the authority's own trust domain"),
            Self::Issuing(why) => write!(f, "a certificate could not be issued: {why}"),
            Self::Socket(why) => write!(f, "the socket could not be opened: {why}"),
        }
    }
}

impl std::error::Error for AuthorityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(why) => Some(why),
            _ => None,
        }
    }
}

//! Why there is no identity to make handshakes with.

use super::label::labels;
use super::source::Withdrawal;
use std::error::Error;
use std::time::SystemTime;
use std::{fmt, io};

/// Why there is no identity to make handshakes with now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The source has delivered nothing that was accepted yet.
    NotYet,
    /// The first SVID has arrived, and is not valid yet: the clock is wrong here or at its issuer's.
    HeldBack {
        /// When its validity begins (notBefore).
        until: SystemTime,
    },
    /// Our SVID has expired, and the source has delivered no other.
    Expired {
        /// The last second of its validity (notAfter).
        not_after: SystemTime,
    },
    /// The identity was taken back.
    Withdrawn(Withdrawal),
}

labels! {
    Unavailable,
    Unavailable::NotYet => "not_yet",
    Unavailable::HeldBack { .. } => "held_back",
    Unavailable::Expired { .. } => "own_svid_expired",
    Unavailable::Withdrawn(_) => "withdrawn",
}

impl Unavailable {
    /// The reason inside the error of a handshake that was not begun for want of an identity.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("there is no SVID yet"),
            Self::HeldBack { .. } => f.write_str("our SVID is not valid yet"),
            Self::Expired { .. } => f.write_str("our own SVID has expired"),
            Self::Withdrawn(why) => write!(f, "our identity was withdrawn: {why}"),
        }
    }
}

impl Error for Unavailable {}

impl From<Unavailable> for io::Error {
    fn from(why: Unavailable) -> Self {
        Self::other(why)
    }
}

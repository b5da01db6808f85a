//! Why connections are closed before they end by themselves.

use super::label::labels;
use std::fmt;

/// Why a connection should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It is as old as the policy allows.
    MaxAge,
    /// The bundle of the peer's trust domain was removed.
    BundleRemoved,
    /// The roots that the peer's chain leads to were removed from its trust domain's bundle.
    RootRemoved,
    /// A certificate of the peer's chain was revoked, or its bundle does not admit the peer any more.
    Revoked,
    /// Our own identity was withdrawn.
    Withdrawn,
}

labels! {
    CloseReason,
    CloseReason::MaxAge => "max_age",
    CloseReason::BundleRemoved => "bundle_removed",
    CloseReason::RootRemoved => "root_removed",
    CloseReason::Revoked => "revoked",
    CloseReason::Withdrawn => "withdrawn",
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxAge => "the connection is as old as the policy allows",
            Self::BundleRemoved => "the bundle of the peer's trust domain was removed",
            Self::RootRemoved => "the roots that the peer's chain leads to were removed",
            Self::Revoked => "the peer was revoked",
            Self::Withdrawn => "our own identity was withdrawn",
        })
    }
}

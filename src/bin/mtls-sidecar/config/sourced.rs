//! Values that know what said them.

use rustls_multibuffer::config::Location;
use rustls_multibuffer::config::istio::Origin as Object;
use serde::{Serialize, Serializer};
use std::fmt;

/// A value, and what said so. It is written as a pair.
#[derive(Clone, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T: Serialize> Serialize for Sourced<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.value, &self.origin).serialize(serializer)
    }
}

/// What said so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    BuiltIn,
    File(Location),
    Object(Object),
    /// A `private_key_provider`.
    Provider(Location),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::File(at) => write!(f, "{}:{}:{}", at.file, at.position.line, at.position.column),
            Self::Object(object) => object.fmt(f),
            Self::Provider(at) => {
                write!(f, "private_key_provider ({}:{}:{})", at.file, at.position.line, at.position.column)
            }
        }
    }
}

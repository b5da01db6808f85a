//! Whole seconds, as Envoy's options of sockets have them.

use super::Span;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Whole seconds: a number, as Envoy writes them, or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Span);

/// The most that the system takes.
const MOST: u64 = 32767;

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl<'de> Visitor<'de> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "whole seconds, 0 to {MOST}, such as 60 or \"60s\"")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        match seconds <= MOST {
            true => Ok(Seconds(Span::seconds(seconds))),
            false => Err(E::invalid_value(de::Unexpected::Unsigned(seconds), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(seconds), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        let Span(span) = Span::deserialize(de::value::StrDeserializer::new(text))?;
        match span.subsec_nanos() {
            0 => self.visit_u64(span.as_secs()),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

//! Lengths of time as protobuf's JSON and Go write them.

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// Units of Go's `time.ParseDuration`, in nanoseconds; protobuf's only one is among them.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest that protobuf allows: about 10,000 years.
const MAX_SECONDS: u64 = 315_576_000_000;

/// The length of time that `text` means: protobuf's `"0.002s"` or Go's `"1m30s"`.
///
/// # Errors
/// What is wrong with it: no unit, an unknown one, negative, or longer than protobuf's 315,576,000,000 s.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!("{text:?} is negative"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanoseconds: u128 = 0;
    loop {
        let (part, after) = first_part(rest)
            .ok_or_else(|| format!("{text:?} is not a duration such as \"0.002s\", \"10ms\" or \"1m30s\""))?;
        nanoseconds = nanoseconds.saturating_add(part);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let too_long = || format!("{text:?} is longer than {MAX_SECONDS} s");
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).map_err(|_| too_long())?;
    if seconds > MAX_SECONDS {
        return Err(too_long());
    }
    Ok(Duration::new(seconds, (nanoseconds % 1_000_000_000) as u32))
}

/// A number with its unit in nanoseconds, fractions of one cut off, and what comes after.
fn first_part(text: &str) -> Option<(u128, &str)> {
    let end_of = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end_of(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(end_of(after)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u128>().unwrap_or(u128::MAX) };
    // What is beyond 18 digits is below a nanosecond, of hours, too.
    let digits = &fraction[..fraction.len().min(18)];
    let numerator = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? };
    let part = numerator * factor / 10u128.pow(digits.len() as u32);
    Some((whole.saturating_mul(*factor).saturating_add(part), rest))
}

/// A length of time as it is shown: Go's way, in the largest unit that needs no fraction.
pub(super) fn show(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let (unit, factor) =
        units.into_iter().find(|(_, factor)| nanoseconds.is_multiple_of(*factor)).unwrap_or(("ns", 1));
    format!("{}{unit}", nanoseconds / factor)
}

/// A setting that may not be said, as [`show`] shows it.
pub(super) fn show_option<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(show).serialize(serializer)
}

/// A length of time in a configuration: a string as protobuf (`"0.002s"`) or Go (`"1m30s"`) writes it, or
/// protobuf's two fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As a limit that zero takes away.
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

/// A length of time as protobuf's JSON writes it, and not otherwise: `"0.002s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProtobufSpan(pub(super) Duration);

impl<'de> Deserialize<'de> for ProtobufSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_suffix('s').unwrap_or_default();
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        match parse(&text) {
            Ok(duration) if number.starts_with(is_number) && number.chars().all(is_number) => {
                Ok(Self(duration))
            }
            Ok(_) => Err(de::Error::custom("expected a duration of protobuf, such as \"0.002s\"")),
            Err(e) => Err(de::Error::custom(e)),
        }
    }
}

#[cfg(test)]
impl schemars::JsonSchema for ProtobufSpan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProtobufDuration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A duration of protobuf: \"0.002s\".",
            "type": "string",
        })
    }
}

struct SpanVisitor;

impl<'de> Visitor<'de> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"0.002s\" or \"10ms\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        parse(text).map(Span).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Span, A::Error> {
        let (mut seconds, mut nanos) = (0u64, 0u32);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "seconds" => seconds = map.next_value()?,
                "nanos" => nanos = map.next_value()?,
                _ => return Err(de::Error::custom("a duration has the fields seconds and nanos")),
            }
        }
        if seconds > MAX_SECONDS || nanos > 999_999_999 {
            return Err(de::Error::custom("not a duration of protobuf"));
        }
        Ok(Span(Duration::new(seconds, nanos)))
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A duration: protobuf's \"0.002s\", Go's \"10ms\" or \"1m30s\", \
                or protobuf's two fields.",
            "anyOf": [
                { "type": "string", "pattern": "^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$" },
                {
                    "type": "object",
                    "properties": {
                        "seconds": { "type": "integer", "minimum": 0 },
                        "nanos": { "type": "integer", "minimum": 0, "maximum": 999_999_999 }
                    },
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_are_read() {
        let cases = [
            ("1s", 1_000_000_000),
            ("0.002s", 2_000_000),
            ("10ms", 10_000_000),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("50us", 50_000),
            ("50µs", 50_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("+2s", 2_000_000_000),
            ("1.000000001s", 1_000_000_001),
            ("0.0000000019s", 1),
            ("1h0.5m0s", 3_630_000_000_000),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        assert_eq!(parse("315576000000s"), Ok(Duration::from_secs(MAX_SECONDS)));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "9".repeat(60);
        for text in ["", "1", "s", "1x", "-1s", "1 s", "1s ", "s1", "1..s", "+", "1d", "315576000001s", "1sm"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("{long}h")).is_err());
        assert!(parse(&format!("0.{long}{long}h")).is_ok());
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for nanoseconds in [0, 1, 1_500, 2_000_000, 1_000_000_000, 90_000_000_000] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(parse(&show(duration)), Ok(duration));
        }
        assert_eq!(show(Duration::from_micros(50)), "50us");
    }
}

//! Levels of the log, in the words of Rust, of Envoy and of Istio.

use log::LevelFilter;
use serde::{Deserialize, Deserializer, Serializer, de};

/// The level of that name.
///
/// # Errors
/// Which names there are.
pub(crate) fn parse(name: &str) -> Result<LevelFilter, String> {
    let rusts = match name {
        "warning" => "warn",
        "critical" => "error",
        "none" => "off",
        name => name,
    };
    rusts.parse().map_err(|_| "expected off, error, warn (or warning), info, debug or trace".to_owned())
}

pub(super) fn serialize<S: Serializer>(level: &LevelFilter, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(level)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LevelFilter, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

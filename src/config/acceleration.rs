//! The short form: `tls_acceleration`.

use super::duration::{self, Span};
use super::messages::messages;
use super::node::Document;
use super::problem::{Checked, ConfigError, Mode};
use super::read::{At, Report, read};
use crate::arch::TierKind;
use crate::handshake::EngineConfig;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

messages! {
    /// The short form, as the only field of a document or among others of a proxy's own.
    struct RawTlsAcceleration as "TlsAcceleration" {
        /// Whether operations run in lanes; default: true. False leaves everything to aws-lc-rs, one at a
        /// time.
        enabled: Option<bool>,
        /// The best CPU tier to use: avx512-ifma, avx-ifma, avx2-fma or scalar; default: the best of the
        /// machine.
        max_tier: Option<String>,
        /// How long an operation waits for company although its thread is idle; default: 0, it does not wait.
        poll_delay: Option<Span>,
        /// How much later a handshake may end so that it meets others on its thread; default: 1ms. 0 spreads
        /// handshakes over all threads.
        latency_budget: Option<Span>,
        /// The smallest number of operations that runs in lanes, at least 1; default: auto, as measured for
        /// each operation.
        break_even: Option<RawBreakEven>,
        /// The most handshakes that a thread has parked at a time, at least 1; default: 256.
        max_parked: Option<u32>,
        /// Engine threads; default, and 0: one for each CPU.
        threads: Option<u32>,
        /// Whether each engine thread is bound to a CPU; default: false.
        pin: Option<bool>,
        /// Threads for handshakes alone, in a program whose own threads do them otherwise, as mtls-sidecar's
        /// workers do; default, and 0: none.
        handshake_threads: Option<u32>,
    }
}

/// `auto`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawBreakEven {
    Auto,
    Fill(u64),
}

impl<'de> Deserialize<'de> for RawBreakEven {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BreakEvenVisitor;
        impl Visitor<'_> for BreakEvenVisitor {
            type Value = RawBreakEven;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto, or a whole number that is at least 1")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawBreakEven, E> {
                match text {
                    "auto" => Ok(RawBreakEven::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawBreakEven, E> {
                match u64::try_from(number) {
                    Ok(fill) if fill > 0 => Ok(RawBreakEven::Fill(fill)),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(BreakEvenVisitor)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for RawBreakEven {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BreakEven".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "auto, or the smallest number of operations.",
            "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }]
        })
    }
}

/// How operations are accelerated. `None` means that the field was not set.
///
/// ```
/// use rustls_multibuffer::config::{Document, Mode, TlsAcceleration};
/// use rustls_multibuffer::handshake::EngineConfig;
/// use std::time::Duration;
///
/// let document = Document::parse("proxy.yaml", "tls_acceleration: {poll_delay: 50us, threads: 2}")?;
/// let acceleration = TlsAcceleration::read(&document, Mode::Strict)?.value.unwrap();
/// let engine = acceleration.engine_config(EngineConfig::default());
/// assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_micros(50)).threads(2));
/// # Ok::<(), rustls_multibuffer::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TlsAcceleration {
    /// Whether operations run in lanes; `None`: they do.
    pub enabled: Option<bool>,
    /// The best tier to use.
    #[serde(serialize_with = "show_tier")]
    pub max_tier: Option<TierKind>,
    /// How long an operation waits for company although its thread is idle.
    #[serde(serialize_with = "duration::show_option")]
    pub poll_delay: Option<Duration>,
    /// How much later a handshake may end so that it meets others on its thread.
    #[serde(serialize_with = "duration::show_option")]
    pub latency_budget: Option<Duration>,
    /// The smallest fill that runs in lanes.
    pub break_even: Option<usize>,
    /// The most fibers that a thread has parked.
    pub max_parked: Option<usize>,
    /// Engine threads; 0: one for each CPU.
    pub threads: Option<usize>,
    /// Threads for handshakes alone, in a program whose own threads do them otherwise; 0: none. It is no
    /// setting of an engine: such a program is to start an [`Engine`](crate::handshake::Engine) with so many.
    pub handshake_threads: Option<usize>,
    /// Whether each engine thread is bound to a CPU.
    pub pin: Option<bool>,
}

/// What a configuration says about acceleration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceleration {
    /// Nothing. Envoy and Istio mean "off" by that; a proxy of its own may have another default.
    Unset,
    /// It is on, with these settings.
    Set(TlsAcceleration),
}

impl From<&EngineConfig> for TlsAcceleration {
    /// Every setting of `config` that is also one of these.
    fn from(config: &EngineConfig) -> Self {
        Self {
            enabled: Some(true),
            max_tier: Some(config.max_tier),
            poll_delay: Some(config.poll_delay),
            latency_budget: Some(config.latency_budget),
            break_even: config.break_even,
            max_parked: Some(config.max_parked),
            threads: Some(config.threads),
            handshake_threads: None,
            pin: Some(config.pin),
        }
    }
}

impl TlsAcceleration {
    /// The `tls_acceleration` of a document, if there is one. Other fields of the document are the proxy's
    /// own.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &Document, mode: Mode) -> Result<Checked<Option<Self>>, ConfigError> {
        let Some(document) = document.at(&["tls_acceleration"]) else {
            return Ok(Checked { value: None, warnings: Vec::new() });
        };
        let report = Report::new(&document, mode);
        let value = read(&report).map(|raw| Self::check(raw, &report.root()));
        Ok(report.finish(value)?.map(Some))
    }

    fn check(raw: RawTlsAcceleration, at: &At<'_>) -> Self {
        if raw.max_parked == Some(0) {
            at.field("max_parked").error("at least 1");
        }
        Self {
            enabled: raw.enabled,
            max_tier: check_tier(raw.max_tier.as_deref(), &at.field("max_tier")),
            poll_delay: raw.poll_delay.map(|delay| delay.0),
            latency_budget: raw.latency_budget.map(|budget| budget.0),
            break_even: check_break_even(raw.break_even, &at.field("break_even")),
            max_parked: raw.max_parked.map(|n| n as usize),
            threads: raw.threads.map(|n| n as usize),
            handshake_threads: raw.handshake_threads.map(|n| n as usize),
            pin: raw.pin,
        }
    }

    /// Both at once, for work that shares threads: of each field the more careful value, which is the higher
    /// one of `break_even` and the lower one of all others.
    #[must_use]
    pub fn together(self, other: Self) -> Self {
        Self {
            enabled: least(self.enabled, other.enabled),
            max_tier: least(self.max_tier, other.max_tier),
            poll_delay: least(self.poll_delay, other.poll_delay),
            latency_budget: least(self.latency_budget, other.latency_budget),
            break_even: self.break_even.max(other.break_even),
            max_parked: least(self.max_parked, other.max_parked),
            threads: least(self.threads, other.threads),
            handshake_threads: least(self.handshake_threads, other.handshake_threads),
            pin: least(self.pin, other.pin),
        }
    }

    /// `base` with what is said here.
    pub fn engine_config(&self, base: EngineConfig) -> EngineConfig {
        let mut config = base;
        config.max_tier = self.max_tier.unwrap_or(config.max_tier);
        if self.enabled == Some(false) {
            config.max_tier = TierKind::Scalar;
        }
        config.poll_delay = self.poll_delay.unwrap_or(config.poll_delay);
        config.latency_budget = self.latency_budget.unwrap_or(config.latency_budget);
        config.break_even = self.break_even.or(config.break_even);
        config.max_parked = self.max_parked.unwrap_or(config.max_parked);
        config.threads = match self.threads {
            Some(0) => EngineConfig::default().threads,
            Some(threads) => threads,
            None => config.threads,
        };
        config.pin = self.pin.unwrap_or(config.pin);
        config
    }
}

impl Acceleration {
    /// Both at once: one that is set turns acceleration on, and of two the [more
    /// careful](TlsAcceleration::together) values count.
    #[must_use]
    pub fn together(self, other: Self) -> Self {
        match (self, other) {
            (Self::Set(this), Self::Set(other)) => Self::Set(this.together(other)),
            (Self::Unset, other) => other,
            (this, Self::Unset) => this,
        }
    }

    /// `base` with what is said here; with the tier `scalar` if nothing is, as Envoy and Istio mean it.
    pub fn engine_config(&self, base: EngineConfig) -> EngineConfig {
        match self {
            Self::Unset => base.max_tier(TierKind::Scalar),
            Self::Set(acceleration) => acceleration.engine_config(base),
        }
    }
}

/// The lower one of those that are set.
fn least<T: Ord>(this: Option<T>, other: Option<T>) -> Option<T> {
    this.into_iter().chain(other).min()
}

fn show_tier<S: Serializer>(tier: &Option<TierKind>, serializer: S) -> Result<S::Ok, S::Error> {
    tier.map(TierKind::name).serialize(serializer)
}

pub(super) fn check_tier(name: Option<&str>, at: &At<'_>) -> Option<TierKind> {
    match name?.parse() {
        Ok(TierKind::Portable) => at.fail("portable is for tests only"),
        Ok(tier) => Some(tier),
        Err(_) => at.fail("expected avx512-ifma, avx-ifma, avx2-fma or scalar"),
    }
}

pub(super) fn check_break_even(raw: Option<RawBreakEven>, at: &At<'_>) -> Option<usize> {
    match raw? {
        RawBreakEven::Auto => None,
        RawBreakEven::Fill(fill) => match usize::try_from(fill) {
            Ok(fill) => Some(fill),
            Err(_) => at.fail("too large"),
        },
    }
}

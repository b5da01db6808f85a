//! The enable flag in Envoy's words: `private_key_provider`.

use super::raw;
use crate::arch::TierKind;
use crate::config::acceleration::{self, TlsAcceleration};
use crate::config::data_source::RawDataSource;
use crate::config::read::At;
use std::time::Duration;

/// That a certificate's key is accelerated, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrivateKeyProvider {
    /// By which name.
    pub name: ProviderName,
    /// Whether to go on without acceleration where the CPU offers none.
    pub fallback: bool,
    /// How long an operation waits for company although its thread is idle; `None`: it does not.
    pub poll_delay: Option<Duration>,
    /// The best tier to use.
    pub max_tier: Option<TierKind>,
    /// The smallest fill that runs in lanes.
    pub break_even: Option<usize>,
}

/// The names that turn acceleration on. They mean the same: ours, in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderName {
    /// `cryptomb`, as Envoy's Intel provider is called.
    CryptoMb,
    /// `multibuffer`, our own, with more settings.
    Multibuffer,
}

impl ProviderName {
    fn of(name: &str) -> Option<Self> {
        match name {
            "cryptomb" => Some(Self::CryptoMb),
            "multibuffer" => Some(Self::Multibuffer),
            _ => None,
        }
    }

    /// The messages that can be in `typed_config`.
    fn messages(self) -> &'static [&'static str] {
        match self {
            Self::CryptoMb => &[
                "envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig",
                "envoy.extensions.private_key_providers.cryptomb.v3.CryptoMbPrivateKeyMethodConfig",
            ],
            Self::Multibuffer => &["rustls_multibuffer.v1.PrivateKeyMethodConfig"],
        }
    }
}

impl PrivateKeyProvider {
    /// Whether the proxy may go on with this tier: without `fallback`, not with `scalar`.
    pub fn admits(&self, tier: TierKind) -> bool {
        self.fallback || tier != TierKind::Scalar
    }

    /// What it says of acceleration.
    pub(super) fn acceleration(&self) -> TlsAcceleration {
        TlsAcceleration {
            poll_delay: Some(self.poll_delay.unwrap_or(Duration::ZERO)),
            max_tier: self.max_tier,
            break_even: self.break_even,
            ..TlsAcceleration::default()
        }
    }

    /// With the key that is inside, if one is.
    pub(super) fn check(raw: raw::PrivateKeyProvider, at: &At<'_>) -> Option<(Self, Option<RawDataSource>)> {
        let name_at = at.field("provider_name");
        let Some(name) = ProviderName::of(&raw.provider_name) else {
            return name_at.fail(match raw.provider_name.as_str() {
                "" => "it is required".to_owned(),
                other => format!("there is no provider {other:?}; known are cryptomb and multibuffer"),
            });
        };
        let at = at.field("typed_config");
        let Some(config) = raw.typed_config else { return at.fail("it is required") };
        check_type(config.type_url.as_deref(), name, &at);
        let mut provider = Self {
            name,
            fallback: raw.fallback.unwrap_or(false),
            poll_delay: config.poll_delay.map(|delay| delay.0),
            max_tier: acceleration::check_tier(config.max_tier.as_deref(), &at.field("max_tier")),
            break_even: acceleration::check_break_even(config.break_even, &at.field("break_even")),
        };
        if name == ProviderName::CryptoMb {
            let own = [("max_tier", config.max_tier.is_some()), ("break_even", config.break_even.is_some())];
            for (field, _) in own.into_iter().filter(|(_, is_there)| *is_there) {
                at.field(field).unsupported("only the provider multibuffer has this field");
            }
            (provider.max_tier, provider.break_even) = (None, None);
        }
        Some((provider, config.private_key))
    }
}

fn check_type(url: Option<&str>, provider: ProviderName, at: &At<'_>) {
    let name = url.map(|url| url.rsplit('/').next().unwrap_or(url));
    let messages = provider.messages();
    match name {
        None if provider == ProviderName::Multibuffer => {}
        None => at.field("@type").error(format!("it is required: type.googleapis.com/{}", messages[0])),
        Some(name) if messages.contains(&name) => {}
        Some(_) => at.field("@type").error(format!("expected type.googleapis.com/{}", messages[0])),
    }
}

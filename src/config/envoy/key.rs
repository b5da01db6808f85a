//! Reads a certificate with its key, and says whether the key is accelerated, and why not.

use super::certificate::Certificate;
use crate::arch::TierKind;
use crate::config::data_source::DataSource;
use crate::config::problem::{Checked, ConfigError, Problem};
use crate::error::KeyError;
use crate::provider;
use crate::validation::private_key;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A certificate with its key, ready for a rustls configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedCertificate {
    /// The chain and the key, which belong together.
    pub certified_key: Arc<CertifiedKey>,
    /// What serves the key's signatures.
    pub acceleration: KeyAcceleration,
}

/// What serves a key's signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAcceleration {
    /// No `private_key_provider` asked for anything.
    NotRequested,
    /// The lanes of the engine.
    Lanes,
    /// aws-lc-rs, for this reason.
    Scalar(String),
}

/// Why an engine of the tier `scalar` accelerates nothing.
const NO_LANES: &str = "there are no lanes on tier scalar";

impl Certificate {
    /// Reads the chain and the key as they are now, for an engine of this tier.
    ///
    /// What is not accelerated although a provider asks for it is a warning, and the reason is in
    /// [`LoadedCertificate::acceleration`].
    ///
    /// # Errors
    /// When something is missing or cannot be understood, when the key is not the certificate's, and when the
    /// tier is `scalar` although a provider without `fallback` asks for acceleration.
    pub fn load(&self, tier: TierKind) -> Result<Checked<LoadedCertificate>, ConfigError> {
        let chain = self.read_chain()?;
        let key = self.read_key()?;
        let signing_key = provider::sign::any_supported_type(&key.0).map_err(|e| self.key_problem(&e))?;
        let certified_key = CertifiedKey::new(chain, signing_key);
        certified_key.keys_match().map_err(|e| self.key_problem(&e))?;
        let acceleration = self.acceleration(tier, provider::check_lanes(&key.0))?;
        let warnings = match &acceleration {
            KeyAcceleration::Scalar(why) => {
                vec![self.problem(format!("private_key is not accelerated: {why}"))]
            }
            _ => Vec::new(),
        };
        let value = LoadedCertificate { certified_key: certified_key.into(), acceleration };
        Ok(Checked { value, warnings })
    }

    fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let source = &self.certificate_chain;
        let pem = self.read(source, "certificate_chain")?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match chain {
            Ok(chain) if chain.is_empty() => {
                Err(self.problem(format!("certificate_chain ({source}): no certificate in it")))
            }
            Ok(chain) => Ok(chain),
            Err(e) => Err(self.problem(format!("certificate_chain ({source}): {e}"))),
        }
    }

    fn read_key(&self) -> Result<WipedKey, Problem> {
        let pem = self.read(&self.private_key, "private_key")?;
        private_key(&pem).map(WipedKey).map_err(|e| self.key_problem(&e))
    }

    fn key_problem(&self, e: &dyn fmt::Display) -> Problem {
        self.problem(format!("private_key ({}): {e}", self.private_key))
    }

    /// Checks that an engine of this tier may go on with this certificate.
    pub(super) fn check_fallback(&self, tier: TierKind) -> Result<(), Problem> {
        match &self.private_key_provider {
            Some(provider) if !provider.admits(tier) => Err(self.problem(format!(
                "private_key_provider: {NO_LANES}, which is what this CPU and max_tier allow; with fallback: \
                 true it goes on without"
            ))),
            _ => Ok(()),
        }
    }

    fn acceleration(&self, tier: TierKind, lanes: Result<(), KeyError>) -> Result<KeyAcceleration, Problem> {
        self.check_fallback(tier)?;
        Ok(match (tier, lanes) {
            _ if self.private_key_provider.is_none() => KeyAcceleration::NotRequested,
            (TierKind::Scalar, _) => KeyAcceleration::Scalar(NO_LANES.to_owned()),
            (_, Err(e)) => KeyAcceleration::Scalar(format!("there are no lanes for such a key: {e}")),
            (_, Ok(())) => KeyAcceleration::Lanes,
        })
    }

    fn read(&self, source: &DataSource, field: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
        source.load().map_err(|e| self.problem(format!("{field} ({source}): {e}")))
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { location: self.location.clone(), message: message.into() }
    }
}

struct WipedKey(PrivateKeyDer<'static>);

impl Drop for WipedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

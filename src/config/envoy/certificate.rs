//! A certificate chain with its key.

use super::provider::PrivateKeyProvider;
use super::raw;
use crate::config::data_source::DataSource;
use crate::config::path::Location;
use crate::config::read::At;
use std::path::PathBuf;

/// A certificate chain with its key; [`load`](Self::load) reads them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Certificate {
    /// Where it stands in the configuration.
    pub location: Location,
    /// The chain, PEM.
    pub certificate_chain: DataSource,
    /// The key, PEM.
    pub private_key: DataSource,
    /// The directory that tells of new files, in place of the directories that they are in.
    pub watched_directory: Option<PathBuf>,
    /// Whether and how it is accelerated.
    pub private_key_provider: Option<PrivateKeyProvider>,
}

impl Certificate {
    pub(super) fn check(raw: raw::TlsCertificate, at: &At<'_>) -> Option<Self> {
        let chain_at = at.field("certificate_chain");
        let certificate_chain = match raw.certificate_chain {
            Some(chain) => chain.check(&chain_at),
            None => chain_at.fail("it is required"),
        };
        let provider_at = at.field("private_key_provider");
        let (provider, inside) = match raw.private_key_provider {
            Some(raw) => {
                let (provider, inside) = PrivateKeyProvider::check(raw, &provider_at)?;
                (Some(provider), inside)
            }
            None => (None, None),
        };
        let key_at = at.field("private_key");
        let inside_at = provider_at.field("typed_config").field("private_key");
        let private_key = match (raw.private_key, inside) {
            (Some(key), None) => key.check(&key_at),
            (None, Some(inside)) => inside.check(&inside_at),
            (Some(key), Some(inside)) => {
                key_at.warn("not used: the one in private_key_provider is");
                let (key, inside) = (key.check(&key_at), inside.check(&inside_at));
                key.and(inside)
            }
            (None, None) => key_at.fail("it is required, here or in private_key_provider.typed_config"),
        };
        let watched_directory = check_directory(raw.watched_directory, &at.field("watched_directory"));
        Some(Self {
            location: at.location(),
            certificate_chain: certificate_chain?,
            private_key: private_key?,
            watched_directory,
            private_key_provider: provider,
        })
    }
}

pub(super) fn check_directory(raw: Option<raw::WatchedDirectory>, at: &At<'_>) -> Option<PathBuf> {
    match raw?.path {
        path if path.is_empty() => at.field("path").fail("it is required"),
        path => Some(path.into()),
    }
}

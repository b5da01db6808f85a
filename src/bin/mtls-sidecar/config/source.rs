//! Where an identity comes from, whichever way it was written.

use rustls_multibuffer::config::{DataSource, TlsIdentity};
use rustls_multibuffer::spiffe::{EndpointError, SdsSource, WorkloadApiSource};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where an identity comes from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentitySource {
    /// Files, which are followed.
    Files {
        certificate_chain: PathBuf,
        private_key: PathBuf,
        trusted_ca: PathBuf,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        federated: BTreeMap<String, PathBuf>,
    },
    /// Read once, when the process starts.
    Static {
        #[serde(serialize_with = "show")]
        certificate_chain: DataSource,
        #[serde(serialize_with = "show")]
        private_key: DataSource,
        #[serde(serialize_with = "show")]
        trusted_ca: DataSource,
    },
    /// Two resources of an SDS server.
    Sds {
        address: String,
        certificate: String,
        trusted_ca: String,
        /// How long to wait for the first answer before the connection is made anew.
        #[serde(skip)]
        patience: Option<Duration>,
    },
    /// The SPIFFE Workload API.
    WorkloadApi {
        /// Default: what `SPIFFE_ENDPOINT_SOCKET` says.
        endpoint: Option<String>,
    },
}

/// Sources show where they are, never what is in them.
fn show<S: Serializer>(source: &DataSource, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(source)
}

impl IdentitySource {
    /// The source of a `tls_identity`; none, if this program does not know that kind.
    pub(super) fn of(identity: TlsIdentity) -> Option<Self> {
        Some(match identity {
            TlsIdentity::Files { certificate_chain, private_key, trusted_ca, federated } => {
                Self::Files { certificate_chain, private_key, trusted_ca, federated }
            }
            TlsIdentity::Directory { certificate_chain, private_key, trusted_ca, .. } => {
                Self::Files { certificate_chain, private_key, trusted_ca, federated: BTreeMap::new() }
            }
            TlsIdentity::Sds { address, certificate, trusted_ca } => {
                Self::Sds { address, certificate, trusted_ca, patience: None }
            }
            TlsIdentity::WorkloadApi { endpoint } => Self::WorkloadApi { endpoint },
            _ => return None,
        })
    }

    /// Whether its address is one.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn check_address(&self) -> Result<(), EndpointError> {
        match self {
            Self::Sds { address, .. } => SdsSource::new(address).map(drop),
            Self::WorkloadApi { endpoint } => workload_api(endpoint.as_deref()).map(drop),
            Self::Files { .. } | Self::Static { .. } => Ok(()),
        }
    }
}

/// The Workload API at an endpoint.
///
/// # Errors
/// The endpoint is no address, or `SPIFFE_ENDPOINT_SOCKET` is not there.
pub(crate) fn workload_api(endpoint: Option<&str>) -> Result<WorkloadApiSource, EndpointError> {
    endpoint.map_or_else(WorkloadApiSource::from_env, WorkloadApiSource::new)
}

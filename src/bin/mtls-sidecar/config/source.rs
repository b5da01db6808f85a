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
        /// The bundle of our own trust domain; none if it is among the others.
        trusted_ca: Option<PathBuf>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        federated: BTreeMap<String, PathBuf>,
        #[serde(flatten)]
        crl: Crl<PathBuf>,
    },
    /// Read once, when the process starts.
    Static {
        #[serde(serialize_with = "show")]
        certificate_chain: DataSource,
        #[serde(serialize_with = "show")]
        private_key: DataSource,
        #[serde(serialize_with = "show_option")]
        trusted_ca: Option<DataSource>,
        #[serde(serialize_with = "show_map", skip_serializing_if = "BTreeMap::is_empty")]
        federated: BTreeMap<String, DataSource>,
        #[serde(flatten)]
        crl: Crl<Shown>,
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

/// Revocation lists beside those that stand among the roots.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Crl<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crl: Option<T>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only_verify_leaf_cert_crl: bool,
}

/// A source that shows where it is.
#[derive(Clone, Debug)]
pub(crate) struct Shown(pub(crate) DataSource);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        show(&self.0, serializer)
    }
}

/// Sources show where they are, never what is in them.
fn show<S: Serializer>(source: &DataSource, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(source)
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn show_option<S: Serializer>(source: &Option<DataSource>, serializer: S) -> Result<S::Ok, S::Error> {
    source.clone().map(Shown).serialize(serializer)
}

fn show_map<S: Serializer>(sources: &BTreeMap<String, DataSource>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(sources.iter().map(|(name, source)| (name, Shown(source.clone()))))
}

impl IdentitySource {
    /// The source of a `tls_identity`; none, if this program does not know that kind.
    pub(super) fn of(identity: TlsIdentity) -> Option<Self> {
        Some(match identity {
            TlsIdentity::Files { certificate_chain, private_key, trusted_ca, federated } => {
                let trusted_ca = Some(trusted_ca);
                Self::Files { certificate_chain, private_key, trusted_ca, federated, crl: Crl::default() }
            }
            TlsIdentity::Directory { certificate_chain, private_key, trusted_ca, .. } => {
                let (trusted_ca, federated, crl) = (Some(trusted_ca), BTreeMap::new(), Crl::default());
                Self::Files { certificate_chain, private_key, trusted_ca, federated, crl }
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

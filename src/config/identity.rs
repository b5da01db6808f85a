//! The short form of where an identity comes from: `tls_identity`.

use super::node::Document;
use super::problem::{Checked, ConfigError, Mode};
use super::read::{At, Report, read};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the certificate, its key and the roots come from, all together: exactly one of its fields.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TlsIdentity"))]
#[serde(default)]
pub(super) struct RawTlsIdentity {
    /// Files that somebody keeps up to date.
    files: Option<RawFiles>,
    /// A directory that somebody keeps up to date.
    directory: Option<RawDirectory>,
    /// An SDS server.
    sds: Option<RawSds>,
    /// The SPIFFE Workload API.
    workload_api: Option<RawWorkloadApi>,
}

/// Three files, and one more for each trust domain that we federate with.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TlsIdentityFiles"))]
#[serde(default)]
struct RawFiles {
    /// The chain, PEM, our own certificate first.
    certificate_chain: String,
    /// The key, PEM.
    private_key: String,
    /// The roots of our own trust domain, PEM.
    trusted_ca: String,
    /// The roots of other trust domains, PEM, by the domains' names.
    federated: BTreeMap<String, String>,
}

/// A directory with three files.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TlsIdentityDirectory"))]
#[serde(default)]
struct RawDirectory {
    /// The directory, such as /etc/certs.
    path: String,
    /// The chain's file in it; default: cert-chain.pem.
    certificate_chain: Option<String>,
    /// The key's file in it; default: key.pem.
    private_key: Option<String>,
    /// The roots' file in it; default: root-cert.pem.
    trusted_ca: Option<String>,
}

/// Two resources of an SDS server.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TlsIdentitySds"))]
#[serde(default)]
struct RawSds {
    /// The server, such as unix:/run/spire/sockets/agent.sock.
    address: String,
    /// The resource with the certificate and its key; default: default.
    certificate: Option<String>,
    /// The resource with the roots; default: ROOTCA.
    trusted_ca: Option<String>,
}

/// The SPIFFE Workload API.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TlsIdentityWorkloadApi"))]
#[serde(default)]
struct RawWorkloadApi {
    /// The endpoint, unix:PATH or tcp:IP:PORT; default: what the environment variable SPIFFE_ENDPOINT_SOCKET says.
    endpoint: Option<String>,
}

/// Where a certificate with its key comes from, and the roots with it.
///
/// ```
/// use rustls_multibuffer::config::{Document, Mode, TlsIdentity};
///
/// let document = Document::parse("proxy.yaml", "tls_identity: {directory: {path: /etc/certs}}")?;
/// let Some(TlsIdentity::Directory { private_key, .. }) = TlsIdentity::read(&document, Mode::Strict)?.value
/// else { unreachable!() };
/// assert_eq!(private_key.to_str(), Some("/etc/certs/key.pem"));
/// # Ok::<(), rustls_multibuffer::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TlsIdentity {
    /// Files, to be read again whenever they change.
    Files {
        /// The chain, PEM.
        certificate_chain: PathBuf,
        /// The key, PEM.
        private_key: PathBuf,
        /// The roots of our own trust domain, PEM.
        trusted_ca: PathBuf,
        /// The roots of other trust domains, PEM, by the domains' names.
        federated: BTreeMap<String, PathBuf>,
    },
    /// Files of a directory, to be read again whenever they change.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The chain, PEM.
        certificate_chain: PathBuf,
        /// The key, PEM.
        private_key: PathBuf,
        /// The roots, PEM.
        trusted_ca: PathBuf,
    },
    /// Resources of an SDS server.
    Sds {
        /// The server's address.
        address: String,
        /// The resource with the certificate and its key.
        certificate: String,
        /// The resource with the roots.
        trusted_ca: String,
    },
    /// The SPIFFE Workload API.
    WorkloadApi {
        /// The endpoint; `None`: what `SPIFFE_ENDPOINT_SOCKET` says.
        endpoint: Option<String>,
    },
}

impl TlsIdentity {
    /// The `tls_identity` of a document, if there is one. Other fields of the document are the proxy's own.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &Document, mode: Mode) -> Result<Checked<Option<Self>>, ConfigError> {
        let Some(document) = document.at(&["tls_identity"]) else {
            return Ok(Checked { value: None, warnings: Vec::new() });
        };
        let report = Report::new(&document, mode);
        let value = read(&report).and_then(|raw| Self::check(raw, &report.root()));
        Ok(report.finish(value)?.map(Some))
    }

    fn check(raw: RawTlsIdentity, at: &At<'_>) -> Option<Self> {
        match (raw.files, raw.directory, raw.sds, raw.workload_api) {
            (Some(files), None, None, None) => check_files(files, &at.field("files")),
            (None, Some(directory), None, None) => check_directory(directory, &at.field("directory")),
            (None, None, Some(sds), None) => {
                check_address(
                    &sds.address,
                    &["unix:", "http://", "https://"],
                    &at.field("sds").field("address"),
                )?;
                Some(Self::Sds {
                    address: sds.address,
                    certificate: sds.certificate.unwrap_or_else(|| "default".to_owned()),
                    trusted_ca: sds.trusted_ca.unwrap_or_else(|| "ROOTCA".to_owned()),
                })
            }
            (None, None, None, Some(api)) => {
                if let Some(endpoint) = &api.endpoint {
                    check_address(endpoint, &["unix:", "tcp:"], &at.field("workload_api").field("endpoint"))?;
                }
                Some(Self::WorkloadApi { endpoint: api.endpoint })
            }
            _ => at.fail("expected one of files, directory, sds and workload_api"),
        }
    }
}

fn check_files(raw: RawFiles, at: &At<'_>) -> Option<TlsIdentity> {
    let required = |name, file: String| match file.is_empty() {
        true => at.field(name).fail("it is required"),
        false => Some(PathBuf::from(file)),
    };
    let [certificate_chain, private_key, trusted_ca] = [
        required("certificate_chain", raw.certificate_chain),
        required("private_key", raw.private_key),
        required("trusted_ca", raw.trusted_ca),
    ];
    Some(TlsIdentity::Files {
        certificate_chain: certificate_chain?,
        private_key: private_key?,
        trusted_ca: trusted_ca?,
        federated: raw.federated.into_iter().map(|(domain, file)| (domain, file.into())).collect(),
    })
}

fn check_directory(raw: RawDirectory, at: &At<'_>) -> Option<TlsIdentity> {
    if raw.path.is_empty() {
        return at.field("path").fail("it is required");
    }
    let path = PathBuf::from(raw.path);
    let file = |name: Option<String>, default: &str| path.join(name.as_deref().unwrap_or(default));
    Some(TlsIdentity::Directory {
        certificate_chain: file(raw.certificate_chain, "cert-chain.pem"),
        private_key: file(raw.private_key, "key.pem"),
        trusted_ca: file(raw.trusted_ca, "root-cert.pem"),
        path,
    })
}

fn check_address(address: &str, schemes: &[&str], at: &At<'_>) -> Option<()> {
    let has_one = schemes.iter().any(|scheme| address.len() > scheme.len() && address.starts_with(scheme));
    if has_one {
        Some(())
    } else {
        at.fail(format!("expected an address that begins with {}", schemes.join(" or ")))
    }
}

//! Where an identity comes from, and the short form of it: `tls_identity`.

use super::data_source::DataSource;
use super::messages::messages;
use super::node::Document;
use super::problem::{Checked, ConfigError, Mode};
use super::read::{At, Report, read};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

messages! {
    /// Where the certificate, its key and the roots come from, all together: exactly one of its fields.
    struct RawTlsIdentity as "TlsIdentity" {
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
    struct RawFiles as "TlsIdentityFiles" {
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
    struct RawDirectory as "TlsIdentityDirectory" {
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
    struct RawSds as "TlsIdentitySds" {
        /// The server, such as unix:/run/spire/sockets/agent.sock.
        address: String,
        /// The resource with the certificate and its key; default: default.
        certificate: Option<String>,
        /// The resource with the roots; default: ROOTCA.
        trusted_ca: Option<String>,
    }

    /// The SPIFFE Workload API.
    struct RawWorkloadApi as "TlsIdentityWorkloadApi" {
        /// The endpoint, unix:PATH or tcp:IP:PORT; default: what the environment variable
        /// SPIFFE_ENDPOINT_SOCKET says.
        endpoint: Option<String>,
    }
}

/// Where an identity comes from: a certificate with its key, and the roots with it. A `tls_identity` says it,
/// or the TLS context of a listener
/// ([`CommonTlsContext::identity`](super::envoy::CommonTlsContext::identity)).
///
/// ```
/// use rustls_multibuffer::config::{Document, Mode, TlsIdentity};
///
/// let document = Document::parse("proxy.yaml", "tls_identity: {directory: {path: /etc/certs}}")?;
/// let identity = TlsIdentity::read(&document, Mode::Strict)?.value;
/// let Some(TlsIdentity::Files(files)) = identity else { unreachable!() };
/// assert_eq!(files.private_key.to_str(), Some("/etc/certs/key.pem"));
/// # Ok::<(), rustls_multibuffer::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TlsIdentity {
    /// Files, to be read again whenever they change.
    Files(PemSources<PathBuf>),
    /// To be read once: not all of it is in files.
    Static(PemSources<DataSource>),
    /// Resources of an SDS server.
    Sds {
        /// The server's address.
        address: String,
        /// The resource with the certificate and its key.
        certificate: String,
        /// The resource with the roots.
        trusted_ca: String,
        /// How long to wait for the first answer before the connection is made anew.
        #[serde(skip)]
        patience: Option<Duration>,
    },
    /// The SPIFFE Workload API.
    WorkloadApi {
        /// The endpoint; `None`: what `SPIFFE_ENDPOINT_SOCKET` says.
        endpoint: Option<String>,
    },
}

/// Where the parts of an identity are, each in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PemSources<T> {
    /// The chain, our own certificate first.
    pub certificate_chain: T,
    /// The private key of that certificate.
    pub private_key: T,
    /// The roots of our own trust domain; `None` if they are among the others.
    pub trusted_ca: Option<T>,
    /// The roots of other trust domains, by the domains' names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub federated: BTreeMap<String, T>,
    /// Revocation lists beside those that stand among the roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl: Option<T>,
    /// Whether only the peer's own certificate is looked up in the revocation lists.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_verify_leaf_cert_crl: bool,
}

impl<T> PemSources<T> {
    /// The roots of one trust domain, without more revocation lists.
    fn new(certificate_chain: T, private_key: T, trusted_ca: T) -> Self {
        Self {
            certificate_chain,
            private_key,
            trusted_ca: Some(trusted_ca),
            federated: BTreeMap::new(),
            crl: None,
            only_verify_leaf_cert_crl: false,
        }
    }

    /// The same with each source as what `f` makes of it; `None` if it makes nothing of one.
    pub(super) fn try_map<U>(&self, f: impl Fn(&T) -> Option<U>) -> Option<PemSources<U>> {
        let federated = self.federated.iter().map(|(domain, source)| Some((domain.clone(), f(source)?)));
        Some(PemSources {
            certificate_chain: f(&self.certificate_chain)?,
            private_key: f(&self.private_key)?,
            trusted_ca: self.trusted_ca.as_ref().map_or(Some(None), |source| f(source).map(Some))?,
            federated: federated.collect::<Option<_>>()?,
            crl: self.crl.as_ref().map_or(Some(None), |source| f(source).map(Some))?,
            only_verify_leaf_cert_crl: self.only_verify_leaf_cert_crl,
        })
    }
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
                    patience: None,
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
    let mut files = PemSources::new(certificate_chain?, private_key?, trusted_ca?);
    files.federated = raw.federated.into_iter().map(|(domain, file)| (domain, file.into())).collect();
    Some(TlsIdentity::Files(files))
}

fn check_directory(raw: RawDirectory, at: &At<'_>) -> Option<TlsIdentity> {
    if raw.path.is_empty() {
        return at.field("path").fail("it is required");
    }
    let path = PathBuf::from(raw.path);
    let file = |name: Option<String>, default: &str| path.join(name.as_deref().unwrap_or(default));
    let chain = file(raw.certificate_chain, "cert-chain.pem");
    let key = file(raw.private_key, "key.pem");
    let roots = file(raw.trusted_ca, "root-cert.pem");
    Some(TlsIdentity::Files(PemSources::new(chain, key, roots)))
}

fn check_address(address: &str, schemes: &[&str], at: &At<'_>) -> Option<()> {
    let has_one = schemes.iter().any(|scheme| address.len() > scheme.len() && address.starts_with(scheme));
    if has_one {
        Some(())
    } else {
        at.fail(format!("expected an address that begins with {}", schemes.join(" or ")))
    }
}

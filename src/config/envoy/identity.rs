//! The identity of a context: its certificate, and the roots that go with it.

use super::context::{CertificateSource, CommonTlsContext};
use super::sds::{SdsSecret, SdsServer};
use super::validation::TrustedCa;
use crate::config::data_source::DataSource;
use crate::config::identity::{PemSources, TlsIdentity};
use crate::config::path::Location;
use crate::config::problem::Problem;
use std::collections::BTreeMap;

impl CommonTlsContext {
    /// Where the certificate and the roots come from, for mutual TLS: one certificate, and both from the same
    /// place. Files are followed whenever all parts are in files; Envoy does that with a `watched_directory`
    /// only.
    ///
    /// `at` is where the context stands, and `clusters` has the addresses of SDS servers by the names of
    /// their clusters.
    ///
    /// # Errors
    /// There is no such identity.
    pub fn identity(
        &self,
        at: &Location,
        clusters: &BTreeMap<String, String>,
    ) -> Result<TlsIdentity, Problem> {
        self.source(clusters).map_err(|message| Problem { location: at.clone(), message })
    }

    fn source(&self, clusters: &BTreeMap<String, String>) -> Result<TlsIdentity, String> {
        let [certificate] = &self.certificates[..] else {
            return Err(format!("expected one certificate, found {}", self.certificates.len()));
        };
        let Some(validation) = &self.validation else {
            return Err("a validation context is needed: this is for mutual TLS only".into());
        };
        let (ours, roots, federated) = match (certificate, &validation.trusted_ca) {
            (CertificateSource::Certificate(ours), TrustedCa::Source { source, .. }) => {
                (ours, Some(source.clone()), BTreeMap::new())
            }
            (CertificateSource::Certificate(ours), TrustedCa::PerDomain(bundles)) => {
                (ours, None, bundles.clone())
            }
            (CertificateSource::Sds(ours), TrustedCa::Sds(roots)) => {
                return of_secrets(ours, roots, clusters);
            }
            _ => return Err("certificate and trusted_ca must both come from SDS, or neither of them".into()),
        };
        let sources = PemSources {
            certificate_chain: ours.certificate_chain.clone(),
            private_key: ours.private_key.clone(),
            trusted_ca: roots,
            federated,
            crl: validation.crl.clone(),
            only_verify_leaf_cert_crl: validation.only_verify_leaf_crl,
        };
        let files = sources.try_map(|source| match source {
            DataSource::File(path) => Some(path.clone()),
            _ => None,
        });
        Ok(files.map_or_else(|| TlsIdentity::Static(sources), TlsIdentity::Files))
    }
}

fn of_secrets(
    ours: &SdsSecret,
    roots: &SdsSecret,
    clusters: &BTreeMap<String, String>,
) -> Result<TlsIdentity, String> {
    if ours.server != roots.server {
        return Err("certificate and trusted_ca must come from the same SDS server".into());
    }
    let address = match &ours.server {
        SdsServer::Address(address) => address,
        SdsServer::Cluster(name) => match clusters.get(name) {
            Some(address) => address,
            None => return Err(format!("clusters.{name} is needed: the address of that SDS server")),
        },
        SdsServer::File { .. } => {
            return Err("secrets in files of Envoy's own format are not supported".into());
        }
    };
    Ok(TlsIdentity::Sds {
        address: address.clone(),
        certificate: ours.name.clone(),
        trusted_ca: roots.name.clone(),
        patience: ours.initial_fetch_timeout,
    })
}

//! From a configuration to a running identity, and to whom it lets in.

use super::data_source::DataSource;
use super::envoy::ValidationContext;
use super::identity::{PemSources, TlsIdentity};
use crate::spiffe::{
    Authorizer, FileSource, Identity, IdentityBuilder, Material, SdsSource, TrustBundle, TrustDomain,
    WorkloadApiSource,
};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// An identity cannot be started: a name or an address is malformed, or a source that is read only once
/// cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError(String);

impl IdentityError {
    fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for IdentityError {}

impl TlsIdentity {
    /// Starts the identity with the settings of `builder`: its tasks run on the current tokio runtime.
    ///
    /// # Errors
    /// A trust domain's name or an address is malformed; a source that is read only once cannot be read.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, builder: IdentityBuilder) -> Result<Identity, IdentityError> {
        Ok(match self {
            Self::Files(files) => builder.start(files.follow()?),
            Self::Static(sources) => builder.start(sources.read()?),
            Self::Sds { address, certificate, trusted_ca, patience } => {
                let sds = SdsSource::new(address).map_err(IdentityError::new)?;
                let sds = sds.certificate(certificate).bundle(trusted_ca);
                builder.start(match patience {
                    Some(patience) => sds.patience(*patience),
                    None => sds,
                })
            }
            Self::WorkloadApi { endpoint } => builder.start(workload_api(endpoint.as_deref())?),
        })
    }

    /// Checks the address of the server, if there is one.
    ///
    /// # Errors
    /// It is malformed, or is to come from an environment variable that is not set.
    pub fn check_address(&self) -> Result<(), IdentityError> {
        match self {
            Self::Sds { address, .. } => SdsSource::new(address).map(drop).map_err(IdentityError::new),
            Self::WorkloadApi { endpoint } => workload_api(endpoint.as_deref()).map(drop),
            Self::Files(_) | Self::Static(_) => Ok(()),
        }
    }
}

fn workload_api(endpoint: Option<&str>) -> Result<WorkloadApiSource, IdentityError> {
    endpoint.map_or_else(WorkloadApiSource::from_env, WorkloadApiSource::new).map_err(IdentityError::new)
}

fn domain(name: &str) -> Result<TrustDomain, IdentityError> {
    TrustDomain::new(name).map_err(IdentityError::new)
}

impl PemSources<PathBuf> {
    fn follow(&self) -> Result<FileSource, IdentityError> {
        let mut files = match &self.trusted_ca {
            Some(trusted_ca) => FileSource::new(&self.certificate_chain, &self.private_key, trusted_ca),
            None => FileSource::federation(&self.certificate_chain, &self.private_key),
        };
        files = files.only_verify_leaf_crl(self.only_verify_leaf_cert_crl);
        if let Some(crl) = &self.crl {
            files = files.crl(crl);
        }
        for (name, bundle) in &self.federated {
            files = files.federated(domain(name)?, bundle);
        }
        Ok(files)
    }
}

impl PemSources<DataSource> {
    fn read(&self) -> Result<Material, IdentityError> {
        let (chain, key) = (load(&self.certificate_chain)?, load(&self.private_key)?);
        let material = match &self.trusted_ca {
            Some(roots) => Material::from_pem(&chain, &key, &load(roots)?),
            None => {
                let bundle = |(name, source): (&String, _)| {
                    let bundle = TrustBundle::from_pem(&load(source)?);
                    Ok((domain(name)?, bundle.map_err(|e| IdentityError(format!("{name}: {e}")))?))
                };
                let bundles = self.federated.iter().map(bundle).collect::<Result<_, _>>()?;
                Material::from_pem_of_domains(&chain, &key, bundles)
            }
        };
        let mut material = material.map_err(IdentityError::new)?;
        if let Some(crl) = &self.crl {
            material.add_crls(&load(crl)?).map_err(|e| IdentityError(format!("crl: {e}")))?;
        }
        for bundle in material.bundles.values_mut() {
            bundle.only_verify_leaf_crl = self.only_verify_leaf_cert_crl;
        }
        Ok(material)
    }
}

fn load(source: &DataSource) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    source.load().map_err(|e| IdentityError(format!("{source}: {e}")))
}

impl ValidationContext {
    /// Lets in whoever [`admits`](Self::admits) does.
    pub fn authorizer(&self) -> Authorizer {
        let context = self.clone();
        Authorizer::custom(move |peer| context.admits([peer.to_string().as_str()]))
    }
}

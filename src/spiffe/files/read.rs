//! The files' contents, and the material in them.

use super::Paths;
use crate::spiffe::leaf::Leaf;
use crate::spiffe::refusal::Refusal;
use crate::spiffe::source::{Material, Svid};
use ::spiffe::TrustDomain;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::io::{Error, ErrorKind};
use std::path::Path;
use zeroize::Zeroizing;

/// What the files held when they were read, one after the other.
pub(super) struct Contents {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    bundle: Vec<u8>,
    /// None where there is no such file.
    federated: Vec<(TrustDomain, Option<Vec<u8>>)>,
}

impl Contents {
    /// Another domain's file may be missing: else its administrator, by taking it back, would stop our own rotation, and stay
    /// trusted by that.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], if one of the files cannot be read.
    pub(super) fn read(paths: &Paths) -> Result<Self, Refusal> {
        let mut federated = Vec::new();
        for (domain, path) in &paths.federated {
            let bundle = match std::fs::read(path) {
                Ok(bundle) => Some(bundle),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => return Err(unreadable(path, &e)),
            };
            federated.push((domain.clone(), bundle));
        }
        Ok(Self {
            chain: read(&paths.chain)?,
            key: Zeroizing::new(read(&paths.key)?),
            bundle: read(&paths.bundle)?,
            federated,
        })
    }

    /// Says which bundles are not there.
    pub(super) fn warn_of_missing(&self) {
        for (domain, _) in self.federated.iter().filter(|(_, bundle)| bundle.is_none()) {
            log::warn!("the file of {domain}'s bundle is missing: its workloads are not trusted");
        }
    }

    /// Tells whether anything has changed since another reading.
    pub(super) fn fingerprint(&self, keyed: &impl BuildHasher) -> u64 {
        let Self { chain, key, bundle, federated } = self;
        keyed.hash_one((chain, &**key, bundle, federated))
    }

    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Empty`]; what the leaf lacks, if it does not say our trust domain.
    pub(super) fn parse(&self) -> Result<Material, Refusal> {
        let mut material = Material::from_pem(&self.chain, &self.key, &self.bundle)?;
        for (domain, pem) in &self.federated {
            let roots = certificates(pem.as_deref().unwrap_or_default())?;
            // Nobody else speaks for our own trust domain.
            material.bundles.entry(domain.clone()).or_insert(roots);
        }
        Ok(material)
    }
}

impl Material {
    /// From PEM: our certificates, leaf first; the key in PKCS#8, PKCS#1 or SEC 1; and the roots of our own trust domain, which
    /// is the one that the leaf says.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Empty`] or [`Refusal::Key`]; what the leaf lacks, if it does not say our trust
    /// domain. Nothing else is checked yet.
    pub fn from_pem(chain: &[u8], key: &[u8], bundle: &[u8]) -> Result<Self, Refusal> {
        let chain = certificates(chain)?;
        let leaf = chain.first().ok_or(Refusal::Empty)?;
        let own = Leaf::read(leaf)?.id.trust_domain().clone();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| Refusal::Key(e.to_string()))?;
        let bundles = BTreeMap::from([(own, certificates(bundle)?)]);
        Ok(Self { svid: Svid { chain, key: key.into() }, bundles })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, why: &Error) -> Refusal {
    Refusal::Malformed(format!("{}: {why}", path.display()))
}

/// All certificates of a PEM file; a section that does not end is an error.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>();
    certificates.map_err(|e| Refusal::Malformed(e.to_string()))
}

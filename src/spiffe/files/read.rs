//! The files' contents, and the material in them.

use super::Paths;
use crate::spiffe::leaf::Leaf;
use crate::spiffe::refusal::Refusal;
use crate::spiffe::source::{Material, Svid, TrustBundle};
use crate::validation::private_key;
use ::spiffe::TrustDomain;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::io::{Error, ErrorKind};
use std::path::Path;
use zeroize::Zeroizing;

/// None where there is no such file; or why it cannot be read.
type Federated = Result<Option<Vec<u8>>, String>;

/// What the files held when they were read, one after the other.
pub(super) struct Contents {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    bundle: Option<Vec<u8>>,
    crl: Option<Vec<u8>>,
    federated: Vec<(TrustDomain, Federated)>,
    only_verify_leaf_crl: bool,
}

impl Contents {
    /// Another domain's file may be missing or not be readable: else its administrator, by taking it back,
    /// would stop our own rotation, and stay trusted by that.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], if one of the other files cannot be read.
    pub(super) fn read(paths: &Paths) -> Result<Self, Refusal> {
        let federated = paths.federated.iter().map(|(domain, path)| {
            let bundle = match std::fs::read(path) {
                Ok(bundle) => Ok(Some(bundle)),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                Err(e) => Err(unreadable(path, &e)),
            };
            (domain.clone(), bundle)
        });
        Ok(Self {
            chain: read(&paths.chain)?,
            key: Zeroizing::new(read(&paths.key)?),
            bundle: paths.bundle.as_deref().map(read).transpose()?,
            crl: paths.crl.as_deref().map(read).transpose()?,
            federated: federated.collect(),
            only_verify_leaf_crl: paths.only_verify_leaf_crl,
        })
    }

    /// Says which bundles are not there.
    pub(super) fn warn_of_missing(&self) {
        for (domain, _) in self.federated.iter().filter(|(_, bundle)| *bundle == Ok(None)) {
            log::warn!("the file of {domain}'s bundle is missing: its workloads are not trusted");
        }
    }

    /// Tells whether anything has changed since another reading.
    pub(super) fn fingerprint(&self, keyed: &impl BuildHasher) -> u64 {
        let Self { chain, key, bundle, crl, federated, only_verify_leaf_crl: _ } = self;
        keyed.hash_one((chain, &**key, bundle, crl, federated))
    }

    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Empty`]; what the leaf lacks, if it does not say our trust
    /// domain.
    pub(super) fn parse(&self) -> Result<Material, Refusal> {
        let (svid, own) = svid(&self.chain, &self.key)?;
        let mut bundles = BTreeMap::new();
        if let Some(bundle) = &self.bundle {
            bundles.insert(own, TrustBundle::from_pem(bundle)?);
        }
        for (domain, pem) in &self.federated {
            let bundle = match pem {
                Ok(pem) => federated(pem.as_deref().unwrap_or_default()),
                Err(why) => TrustBundle::unusable(why),
            };
            // Nobody else speaks for our own trust domain.
            bundles.entry(domain.clone()).or_insert(bundle);
        }
        let mut material = Material { svid, bundles };
        if let Some(crl) = &self.crl {
            material.add_crls(crl)?;
        }
        if self.only_verify_leaf_crl {
            material.bundles.values_mut().for_each(|bundle| bundle.only_verify_leaf_crl = true);
        }
        Ok(material)
    }
}

impl Material {
    /// From PEM: our certificates, leaf first; the key in PKCS#8, PKCS#1 or SEC 1; and the bundle of our own
    /// trust domain, as [`TrustBundle::from_pem`] reads it. The leaf says which domain that is.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Empty`] or [`Refusal::Key`]; what the leaf lacks, if it does not
    /// say our trust domain. Nothing else is checked yet.
    pub fn from_pem(chain: &[u8], key: &[u8], bundle: &[u8]) -> Result<Self, Refusal> {
        let (svid, own) = svid(chain, key)?;
        Ok(Self { svid, bundles: BTreeMap::from([(own, TrustBundle::from_pem(bundle)?)]) })
    }

    /// The same with the bundles of several trust domains, which are named.
    ///
    /// # Errors
    /// Those of [`from_pem`](Self::from_pem).
    pub fn from_pem_of_domains(
        chain: &[u8],
        key: &[u8],
        bundles: BTreeMap<TrustDomain, TrustBundle>,
    ) -> Result<Self, Refusal> {
        Ok(Self { svid: svid(chain, key)?.0, bundles })
    }

    /// Adds the revocation lists of a PEM file to the bundle of each trust domain.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], if it cannot be read; [`Refusal::Empty`], if there are none in it.
    pub fn add_crls(&mut self, pem: &[u8]) -> Result<(), Refusal> {
        let crls = TrustBundle::from_pem(pem)?.crls;
        if crls.is_empty() {
            return Err(Refusal::Empty);
        }
        self.bundles.values_mut().for_each(|bundle| bundle.crls.extend(crls.iter().cloned()));
        Ok(())
    }
}

/// Another domain's bundle: an empty file takes it back, and one that holds anything else but certificates
/// cannot be used.
fn federated(pem: &[u8]) -> TrustBundle {
    match pem.trim_ascii() {
        [] => TrustBundle::default(),
        pem => TrustBundle::from_pem_with_roots(pem).unwrap_or_else(TrustBundle::unusable),
    }
}

/// Our SVID, and its trust domain.
fn svid(chain: &[u8], key: &[u8]) -> Result<(Svid, TrustDomain), Refusal> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|e| Refusal::Malformed(e.to_string()))?;
    let leaf = chain.first().ok_or(Refusal::Empty)?;
    let own = Leaf::read(leaf)?.id.trust_domain().clone();
    let key = private_key(key).map_err(Refusal::Key)?;
    Ok((Svid { chain, key: key.into() }, own))
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|e| Refusal::Malformed(unreadable(path, &e)))
}

fn unreadable(path: &Path, why: &Error) -> String {
    format!("{}: {why}", path.display())
}

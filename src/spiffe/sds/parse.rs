//! Secrets as identity material.

use super::super::proto::discovery::{
    Any, DataSource, SECRET_TYPE, SPIFFE_VALIDATOR_TYPE, Secret, SecretKind, Specifier, SpiffeValidator,
    TlsCertificate, ValidationContext,
};
use super::super::source::Svid;
use super::super::{Refusal, TrustDomain};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The roots that a resource holds.
#[derive(Clone, Debug)]
pub(super) enum Bundle {
    /// Of one domain, which the resource does not name.
    Roots(Vec<CertificateDer<'static>>),
    /// Of each of these domains, and of no other.
    PerDomain(BTreeMap<TrustDomain, Vec<CertificateDer<'static>>>),
}

/// What a resource holds.
pub(super) enum Parsed {
    Certificate(Svid),
    Bundle(Bundle),
}

/// A resource by its name.
pub(super) fn secret(resource: Any) -> Result<(String, Parsed), Refusal> {
    let value = Zeroizing::new(resource.value);
    if resource.type_url != SECRET_TYPE {
        return Err(malformed(format!("a resource of type {}", resource.type_url)));
    }
    let secret = Secret::decode(&value[..]).map_err(malformed)?;
    let parsed = match secret.kind {
        Some(SecretKind::TlsCertificate(certificate)) => Parsed::Certificate(svid(certificate)?),
        Some(SecretKind::ValidationContext(context)) => Parsed::Bundle(bundle(context)?),
        None => return Err(malformed(format!("secret {} is of no kind that we know", secret.name))),
    };
    Ok((secret.name, parsed))
}

fn svid(certificate: TlsCertificate) -> Result<Svid, Refusal> {
    // First, so that it is wiped whatever becomes of the rest.
    let key = Zeroizing::new(inline(certificate.private_key)?);
    let chain = certificates(&inline(certificate.certificate_chain)?)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|why| Refusal::Key(why.to_string()))?;
    Ok(Svid { chain, key: key.into() })
}

fn bundle(context: ValidationContext) -> Result<Bundle, Refusal> {
    let Some(config) = context.custom_validator_config else {
        return Ok(Bundle::Roots(certificates(&inline(context.trusted_ca)?)?));
    };
    match config.typed_config {
        Some(config) if config.type_url == SPIFFE_VALIDATOR_TYPE => {
            Ok(Bundle::PerDomain(per_domain(SpiffeValidator::decode(&config.value[..]).map_err(malformed)?)?))
        }
        _ => Err(malformed(format!("a validator that we do not know, {}", config.name))),
    }
}

fn per_domain(
    validator: SpiffeValidator,
) -> Result<BTreeMap<TrustDomain, Vec<CertificateDer<'static>>>, Refusal> {
    let entries = validator.trust_domains.into_iter().map(|entry| {
        let domain = TrustDomain::new(&entry.name).map_err(malformed)?;
        Ok((domain, certificates(&inline(entry.trust_bundle)?)?))
    });
    entries.collect()
}

fn inline(source: Option<DataSource>) -> Result<Vec<u8>, Refusal> {
    match source.and_then(|source| source.specifier) {
        Some(Specifier::InlineBytes(bytes)) => Ok(bytes),
        Some(Specifier::InlineString(text)) => Ok(text.into_bytes()),
        None => Err(malformed("data that is not in the message")),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates.map_err(malformed)? {
        none if none.is_empty() => Err(Refusal::Empty),
        certificates => Ok(certificates),
    }
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(why.to_string())
}

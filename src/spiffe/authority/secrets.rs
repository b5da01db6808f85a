//! What an authority publishes, as Envoy's secrets.

use super::ca::IssuedSvid;
use super::view::View;
use crate::spiffe::proto::discovery::{
    Any, DataSource, DomainBundle, ExtensionConfig, SECRET_TYPE, SPIFFE_VALIDATOR_TYPE, Secret, SecretKind,
    Specifier, SpiffeValidator, TlsCertificate, ValidationContext,
};
use ::spiffe::{SpiffeId, TrustDomain};
use pkcs8::LineEnding;
use pkcs8::der::pem;
use prost::Message;
use rustls::pki_types::CertificateDer;
use tonic::Status;

/// The resources with these names, in this order. What does not exist is left out; no names at all are all
/// names.
pub(super) fn resources(view: &View, ids: &[SpiffeId], names: &[String]) -> Result<Vec<Any>, Status> {
    if ids.iter().all(|id| view.svid(id).is_none()) {
        return Err(Status::permission_denied("no identity issued"));
    }
    let all = ["default".to_owned(), "ROOTCA".to_owned()];
    let names = if names.is_empty() { &all } else { names };
    let secret = |name: &String| {
        let kind = Some(kind(view, ids, name)?);
        Some(any(SECRET_TYPE, &Secret { name: name.clone(), kind }))
    };
    Ok(names.iter().filter_map(secret).collect())
}

fn kind(view: &View, ids: &[SpiffeId], name: &str) -> Option<SecretKind> {
    if let Some(id) = identity(ids, name) {
        return view.svid(id).map(certificate);
    }
    let context = match name {
        "ROOTCA" => trusting(view.own_bundle()?),
        "ALL" => validator(view),
        _ => trusting(view.bundles.get(&TrustDomain::new(name).ok()?)?),
    };
    Some(SecretKind::ValidationContext(context))
}

/// The identity that a name stands for.
fn identity<'a>(ids: &'a [SpiffeId], name: &str) -> Option<&'a SpiffeId> {
    match name {
        "" | "default" => ids.first(),
        _ => ids.iter().find(|id| id.to_string() == name),
    }
}

fn certificate(svid: &IssuedSvid) -> SecretKind {
    let key = encoded("PRIVATE KEY", svid.key.expose().secret_der());
    SecretKind::TlsCertificate(TlsCertificate {
        certificate_chain: Some(inline(certificates(&svid.chain))),
        private_key: Some(inline(key)),
        private_key_provider: None,
    })
}

fn trusting(roots: &[CertificateDer<'_>]) -> ValidationContext {
    ValidationContext { trusted_ca: Some(inline(certificates(roots))), ..Default::default() }
}

fn validator(view: &View) -> ValidationContext {
    let bundle = |(domain, roots): (&TrustDomain, &std::sync::Arc<[CertificateDer<'static>]>)| DomainBundle {
        name: domain.to_string(),
        trust_bundle: Some(inline(certificates(roots))),
    };
    let validator = SpiffeValidator { trust_domains: view.bundles.iter().map(bundle).collect() };
    let config = ExtensionConfig {
        name: "envoy.tls.cert_validator.spiffe".to_owned(),
        typed_config: Some(any(SPIFFE_VALIDATOR_TYPE, &validator)),
    };
    ValidationContext { custom_validator_config: Some(config), ..Default::default() }
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

fn inline(pem: String) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(pem.into_bytes())) }
}

fn certificates(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| encoded("CERTIFICATE", certificate)).collect()
}

fn encoded(label: &str, der: &[u8]) -> String {
    pem::encode_string(label, LineEnding::LF, der).expect("certificates and keys are small")
}

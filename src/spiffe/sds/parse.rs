//! Secrets as identity material.

use super::super::Refusal;
use super::super::proto::discovery::{
    Any, CryptoMbConfig, PrivateKeyProvider, SECRET_TYPE, Secret, SecretKind, TlsCertificate,
};
use super::super::source::Svid;
use super::context::{Bundle, bundle};
use super::fields::{check_fields, inline, malformed};
use crate::validation::private_key;
use prost::Message;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// The messages of Envoy's CryptoMB provider.
const CRYPTOMB: [&str; 2] = [
    "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig",
    "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3.CryptoMbPrivateKeyMethodConfig",
];

/// What a resource holds.
pub(super) enum Parsed {
    Certificate(Svid),
    Bundle(Bundle),
}

/// A resource by its name, and what is in it.
///
/// # Errors
/// It is no secret.
pub(super) fn secret(resource: Any) -> Result<(String, Result<Parsed, Refusal>), Refusal> {
    let value = Zeroizing::new(resource.value);
    if resource.type_url != SECRET_TYPE {
        return Err(malformed(format!("a resource of type {}", resource.type_url)));
    }
    let secret = Secret::decode(&value[..]).map_err(malformed)?;
    let parsed = parse(secret.kind, &value);
    Ok((secret.name.clone(), parsed.map_err(|refusal| in_secret(&secret.name, refusal))))
}

/// `secret` is the whole message.
fn parse(kind: Option<SecretKind>, secret: &[u8]) -> Result<Parsed, Refusal> {
    match kind {
        Some(SecretKind::TlsCertificate(certificate)) => {
            check_fields(secret, 2, &TLS_CERTIFICATE)?;
            Ok(Parsed::Certificate(svid(certificate)?))
        }
        Some(SecretKind::ValidationContext(context)) => {
            check_fields(secret, 4, &VALIDATION_CONTEXT)?;
            Ok(Parsed::Bundle(bundle(context)?))
        }
        None => Err(malformed("it is of no kind that we know")),
    }
}

/// Says which secret it is about.
fn in_secret(name: &str, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Malformed(why) => Refusal::Malformed(format!("secret {name:?}: {why}")),
        Refusal::Unsupported(why) => Refusal::Unsupported(format!("secret {name:?}: {why}")),
        other => other,
    }
}

/// The fields of Envoy's `TlsCertificate` that are used, and those that may be left aside: watched_directory
/// is about files, and an OCSP staple or a certificate's timestamps would only add to what we present.
const TLS_CERTIFICATE: [u32; 6] = [1, 2, 4, 5, 6, 7];

/// The fields of Envoy's `CertificateValidationContext` that are judged; watched_directory (11) is about
/// files.
const VALIDATION_CONTEXT: [u32; 13] = [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16];

fn svid(certificate: TlsCertificate) -> Result<Svid, Refusal> {
    // First, so that they are wiped whatever becomes of the rest.
    let beside = certificate.private_key.map(|key| inline("private_key", Some(key)).map(Zeroizing::new));
    let inside = certificate.private_key_provider.map(provided_key).transpose()?.flatten();
    let key = match (inside, beside) {
        (Some(key), _) => key,
        (None, Some(key)) => key?,
        (None, None) => return Err(malformed("private_key is not there, nor one in private_key_provider")),
    };
    let chain = inline("certificate_chain", certificate.certificate_chain)?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    if chain.is_empty() {
        return Err(Refusal::Empty);
    }
    Ok(Svid { chain, key: private_key(&key).map_err(Refusal::Key)?.into() })
}

/// The key in a provider's settings. Its other settings concern engines, which are made before any secret
/// comes.
fn provided_key(provider: PrivateKeyProvider) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
    let unsupported = |why: String| Err(Refusal::Unsupported(format!("private_key_provider: {why}")));
    if provider.provider_name != "cryptomb" {
        return unsupported(format!("there is no provider {:?}; known is cryptomb", provider.provider_name));
    }
    let Some(config) = provider.typed_config else {
        return unsupported("typed_config is required".to_owned());
    };
    let value = Zeroizing::new(config.value);
    if !CRYPTOMB.contains(&config.type_url.as_str()) {
        return unsupported(format!("typed_config: expected {}", CRYPTOMB[0]));
    }
    let config = CryptoMbConfig::decode(&value[..]).map_err(malformed)?;
    if config.poll_delay.as_ref().is_some_and(|delay| delay.seconds < 0 || delay.nanos < 0) {
        return unsupported("poll_delay is negative".to_owned());
    }
    log::debug!(
        "a private_key_provider with fallback {} and poll delay {:?}: the engine's own settings count",
        provider.fallback,
        config.poll_delay
    );
    let key =
        config.private_key.map(|key| inline("private_key_provider.typed_config.private_key", Some(key)));
    Ok(key.transpose()?.map(Zeroizing::new))
}

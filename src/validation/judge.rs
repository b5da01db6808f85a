//! The decision about each field.

use super::Place;
use super::matcher::{NameMatcher, StringMatcher, UriMatcher};

/// The message of Envoy's SPIFFE validator.
pub(crate) const SPIFFE_VALIDATOR: &str =
    "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";

/// webpki builds paths of at most six intermediates and a root, so that a greater depth limits nothing.
const DEPTH: u32 = 7;

/// What a context holds beside its roots and revocation lists.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) match_typed_subject_alt_names: Vec<NameMatcher>,
    pub(crate) match_subject_alt_names: Vec<StringMatcher>,
    /// Whether there are any.
    pub(crate) verify_certificate_hash: bool,
    /// Whether there are any.
    pub(crate) verify_certificate_spki: bool,
    pub(crate) require_signed_certificate_timestamp: bool,
    pub(crate) allow_expired_certificate: bool,
    /// The name of its value; empty: not set.
    pub(crate) trust_chain_verification: String,
    pub(crate) only_verify_leaf_cert_crl: bool,
    pub(crate) max_verify_depth: Option<u32>,
    /// The type of the message in `custom_validator_config`.
    pub(crate) custom_validator: Option<String>,
}

/// What is enforced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Which URI names a peer may have; one that matches is enough. Empty: any.
    pub(crate) uri_matchers: Vec<UriMatcher>,
    /// Whether revocation lists count for leaves alone.
    pub(crate) only_verify_leaf_crl: bool,
}

/// The rules of a context, as far as there is nothing wrong with it: what is wrong or not enforced is told
/// `at` its place.
pub(crate) fn judge(given: Given, at: &impl Place) -> Rules {
    let pins = "not supported: SPIFFE identities are renewed often, and with them what it pins";
    let refused = [
        ("verify_certificate_hash", given.verify_certificate_hash, pins),
        ("verify_certificate_spki", given.verify_certificate_spki, pins),
        (
            "require_signed_certificate_timestamp",
            given.require_signed_certificate_timestamp,
            "not supported: certificate transparency does not concern private authorities",
        ),
        (
            "allow_expired_certificate",
            given.allow_expired_certificate,
            "expired certificates are never accepted",
        ),
    ];
    for (field, _, why) in refused.into_iter().filter(|(_, is_given, _)| *is_given) {
        at.field(field).unsupported(why.to_owned());
    }
    if !matches!(given.trust_chain_verification.as_str(), "" | "VERIFY_TRUST_CHAIN") {
        at.field("trust_chain_verification")
            .error("expected VERIFY_TRUST_CHAIN: chains are always verified".to_owned());
    }
    if given.max_verify_depth.is_some_and(|depth| depth > 100) {
        at.field("max_verify_depth").error("expected at most 100".to_owned());
    }
    if let Some(depth) = given.max_verify_depth.filter(|depth| *depth < DEPTH) {
        let message =
            format!("{depth} is not enforced; {DEPTH} or more is, because no longer chain is ever accepted");
        at.field("max_verify_depth").unsupported(message);
    }
    if let Some(validator) = given.custom_validator.filter(|validator| validator != SPIFFE_VALIDATOR) {
        let message = format!("the validator {validator:?} is not supported; {SPIFFE_VALIDATOR} is");
        at.field("custom_validator_config").unsupported(message);
    }
    Rules {
        uri_matchers: uri_matchers(given.match_typed_subject_alt_names, given.match_subject_alt_names, at),
        only_verify_leaf_crl: given.only_verify_leaf_cert_crl,
    }
}

/// The deprecated matchers do not say for which kind of name they are; the only one here is the SPIFFE ID.
fn uri_matchers(typed: Vec<NameMatcher>, deprecated: Vec<StringMatcher>, at: &impl Place) -> Vec<UriMatcher> {
    let typed_at = at.field("match_typed_subject_alt_names");
    let deprecated_at = at.field("match_subject_alt_names");
    if !deprecated.is_empty() {
        let hint = "deprecated: write match_typed_subject_alt_names with san_type: URI";
        match typed.is_empty() {
            true => deprecated_at.warn(format!("{hint}; it is taken for that")),
            false => deprecated_at.error(format!("{hint}; not both of them")),
        }
    }
    let typed = typed.into_iter().enumerate().map(|(i, name)| UriMatcher::of_name(name, &typed_at.index(i)));
    let deprecated =
        deprecated.into_iter().enumerate().map(|(i, text)| UriMatcher::new(text, &deprecated_at.index(i)));
    typed.chain(deprecated).flatten().collect()
}

//! Whom to admit.

use super::certificate::check_directory;
use super::raw;
use super::sds::SdsSecret;
use crate::config::data_source::{DataSource, RawDataSource};
use crate::config::read::At;
use crate::validation::{Given, NameMatcher, Place, StringMatcher, UriMatcher, judge};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Whom to admit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ValidationContext {
    /// The roots that the peer's certificate must lead to.
    pub trusted_ca: TrustedCa,
    /// Which of its URI names the peer may have; one that matches is enough. Empty: whoever the roots vouch
    /// for.
    pub uri_matchers: Vec<UriMatcher>,
    /// Revocation lists, PEM, beside those that stand among the roots.
    pub crl: Option<DataSource>,
    /// Whether only the peer's own certificate is looked up in the revocation lists.
    pub only_verify_leaf_crl: bool,
}

/// Where roots come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrustedCa {
    /// A file, the environment, or the configuration itself.
    Source {
        /// The certificates, PEM.
        source: DataSource,
        /// The directory that tells of new files, in place of the file's own.
        watched_directory: Option<PathBuf>,
    },
    /// A secret of an SDS server.
    Sds(SdsSecret),
    /// Envoy's SPIFFE validator: the certificates of each trust domain, PEM, by its name.
    PerDomain(BTreeMap<String, DataSource>),
}

impl ValidationContext {
    /// Whether a peer with these URI names is admitted.
    pub fn admits<'a>(&self, uris: impl IntoIterator<Item = &'a str>) -> bool {
        let is_named = |uri| self.uri_matchers.iter().any(|matcher| matcher.matches(uri));
        self.uri_matchers.is_empty() || uris.into_iter().any(is_named)
    }
}

/// The one validation context, of the three ways to write it.
pub(super) fn check(
    plain: Option<raw::CertificateValidationContext>,
    sds: Option<raw::SdsSecretConfig>,
    combined: Option<raw::CombinedValidationContext>,
    at: &At<'_>,
) -> Option<ValidationContext> {
    match (plain, sds, combined) {
        (None, None, None) => None,
        (Some(raw), None, None) => check_context(raw, None, &at.field("validation_context")),
        (None, Some(sds), None) => {
            let at = at.field("validation_context_sds_secret_config");
            let trusted_ca = TrustedCa::Sds(SdsSecret::check(sds, &at)?);
            warn_of_everybody(&at);
            Some(ValidationContext {
                trusted_ca,
                uri_matchers: Vec::new(),
                crl: None,
                only_verify_leaf_crl: false,
            })
        }
        (None, None, Some(combined)) => {
            let at = at.field("combined_validation_context");
            let sds_at = at.field("validation_context_sds_secret_config");
            let Some(sds) = combined.validation_context_sds_secret_config else {
                return sds_at.fail("it is required");
            };
            let sds = SdsSecret::check(sds, &sds_at)?;
            let raw = combined.default_validation_context.unwrap_or_default();
            check_context(raw, Some(sds), &at.field("default_validation_context"))
        }
        _ => at.fail(
            "expected one of validation_context, validation_context_sds_secret_config and \
             combined_validation_context",
        ),
    }
}

fn check_context(
    raw: raw::CertificateValidationContext,
    sds: Option<SdsSecret>,
    at: &At<'_>,
) -> Option<ValidationContext> {
    let rules = judge(given(&raw), at);
    if rules.uri_matchers.is_empty() {
        warn_of_everybody(at);
    }
    let crl_at = at.field("crl");
    let crl = match raw.crl.map(|crl| crl.check(&crl_at)) {
        Some(_) if sds.is_some() => {
            return crl_at.fail("not supported here: the SDS server's secret may hold it");
        }
        Some(crl) => Some(crl?),
        None => None,
    };
    let trusted_ca =
        check_trusted_ca(raw.trusted_ca, raw.custom_validator_config, raw.watched_directory, sds, at)?;
    Some(ValidationContext {
        trusted_ca,
        uri_matchers: rules.uri_matchers,
        crl,
        only_verify_leaf_crl: rules.only_verify_leaf_crl,
    })
}

fn check_trusted_ca(
    roots: Option<RawDataSource>,
    validator: Option<raw::TypedExtensionConfig>,
    watched_directory: Option<raw::WatchedDirectory>,
    sds: Option<SdsSecret>,
    at: &At<'_>,
) -> Option<TrustedCa> {
    let ca_at = at.field("trusted_ca");
    let watched_directory = check_directory(watched_directory, &at.field("watched_directory"));
    let source = roots.map(|ca| ca.check(&ca_at));
    let validator_at = at.field("custom_validator_config");
    match (source, sds, validator) {
        (_, Some(_), Some(_)) => {
            validator_at.fail("not together with roots from an SDS server, whose secret may hold it")
        }
        (Some(_), Some(sds), None) => {
            ca_at.warn("not used: the roots from the SDS server are");
            Some(TrustedCa::Sds(sds))
        }
        (None, Some(sds), None) => Some(TrustedCa::Sds(sds)),
        (source, None, Some(validator)) => {
            if source.is_some() {
                ca_at.warn("not used: the bundles of custom_validator_config are");
            }
            per_domain(validator, &validator_at)
        }
        (Some(source), None, None) => Some(TrustedCa::Source { source: source?, watched_directory }),
        (None, None, None) => ca_at.fail("it is required: nothing else says which certificates to trust"),
    }
}

/// The bundles of Envoy's SPIFFE validator.
fn per_domain(validator: raw::TypedExtensionConfig, at: &At<'_>) -> Option<TrustedCa> {
    let at = at.field("typed_config");
    let domains_at = at.field("trust_domains");
    let Some(config) = validator.typed_config else { return at.fail("it is required") };
    let mut bundles = BTreeMap::new();
    for (i, domain) in config.trust_domains.into_iter().enumerate() {
        let at = domains_at.index(i);
        let bundle_at = at.field("trust_bundle");
        let bundle = match domain.trust_bundle {
            Some(bundle) => bundle.check(&bundle_at)?,
            None => return bundle_at.fail("it is required"),
        };
        match domain.name {
            name if name.is_empty() => return at.field("name").fail("it is required"),
            name if bundles.contains_key(&name) => {
                return at.field("name").fail("this trust domain is here twice");
            }
            name => drop(bundles.insert(name, bundle)),
        }
    }
    if bundles.is_empty() {
        return domains_at.fail("it is required: nothing else says which certificates to trust");
    }
    Some(TrustedCa::PerDomain(bundles))
}

fn given(raw: &raw::CertificateValidationContext) -> Given {
    let name = |raw: &raw::SubjectAltNameMatcher| NameMatcher {
        san_type: raw.san_type.clone(),
        matcher: raw.matcher.as_ref().map(string_matcher),
    };
    let is_true = |flag: Option<bool>| flag.unwrap_or(false);
    let validator = raw.custom_validator_config.as_ref().map(|validator| {
        let url = validator.typed_config.as_ref().and_then(|config| config.type_url.as_deref());
        let name = url.unwrap_or(&validator.name);
        name.rsplit('/').next().unwrap_or(name).to_owned()
    });
    Given {
        match_typed_subject_alt_names: raw.match_typed_subject_alt_names.iter().map(name).collect(),
        match_subject_alt_names: raw.match_subject_alt_names.iter().map(string_matcher).collect(),
        verify_certificate_hash: !raw.verify_certificate_hash.is_empty(),
        verify_certificate_spki: !raw.verify_certificate_spki.is_empty(),
        require_signed_certificate_timestamp: is_true(raw.require_signed_certificate_timestamp),
        allow_expired_certificate: is_true(raw.allow_expired_certificate),
        trust_chain_verification: raw.trust_chain_verification.clone().unwrap_or_default(),
        only_verify_leaf_cert_crl: is_true(raw.only_verify_leaf_cert_crl),
        max_verify_depth: raw.max_verify_depth,
        custom_validator: validator,
    }
}

fn string_matcher(raw: &raw::StringMatcher) -> StringMatcher {
    let texts = [
        ("exact", raw.exact.as_ref()),
        ("prefix", raw.prefix.as_ref()),
        ("suffix", raw.suffix.as_ref()),
        ("contains", raw.contains.as_ref()),
        ("safe_regex", raw.safe_regex.as_ref().map(|raw| &raw.regex)),
    ];
    let patterns = texts.into_iter().filter_map(|(name, text)| Some((name, text?.clone())));
    StringMatcher { patterns: patterns.collect(), ignore_case: raw.ignore_case.unwrap_or(false) }
}

impl Place for At<'_> {
    fn field(&self, name: &str) -> Self {
        At::field(self, name)
    }

    fn index(&self, index: usize) -> Self {
        At::index(self, index)
    }

    fn error(&self, message: String) {
        At::error(self, message);
    }

    fn unsupported(&self, message: String) {
        At::unsupported(self, message);
    }

    fn warn(&self, message: String) {
        At::warn(self, message);
    }
}

fn warn_of_everybody(at: &At<'_>) {
    at.warn("without match_typed_subject_alt_names, everybody is admitted that the roots vouch for");
}

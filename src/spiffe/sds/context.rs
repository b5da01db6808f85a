//! Validation contexts, judged as those of a static configuration are.

use super::super::proto::discovery::{
    ExtensionConfig, MatchPattern, SPIFFE_VALIDATOR_TYPE, SpiffeValidator, StringMatcher,
    SubjectAltNameMatcher, ValidationContext,
};
use super::super::source::TrustBundle;
use super::super::{Refusal, TrustDomain};
use super::fields::{check_tags, inline, malformed};
use crate::validation::{self, Given, NameMatcher, Place, Rules, judge};
use prost::Message;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What a resource says of trust domains.
#[derive(Clone, Debug)]
pub(super) enum Bundle {
    /// Of one domain, which the resource does not name.
    OfOne(TrustBundle),
    /// Of each of these domains, and of no other.
    PerDomain(BTreeMap<TrustDomain, TrustBundle>),
}

/// What a context says of one trust domain or of several.
///
/// # Errors
/// It cannot be read, or says something that is not enforced.
pub(super) fn bundle(context: ValidationContext) -> Result<Bundle, Refusal> {
    let rules = rules(&context)?;
    let crls = match context.crl {
        Some(crl) => TrustBundle::from_pem(&inline("crl", Some(crl))?)?.crls,
        None => Vec::new(),
    };
    let restrict = |mut bundle: TrustBundle| {
        bundle.crls.extend(crls.iter().cloned());
        bundle.only_verify_leaf_crl = rules.only_verify_leaf_crl;
        bundle.uri_matchers.clone_from(&rules.uri_matchers);
        bundle
    };
    let Some(config) = context.custom_validator_config else {
        let bundle = TrustBundle::from_pem(&inline("trusted_ca", context.trusted_ca)?)?;
        return if bundle.roots.is_empty() {
            Err(Refusal::Empty)
        } else {
            Ok(Bundle::OfOne(restrict(bundle)))
        };
    };
    let domains = per_domain(config)?.into_iter().map(|(domain, bundle)| (domain, restrict(bundle)));
    Ok(Bundle::PerDomain(domains.collect()))
}

/// One domain's bundle that cannot be read concerns that domain only.
fn per_domain(config: ExtensionConfig) -> Result<BTreeMap<TrustDomain, TrustBundle>, Refusal> {
    let value = config.typed_config.unwrap_or_default().value;
    check_tags(&value, &[1])?;
    let validator = SpiffeValidator::decode(&value[..]).map_err(malformed)?;
    let mut domains = BTreeMap::new();
    for entry in validator.trust_domains {
        let domain = TrustDomain::new(&entry.name).map_err(malformed)?;
        let bundle =
            inline("trust_bundle", entry.trust_bundle).and_then(|pem| TrustBundle::from_pem_with_roots(&pem));
        let bundle = bundle.unwrap_or_else(TrustBundle::unusable);
        if domains.insert(domain, bundle).is_some() {
            return Err(malformed(format!("the trust domain {} is there twice", entry.name)));
        }
    }
    Ok(domains)
}

fn rules(context: &ValidationContext) -> Result<Rules, Refusal> {
    let faults = RefCell::default();
    let rules = judge(given(context), &Spot { path: String::new(), faults: &faults });
    let faults = faults.into_inner();
    if faults.is_empty() { Ok(rules) } else { Err(Refusal::Unsupported(faults.join("; "))) }
}

fn given(context: &ValidationContext) -> Given {
    let validator = context.custom_validator_config.as_ref().map(|config| {
        let url = config.typed_config.as_ref().map_or(config.name.as_str(), |any| any.type_url.as_str());
        match url {
            SPIFFE_VALIDATOR_TYPE => validation::SPIFFE_VALIDATOR.to_owned(),
            other => other.to_owned(),
        }
    });
    Given {
        match_typed_subject_alt_names: context
            .match_typed_subject_alt_names
            .iter()
            .map(name_matcher)
            .collect(),
        match_subject_alt_names: context.match_subject_alt_names.iter().map(string_matcher).collect(),
        verify_certificate_hash: !context.verify_certificate_hash.is_empty(),
        verify_certificate_spki: !context.verify_certificate_spki.is_empty(),
        require_signed_certificate_timestamp: context
            .require_signed_certificate_timestamp
            .is_some_and(|required| required.value),
        allow_expired_certificate: context.allow_expired_certificate,
        trust_chain_verification: match context.trust_chain_verification {
            0 => String::new(),
            other => other.to_string(),
        },
        only_verify_leaf_cert_crl: context.only_verify_leaf_cert_crl,
        max_verify_depth: context.max_verify_depth.map(|depth| depth.value),
        custom_validator: validator,
    }
}

fn name_matcher(name: &SubjectAltNameMatcher) -> NameMatcher {
    let san_type = if name.san_type == 3 { "URI".to_owned() } else { name.san_type.to_string() };
    NameMatcher { san_type, matcher: name.matcher.as_ref().map(string_matcher) }
}

fn string_matcher(text: &StringMatcher) -> validation::StringMatcher {
    let pattern = text.pattern.as_ref().map(|pattern| match pattern {
        MatchPattern::Exact(text) => ("exact", text.clone()),
        MatchPattern::Prefix(text) => ("prefix", text.clone()),
        MatchPattern::Suffix(text) => ("suffix", text.clone()),
        MatchPattern::Contains(text) => ("contains", text.clone()),
        MatchPattern::SafeRegex(regex) => ("safe_regex", regex.regex.clone()),
        MatchPattern::Custom(config) => ("custom", config.name.clone()),
    });
    validation::StringMatcher { patterns: pattern.into_iter().collect(), ignore_case: text.ignore_case }
}

/// A place in a context, and what was found wrong.
struct Spot<'a> {
    path: String,
    faults: &'a RefCell<Vec<String>>,
}

impl Place for Spot<'_> {
    fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, faults: self.faults }
    }

    fn index(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), faults: self.faults }
    }

    fn error(&self, message: String) {
        self.faults.borrow_mut().push(format!("{}: {message}", self.path));
    }

    fn unsupported(&self, message: String) {
        self.error(message);
    }

    fn warn(&self, message: String) {
        log::warn!("{}: {message}", self.path);
    }
}

//! Whom to admit.

use super::certificate::check_directory;
use super::raw;
use super::sds::SdsSecret;
use crate::config::data_source::DataSource;
use crate::config::read::At;
use regex::Regex;
use std::fmt;
use std::path::PathBuf;

/// Whom to admit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ValidationContext {
    /// The roots that the peer's certificate must lead to.
    pub trusted_ca: TrustedCa,
    /// Which of its URI names the peer may have; one that matches is enough. Empty: whoever the roots vouch for.
    pub uri_matchers: Vec<UriMatcher>,
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
}

/// A pattern for a name.
#[derive(Clone, Debug)]
pub struct UriMatcher {
    pattern: Pattern,
    ignores_case: bool,
}

#[derive(Clone, Debug)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

impl ValidationContext {
    /// Whether a peer with these URI names is admitted.
    pub fn admits<'a>(&self, uris: impl IntoIterator<Item = &'a str>) -> bool {
        let is_named = |uri| self.uri_matchers.iter().any(|matcher| matcher.matches(uri));
        self.uri_matchers.is_empty() || uris.into_iter().any(is_named)
    }
}

/// Such as `prefix "spiffe://example.org/"`.
impl fmt::Display for UriMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match &self.pattern {
            Pattern::Exact(text) => ("exact", text.as_str()),
            Pattern::Prefix(text) => ("prefix", text.as_str()),
            Pattern::Suffix(text) => ("suffix", text.as_str()),
            Pattern::Contains(text) => ("contains", text.as_str()),
            Pattern::Regex(regex) => ("safe_regex", regex.as_str()),
        };
        let ignores_case = if self.ignores_case { ", ignoring case" } else { "" };
        write!(f, "{kind} {text:?}{ignores_case}")
    }
}

impl UriMatcher {
    /// Whether the name matches. A regular expression must match the whole of it.
    pub fn matches(&self, uri: &str) -> bool {
        let folded = self.ignores_case.then(|| uri.to_ascii_lowercase());
        let uri = folded.as_deref().unwrap_or(uri);
        match &self.pattern {
            Pattern::Exact(text) => uri == text,
            Pattern::Prefix(text) => uri.starts_with(text),
            Pattern::Suffix(text) => uri.ends_with(text),
            Pattern::Contains(text) => uri.contains(text),
            Pattern::Regex(regex) => regex.is_match(uri),
        }
    }

    fn check(raw: raw::SubjectAltNameMatcher, at: &At<'_>) -> Option<Self> {
        if raw.san_type != "URI" {
            return at.field("san_type").fail("expected URI: no other kind of name is supported");
        }
        let at = at.field("matcher");
        let Some(matcher) = raw.matcher else { return at.fail("it is required") };
        let ignores_case = matcher.ignore_case.unwrap_or(false);
        let mut patterns = patterns(matcher, ignores_case, &at)?;
        match patterns.len() {
            1 => {
                let pattern = patterns.remove(0);
                let ignores_case = ignores_case && !matches!(pattern, Pattern::Regex(_));
                Some(Self { pattern, ignores_case })
            }
            n => at.fail(format!("expected one pattern, found {n}")),
        }
    }
}

/// Every pattern that is given; in lower case, if case does not matter.
fn patterns(raw: raw::StringMatcher, ignores_case: bool, at: &At<'_>) -> Option<Vec<Pattern>> {
    type Make = fn(String) -> Pattern;
    let texts = [
        ("exact", raw.exact, Pattern::Exact as Make),
        ("prefix", raw.prefix, Pattern::Prefix),
        ("suffix", raw.suffix, Pattern::Suffix),
        ("contains", raw.contains, Pattern::Contains),
    ];
    let mut patterns = Vec::new();
    for (name, text, make) in texts {
        match text {
            Some(text) if text.is_empty() => return at.field(name).fail("it is empty"),
            Some(text) if ignores_case => patterns.push(make(text.to_ascii_lowercase())),
            Some(text) => patterns.push(make(text)),
            None => {}
        }
    }
    if let Some(raw) = raw.safe_regex {
        patterns.push(Pattern::Regex(check_regex(&raw.regex, &at.field("safe_regex").field("regex"))?));
    }
    Some(patterns)
}

fn check_regex(text: &str, at: &At<'_>) -> Option<Regex> {
    if text.is_empty() {
        return at.fail("it is required");
    }
    // Alone first, so that parentheses cannot be closed from inside.
    let whole = Regex::new(text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")));
    whole.map_err(|e| at.error(e.to_string())).ok()
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
            Some(ValidationContext { trusted_ca, uri_matchers: Vec::new() })
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
            "expected one of validation_context, validation_context_sds_secret_config and combined_validation_context",
        ),
    }
}

fn check_context(
    raw: raw::CertificateValidationContext,
    sds: Option<SdsSecret>,
    at: &At<'_>,
) -> Option<ValidationContext> {
    let ca_at = at.field("trusted_ca");
    let watched_directory = check_directory(raw.watched_directory, &at.field("watched_directory"));
    let source = raw.trusted_ca.map(|ca| ca.check(&ca_at));
    let matchers_at = at.field("match_typed_subject_alt_names");
    let count = raw.match_typed_subject_alt_names.len();
    let names = raw.match_typed_subject_alt_names.into_iter().enumerate();
    let uri_matchers: Vec<_> =
        names.filter_map(|(i, raw)| UriMatcher::check(raw, &matchers_at.index(i))).collect();
    if count == 0 {
        warn_of_everybody(at);
    }
    let trusted_ca = match (source, sds) {
        (None, Some(sds)) => TrustedCa::Sds(sds),
        (Some(_), Some(sds)) => {
            ca_at.warn("not used: the roots from the SDS server are");
            TrustedCa::Sds(sds)
        }
        (Some(source), None) => TrustedCa::Source { source: source?, watched_directory },
        (None, None) => return ca_at.fail("it is required: nothing else says which certificates to trust"),
    };
    Some(ValidationContext { trusted_ca, uri_matchers })
}

fn warn_of_everybody(at: &At<'_>) {
    at.warn("without match_typed_subject_alt_names, everybody is admitted that the roots vouch for");
}

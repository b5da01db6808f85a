//! Patterns for names.

use super::Place;
use regex::Regex;
use std::fmt;

/// A pattern for a URI name.
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

/// Envoy's `SubjectAltNameMatcher`.
pub(crate) struct NameMatcher {
    /// The name of its value.
    pub(crate) san_type: String,
    pub(crate) matcher: Option<StringMatcher>,
}

/// Envoy's `StringMatcher`.
#[derive(Default)]
pub(crate) struct StringMatcher {
    /// The patterns that are given, by the names of their fields: it should be one.
    pub(crate) patterns: Vec<(&'static str, String)>,
    pub(crate) ignore_case: bool,
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

    /// A pattern for one kind of name, which must be a URI.
    pub(super) fn of_name(name: NameMatcher, at: &impl Place) -> Option<Self> {
        if name.san_type != "URI" {
            at.field("san_type").error("expected URI: no other kind of name is supported".to_owned());
            return None;
        }
        let at = at.field("matcher");
        match name.matcher {
            Some(matcher) => Self::new(matcher, &at),
            None => {
                at.error("it is required".to_owned());
                None
            }
        }
    }

    pub(super) fn new(matcher: StringMatcher, at: &impl Place) -> Option<Self> {
        let [(name, text)] = &matcher.patterns[..] else {
            at.error(format!("expected one pattern, found {}", matcher.patterns.len()));
            return None;
        };
        let found = pattern(name, text, matcher.ignore_case);
        let pattern = found.map_err(|why| at.field(name).error(why)).ok()?;
        let ignores_case = matcher.ignore_case && !matches!(pattern, Pattern::Regex(_));
        Some(Self { pattern, ignores_case })
    }
}

/// In lower case, if case does not matter.
fn pattern(name: &str, text: &str, ignores_case: bool) -> Result<Pattern, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let folded = || if ignores_case { text.to_ascii_lowercase() } else { text.to_owned() };
    Ok(match name {
        "exact" => Pattern::Exact(folded()),
        "prefix" => Pattern::Prefix(folded()),
        "suffix" => Pattern::Suffix(folded()),
        "contains" => Pattern::Contains(folded()),
        "safe_regex" => Pattern::Regex(regex(text)?),
        _ => return Err("this kind of pattern is not supported".to_owned()),
    })
}

fn regex(text: &str) -> Result<Regex, String> {
    // Alone first, so that parentheses cannot be closed from inside.
    let whole = Regex::new(text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")));
    whole.map_err(|e| e.to_string())
}

impl PartialEq for UriMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
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

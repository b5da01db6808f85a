//! The largest values that make sense. What is beyond is a slip of the pen, or of the unit.

use super::Span;
use super::explain::{Explained, Explanation};
use super::sourced::Origin;
use rustls_multibuffer::config::{ConfigError, Document, Location, Problem};
use serde_json::Value;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// The largest number of a field, by the end of its path. The first that fits counts; each number has a
/// limit. The engine's threads are the workers.
const NUMBERS: [(&str, u64); 5] = [
    ("concurrency", 1024),
    ("tls_acceleration.handshake_threads", 1024),
    ("tls_acceleration.break_even", 1024),
    ("tls_acceleration.max_parked", 65_536),
    ("", 10_000_000),
];

/// The longest time of a field, in seconds. A group that ends in a dot means everything in it.
const TIMES: [(&str, u64); 8] = [
    ("tls_acceleration.poll_delay", 1),
    ("tls_acceleration.latency_budget", 1),
    ("timeouts.connect", 10 * MINUTE),
    ("timeouts.handshake", 10 * MINUTE),
    ("drain.restart_timeout", 60 * MINUTE),
    ("drain.", 7 * DAY),
    ("timeouts.", 366 * DAY),
    ("live.", 366 * DAY),
];

/// Refuses values beyond the limits, wherever they come from.
///
/// # Errors
/// Every such value, with the place that it comes from.
pub(super) fn within_limits(explanation: &Explanation, document: &Document) -> Result<(), ConfigError> {
    let check = |explained: &Explained| {
        let limit = beyond(&explained.field, &explained.value)?;
        let location = location(&explained.origin).unwrap_or_else(|| document.location());
        let message = match &explained.origin {
            Origin::File(_) => format!("too much: at most {limit}"),
            origin => format!("{} is too much: at most {limit} (from {origin})", explained.field),
        };
        Some(Problem { location, message })
    };
    let problems: Vec<_> = explanation.fields.iter().filter_map(check).collect();
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems)) }
}

/// The limit of a value that is beyond it.
fn beyond(field: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            let (_, most) = NUMBERS.iter().find(|(name, _)| is_named(field, name))?;
            number.as_u64().is_none_or(|number| number > *most).then(|| most.to_string())
        }
        Value::String(text) => {
            let (_, most) = TIMES.iter().find(|(name, _)| is_named(field, name))?;
            let time: Span = serde_json::from_value(text.as_str().into()).ok()?;
            (time > Span::seconds(*most)).then(|| Span::seconds(*most).to_string())
        }
        _ => None,
    }
}

/// Whether the path ends in the name, or goes through the group.
fn is_named(field: &str, name: &str) -> bool {
    let is_whole_word = |at: usize| at == 0 || field.as_bytes()[at - 1] == b'.';
    match name.ends_with('.') {
        true => field.match_indices(name).any(|(at, _)| is_whole_word(at)),
        false => field.ends_with(name) && (name.is_empty() || is_whole_word(field.len() - name.len())),
    }
}

fn location(origin: &Origin) -> Option<Location> {
    match origin {
        Origin::File(at) | Origin::Provider(at) => Some(at.clone()),
        Origin::Object(object) => object.location.clone(),
        Origin::BuiltIn => None,
    }
}

//! Which fields Istio's and ASM's messages have, so that what does not concern us can be told from what is
//! misspelt.

use crate::config::node::Document;
use crate::config::problem::Problem;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The lists; the text says how they are written.
static MESSAGES: LazyLock<BTreeMap<&str, Vec<Field>>> = LazyLock::new(|| parse(include_str!("messages.txt")));

/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS: f64 = 0.5;

/// A field of a message.
struct Field {
    /// As the schema has it.
    name: &'static str,
    /// In lowerCamelCase, as it is written in YAML.
    camel: String,
    /// The message that it holds, if its fields are known.
    message: Option<&'static str>,
    /// Whether it holds messages by name.
    is_map: bool,
}

fn parse(text: &'static str) -> BTreeMap<&'static str, Vec<Field>> {
    let mut messages: BTreeMap<&str, Vec<Field>> = BTreeMap::new();
    let mut message = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(field) = line.strip_prefix("  ") else {
            message = line;
            messages.entry(message).or_default();
            continue;
        };
        let (name, holds) = field.split_once(": ").map_or((field, None), |(name, holds)| (name, Some(holds)));
        let map = holds.and_then(|holds| holds.strip_prefix("map of "));
        let field = Field { name, camel: camel_case(name), message: map.or(holds), is_map: map.is_some() };
        messages.entry(message).or_default().push(field);
    }
    messages
}

/// `snake_case` as `lowerCamelCase`, by protobuf's rule.
fn camel_case(name: &str) -> String {
    let mut is_new_word = false;
    let mut camel = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => is_new_word = true,
            c if is_new_word => {
                camel.push(c.to_ascii_uppercase());
                is_new_word = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

/// The fields in the document, of whatever depth, that the message does not have.
pub(super) fn misspelt(document: &Document, message: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    look_into(document, message, &mut found);
    found
}

fn look_into(document: &Document, message: &str, found: &mut Vec<Problem>) {
    let Some(fields) = MESSAGES.get(message) else { return };
    for element in document.elements() {
        look_into(&element, message, found);
    }
    for (written, inside) in document.entries() {
        let field = fields.iter().find(|field| field.name == written || field.camel == written);
        match field.map(|field| (field.message, field.is_map)) {
            Some((Some(message), false)) => look_into(&inside, message, found),
            Some((Some(message), true)) => {
                inside.entries().iter().for_each(|(_, value)| look_into(value, message, found));
            }
            Some((None, _)) => {}
            None => found.push(inside.problem(unknown(written, fields))),
        }
    }
}

fn unknown(written: &str, fields: &[Field]) -> String {
    let alike = |field: &&Field| strsim::normalized_damerau_levenshtein(&field.camel, written);
    let nearest = fields.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|field| alike(field) >= LIKENESS) {
        Some(field) => format!("there is no such field; did you mean {}?", field.camel),
        None => "there is no such field".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGES, camel_case};

    #[test]
    fn every_message_that_a_field_holds_is_listed() {
        let fields = MESSAGES.values().flatten();
        let missing: Vec<_> = fields
            .filter_map(|field| field.message)
            .filter(|message| !MESSAGES.contains_key(message))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(MESSAGES["MeshConfig"].len() > 60 && MESSAGES["ProxyConfig"].len() > 40);
    }

    #[test]
    fn names_are_written_as_protobuf_writes_them() {
        assert_eq!(camel_case("h2_upgrade_policy"), "h2UpgradePolicy");
        assert_eq!(camel_case("mesh_mTLS"), "meshMTLS");
        assert_eq!(camel_case("preserve_http1_header_case"), "preserveHttp1HeaderCase");
    }
}

//! Every effective field, its value, and where it came from.

use super::Config;
use super::resolution::Resolution;
use super::sourced::{Origin, Sourced};
use rustls_multibuffer::config::istio::Note;
use rustls_multibuffer::config::{Document, Location, Path, Problem};
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// One field, its value, and where that came from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Explained {
    pub(crate) field: String,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
    /// What said otherwise and does not count, the strongest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) overridden: Vec<Sourced<Value>>,
}

/// The explanation: `Display` is for people, `Serialize` for programs.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Explanation {
    pub(crate) fields: Vec<Explained>,
    /// Objects that had no say.
    pub(crate) notes: Vec<Note>,
    pub(crate) warnings: Vec<Problem>,
    /// Fields of Istio's messages that mean nothing here.
    pub(crate) passed_over: Vec<Location>,
}

impl Explanation {
    pub(super) fn new(config: &Config, document: &Document, resolution: &Resolution<'_>) -> Self {
        let mut leaves = Vec::new();
        flatten(serde_json::to_value(config).unwrap_or_default(), Path::default(), &mut leaves);
        let fields = leaves.into_iter().map(|(path, value)| {
            let field = path.to_string();
            let (origin, overridden) = match resolution.provenance(&field) {
                Some((origin, overridden)) => (origin.clone(), overridden.to_vec()),
                None => (of_file(document, &path), Vec::new()),
            };
            Explained { field, value, origin, overridden }
        });
        Self { fields: fields.collect(), ..Self::default() }
    }

    /// Which field keeps operations out of lanes, if one does, and what said so.
    pub(crate) fn why_not_accelerated(&self) -> Option<String> {
        let is_off = |explained: &&Explained| {
            let (field, value) = (explained.field.as_str(), &explained.value);
            (field == "tls_acceleration.enabled" && *value == Value::Bool(false))
                || (field == "tls_acceleration.max_tier" && value == "scalar")
        };
        let explained = self.fields.iter().find(is_off)?;
        let origin = match &explained.origin {
            Origin::BuiltIn => "no object or context turns it on".to_owned(),
            origin => origin.to_string(),
        };
        Some(format!("{} is {} ({origin})", explained.field, explained.value))
    }
}

/// The values inside, each with its path.
fn flatten(value: Value, path: Path, leaves: &mut Vec<(Path, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(value, path.field(&name), leaves);
            }
        }
        Value::Array(elements) if elements.iter().any(Value::is_object) => {
            for (i, value) in elements.into_iter().enumerate() {
                flatten(value, path.index(i), leaves);
            }
        }
        value => leaves.push((path, value)),
    }
}

/// The field's place in the file.
fn of_file(document: &Document, path: &Path) -> Origin {
    let found = document.find(path).or_else(|| of_other_reader(document, path));
    found.map_or(Origin::BuiltIn, |found| Origin::File(found.location()))
}

/// What is inside of a `tls` or a `tls_identity` stands deeper there than here, or has another name.
fn of_other_reader(document: &Document, path: &Path) -> Option<Document> {
    let is_read_elsewhere = |path: &Path| matches!(path.last_field(), Some("tls" | "tls_identity"));
    let around = document.find(&path.ancestors().find(is_read_elsewhere)?)?;
    let name = path.last_field()?;
    let other_names = NAMES.iter().filter(|(shown, _)| *shown == name).map(|(_, written)| *written);
    [name].into_iter().chain(other_names).find_map(|name| around.find_field(name))
}

/// What is shown by another name than it is written, and how it is written.
const NAMES: [(&str, &str); 10] = [
    ("minimum_protocol_version", "tls_minimum_protocol_version"),
    ("maximum_protocol_version", "tls_maximum_protocol_version"),
    ("uri_matchers", "match_typed_subject_alt_names"),
    ("address", "cluster_name"),
    ("address", "target_uri"),
    ("certificate", "tls_certificate_sds_secret_configs"),
    ("trusted_ca", "validation_context_sds_secret_config"),
    // A directory's files.
    ("certificate_chain", "path"),
    ("private_key", "path"),
    ("trusted_ca", "path"),
];

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Explained { field, value, origin, overridden } in &self.fields {
            writeln!(f, "{field} = {value}\n    from {origin}")?;
            for Sourced { value, origin } in overridden {
                writeln!(f, "    over {value} from {origin}")?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "without a say:")?;
        }
        for note in &self.notes {
            writeln!(f, "    {}: {}", note.origin, note.reason)?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

//! Where each setting came from.

use super::objects::{Layer, Origin};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// One setting, what it is, and what said so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The setting, such as `concurrency`, or `proxyMetadata.NAME` for an environment variable.
    /// `privateKeyProvider` is which one; its settings are `privateKeyProvider.pollDelay` and
    /// `privateKeyProvider.fallback`.
    pub field: String,
    /// What it is.
    pub value: Value,
    /// What said so.
    pub origin: Origin,
    /// What said otherwise and does not count, the strongest first.
    pub overridden: Vec<(Value, Origin)>,
}

/// An object that has no say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// The object itself.
    pub origin: Origin,
    /// Why it has no say.
    pub reason: String,
}

/// For every setting its value and the object it came from, and the objects that had no say. Its `Display` is
/// for people, [`to_json`](Self::to_json) for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The settings that are said, by name.
    pub fields: Vec<Explained>,
    /// The objects that had no say.
    pub notes: Vec<Note>,
}

impl Explanation {
    /// `layers`: the lowest first.
    pub(super) fn new(layers: &[Layer], notes: Vec<Note>) -> Self {
        let mut fields: Vec<Explained> = Vec::new();
        for layer in layers.iter().rev() {
            for (field, value) in said(layer) {
                let origin = layer.origin.clone();
                match fields.iter_mut().find(|explained| explained.field == field) {
                    Some(explained) => explained.overridden.push((value, origin)),
                    None => fields.push(Explained { field, value, origin, overridden: Vec::new() }),
                }
            }
        }
        fields.sort_by(|a, b| a.field.cmp(&b.field));
        Self { fields, notes }
    }

    /// The setting of that name, if anything speaks of it.
    pub fn field(&self, name: &str) -> Option<&Explained> {
        self.fields.iter().find(|explained| explained.field == name)
    }

    /// The same as JSON:
    /// `{"fields": [{"field", "value", "origin", "overridden"}], "notes": [{"origin", "reason"}]}`.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// What an object says, setting by setting.
fn said(layer: &Layer) -> Map<String, Value> {
    let all = serde_json::to_value(&layer.config).unwrap_or_default();
    let Value::Object(all) = all else { return Map::new() };
    let mut said = Map::new();
    for (name, value) in all {
        match value {
            Value::Null => {}
            Value::Object(settings) if name == "privateKeyProvider" => {
                said.insert(name.clone(), "cryptomb".into());
                let settings = settings.into_iter().filter(|(_, value)| !value.is_null());
                said.extend(settings.map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            Value::Object(variables) if name == "proxyMetadata" => {
                said.extend(variables.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => drop(said.insert(name, value)),
        }
    }
    said
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Explained { field, value, origin, overridden } in &self.fields {
            writeln!(f, "{field} = {value}\n    from {origin}")?;
            for (value, origin) in overridden {
                writeln!(f, "    over {value} from {origin}")?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "without a say:")?;
        }
        for Note { origin, reason } in &self.notes {
            writeln!(f, "    {origin}: {reason}")?;
        }
        Ok(())
    }
}

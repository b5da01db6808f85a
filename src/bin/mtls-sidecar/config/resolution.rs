//! Settings that several places may speak of: whose value counts, and what the others say.

use super::sourced::{Origin, Sourced};
use rustls_multibuffer::config::{Document, Location, Path};
use serde_json::Value;

/// What speaks of a field beside the file, the strongest first; at least one does. The value is the
/// strongest's.
pub(super) struct Others<T> {
    pub(super) value: T,
    pub(super) all: Vec<Sourced<Value>>,
}

/// A field whose value was chosen.
pub(super) struct Resolved {
    field: &'static str,
    origin: Origin,
    /// What said otherwise and does not count, the strongest first.
    overridden: Vec<Sourced<Value>>,
}

/// Chooses values, and notes for each what said so. What is not in here comes from the file, or is built in.
pub(super) struct Resolution<'a> {
    document: &'a Document,
    fields: Vec<Resolved>,
}

impl<'a> Resolution<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, fields: Vec::new() }
    }

    /// Where the file speaks of a field.
    pub(super) fn in_file(&self, field: &str) -> Option<Location> {
        let path = field.split('.').fold(Path::default(), |path, name| path.field(name));
        self.document.find(&path).map(|found| found.location())
    }

    /// Chooses the value of a field: the file's, which it has already, else that of the strongest of
    /// `others`, else the one that is built in, which it has already, too.
    pub(super) fn choose<T>(&mut self, field: &'static str, value: &mut T, others: Option<Others<T>>) {
        self.choose_at(field, value, self.in_file(field), others);
    }

    /// The same where the file speaks of the field `at` a place of another name.
    pub(super) fn choose_at<T>(
        &mut self,
        field: &'static str,
        value: &mut T,
        at: Option<Location>,
        others: Option<Others<T>>,
    ) {
        let (origin, mut overridden) = match (at, others) {
            (Some(at), others) => (Origin::File(at), others.map_or(Vec::new(), |others| others.all)),
            (None, Some(others)) => {
                *value = others.value;
                let mut all = others.all.into_iter();
                let Some(strongest) = all.next() else { return };
                (strongest.origin, all.collect())
            }
            (None, None) => return,
        };
        overridden.retain(|other| other.origin != origin && other.origin != Origin::BuiltIn);
        self.fields.push(Resolved { field, origin, overridden });
    }

    /// Lets a field have the value of another one, and its origin.
    pub(super) fn copy(&mut self, from: &str, to: &'static str) {
        if let Some(Resolved { origin, .. }) = self.find(from) {
            let origin = origin.clone();
            self.fields.push(Resolved { field: to, origin, overridden: Vec::new() });
        }
    }

    /// What said a field's value, and what said otherwise; `None`: nothing but the file may have spoken.
    pub(super) fn provenance(&self, field: &str) -> Option<(&Origin, &[Sourced<Value>])> {
        self.find(field).map(|Resolved { origin, overridden, .. }| (origin, &overridden[..]))
    }

    fn find(&self, field: &str) -> Option<&Resolved> {
        self.fields.iter().find(|resolved| resolved.field == field)
    }
}

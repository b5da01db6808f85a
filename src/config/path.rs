//! Where in a configuration something stands.

use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The way from the root of a document to a value, such as
/// `common_tls_context.tls_certificates[0].private_key`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Segment {
    Field(String),
    Index(usize),
}

impl Path {
    /// The way to a field of the value.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    /// The way to an element of the list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The ways to what contains the value, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        (0..self.0.len()).rev().map(|n| Self(self.0[..n].to_vec()))
    }

    fn with(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The first field's name after those of `base`.
    pub(super) fn first_field_after(&self, base: &Self) -> Option<&str> {
        match self.0.get(base.0.len()) {
            Some(Segment::Field(name)) => Some(name),
            _ => None,
        }
    }

    /// The last field's name.
    pub fn last_field(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'))
        };
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if !is_word(name) => write!(f, "[{name:?}]")?,
                Segment::Field(name) if i == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A line and a column of a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line that it begins in.
    pub line: usize,
    /// The column that it begins at.
    pub column: usize,
}

/// The place of a value: which text, where in it, and which value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// The name that the text was given, in most cases a file's.
    #[serde(serialize_with = "show")]
    pub file: Arc<str>,
    /// Where in the text.
    #[serde(flatten)]
    pub position: Position,
    /// The way to the value from the root.
    pub path: Path,
}

fn show<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.position.line, self.position.column)?;
        if self.path.segments().is_empty() { Ok(()) } else { write!(f, ": {}", self.path) }
    }
}

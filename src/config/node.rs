//! A text as a tree of values that know where they stand.

use super::path::{Location, Path, Position, Segment};
use super::problem::Problem;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One value. Scalars may be private keys: they wipe themselves, and are never printed.
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) data: Data,
    /// Values in here, itself included, with every alias written out.
    pub(super) weight: usize,
    /// Levels of nesting in here.
    pub(super) height: usize,
}

pub(super) enum Data {
    Scalar(Scalar),
    Sequence(Vec<Arc<Node>>),
    Mapping(Vec<(String, Arc<Node>)>),
}

pub(super) struct Scalar {
    pub(super) text: Zeroizing<String>,
    /// Without quotes, so that it may be something else than a string.
    pub(super) is_plain: bool,
}

/// What a scalar means, by the core schema of YAML 1.2, of which JSON's is a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(super) fn value(&self) -> Value<'_> {
        let text = self.text.as_str();
        if !self.is_plain {
            return Value::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            _ => number(text).unwrap_or(Value::Text(text)),
        }
    }
}

fn number(text: &str) -> Option<Value<'_>> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let looks_like_one = unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Value::Integer);
    }
    if !looks_like_one {
        return None;
    }
    text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok()
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.value() == Value::Null)
    }

    /// What this is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a mapping",
            Data::Scalar(scalar) => match scalar.value() {
                Value::Null => "nothing",
                Value::Bool(_) => "a boolean",
                Value::Integer(_) => "a number",
                Value::Float(number) if number.fract() == 0.0 => {
                    "a number that is too large or has an exponent"
                }
                Value::Float(_) => "a number with a fraction",
                Value::Text(_) => "a string",
            },
        }
    }

    /// The value of the field, by its name as protobuf has it or in lowerCamelCase, with the name that was
    /// written.
    pub(super) fn field(&self, name: &str) -> Option<(&str, &Arc<Node>)> {
        let Data::Mapping(entries) = &self.data else { return None };
        let found = entries.iter().find(|(written, _)| written == name || snake_case(written) == name);
        found.map(|(written, node)| (written.as_str(), node))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(scalar) => match scalar.value() {
                Value::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `lowerCamelCase` as `snake_case`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// A value of some text, from which settings are read. Copies share the text.
#[derive(Clone)]
pub struct Document {
    pub(super) file: Arc<str>,
    /// The way to `root` from the root of the text.
    pub(super) base: Path,
    pub(super) root: Arc<Node>,
}

impl Document {
    /// The name that the text was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The value at `path` as a document of its own, if there is one.
    pub fn find(&self, path: &Path) -> Option<Self> {
        let mut at = self.clone();
        for segment in path.segments() {
            let (base, root) = match segment {
                Segment::Field(name) => {
                    let (written, node) = at.root.field(name)?;
                    (at.base.field(written), node.clone())
                }
                Segment::Index(index) => match &at.root.data {
                    Data::Sequence(elements) => (at.base.index(*index), elements.get(*index)?.clone()),
                    _ => return None,
                },
            };
            (at.base, at.root) = (base, root);
        }
        Some(at)
    }

    /// The first value of a field of that name in here, however deep.
    pub fn find_field(&self, name: &str) -> Option<Self> {
        let inside: Vec<_> = match &self.root.data {
            Data::Sequence(_) => self.elements(),
            _ => self.entries().into_iter().map(|(_, inside)| inside).collect(),
        };
        self.at(&[name]).or_else(|| inside.iter().find_map(|inside| inside.find_field(name)))
    }

    /// The value at `path` as a document of its own. Fields are named as protobuf has them; either way of
    /// writing matches.
    pub(super) fn at(&self, path: &[&str]) -> Option<Self> {
        let mut at = self.clone();
        for name in path {
            let (written, node) = at.root.field(name)?;
            (at.base, at.root) = (at.base.field(written), node.clone());
        }
        Some(at)
    }

    /// The elements of a list, or nothing.
    pub(super) fn elements(&self) -> Vec<Self> {
        let Data::Sequence(elements) = &self.root.data else { return Vec::new() };
        let element = |(i, node): (usize, &Arc<Node>)| Self {
            file: self.file.clone(),
            base: self.base.index(i),
            root: node.clone(),
        };
        elements.iter().enumerate().map(element).collect()
    }

    /// The values of a mapping by the names that were written, or nothing.
    pub(super) fn entries(&self) -> Vec<(&str, Self)> {
        let Data::Mapping(entries) = &self.root.data else { return Vec::new() };
        let entry = |(name, node): &'_ (String, Arc<Node>)| Self {
            file: self.file.clone(),
            base: self.base.field(name),
            root: node.clone(),
        };
        entries.iter().map(|e| (e.0.as_str(), entry(e))).collect()
    }

    /// The way here from the root of the text.
    pub(super) fn path(&self) -> &Path {
        &self.base
    }

    /// The same mapping without a field, by the name that was written.
    pub(super) fn without(&self, written: &str) -> Self {
        let Data::Mapping(entries) = &self.root.data else { return self.clone() };
        let others = entries.iter().filter(|(name, _)| name != written).cloned().collect();
        let Node { position, weight, height, .. } = *self.root;
        let root = Arc::new(Node { position, data: Data::Mapping(others), weight, height });
        Self { root, ..self.clone() }
    }

    pub(super) fn text_at(&self, path: &[&str]) -> Option<String> {
        self.at(path)?.root.text().map(str::to_owned)
    }

    /// Where the value at `path` stands; of one that is not there, what should contain it. The path is
    /// spelled as in the text.
    pub fn locate(&self, path: &Path) -> Location {
        let (mut node, mut spelled, mut is_there) = (&self.root, self.base.clone(), true);
        for segment in path.segments() {
            let next = match segment {
                Segment::Field(name) => {
                    node.field(name).map(|(written, node)| (spelled.field(written), node))
                }
                Segment::Index(index) => match &node.data {
                    Data::Sequence(elements) => {
                        elements.get(*index).map(|node| (spelled.index(*index), node))
                    }
                    // One that stands where a list of them belongs.
                    _ => Some((spelled.index(*index), node)),
                },
            };
            (spelled, node) = match next.filter(|_| is_there) {
                Some(next) => next,
                None => {
                    is_there = false;
                    match segment {
                        Segment::Field(name) => (spelled.field(name), node),
                        Segment::Index(index) => (spelled.index(*index), node),
                    }
                }
            };
        }
        Location { file: self.file.clone(), position: node.position, path: spelled }
    }

    /// Where it stands.
    pub fn location(&self) -> Location {
        self.locate(&Path::default())
    }

    /// Something wrong with it.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { location: self.location(), message: message.into() }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.location().to_string()).finish()
    }
}

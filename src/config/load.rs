//! From text to tree: YAML 1.2, of which JSON is a part, through an event parser that knows positions.

use super::node::{Data, Document, Node, Scalar};
use super::path::{Location, Path, Position};
use super::problem::{ConfigError, Problem};
use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most levels of nesting.
const MAX_HEIGHT: usize = 64;
/// The most values in a document, with every alias written out, so that aliases of aliases do no harm.
const MAX_WEIGHT: usize = 200_000;
/// The most fields of a mapping, among which each is looked for one after the other.
const MAX_FIELDS: usize = 1000;
/// The longest text, in bytes.
const MAX_LENGTH: usize = 16 << 20;

impl Document {
    /// The only document of `text`, YAML or JSON; `file` is the name for messages.
    ///
    /// # Errors
    /// What the text is not: well-formed, one document, of reasonable size, with strings for field names,
    /// none of them twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let mut documents = Self::parse_all(file, text)?;
        match documents.len() {
            1 => Ok(documents.remove(0)),
            0 => Err(problem(&file.into(), Position { line: 1, column: 1 }, "there is nothing in it").into()),
            n => Err(documents[1].problem(format!("expected one document, found {n}")).into()),
        }
    }

    /// All documents of `text`, which `---` separates, without those that are empty.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_all(file: &str, text: &str) -> Result<Vec<Self>, ConfigError> {
        let file: Arc<str> = file.into();
        if text.len() > MAX_LENGTH {
            return Err(problem(&file, Position { line: 1, column: 1 }, "longer than 16 MiB").into());
        }
        let mut loader = Loader { file: file.clone(), ..Loader::default() };
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|e| problem(&file, position(e.marker()), &e.kind().to_string()))?;
            loader.take(event, position(&span.start))?;
        }
        let roots = loader.roots.into_iter().filter(|root| !root.is_null());
        Ok(roots.map(|root| Self { file: file.clone(), base: Path::default(), root }).collect())
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn problem(file: &Arc<str>, position: Position, message: &str) -> Problem {
    let location = Location { file: file.clone(), position, path: Path::default() };
    Problem { location, message: message.to_owned() }
}

/// A list or mapping that is not complete.
struct Open {
    position: Position,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Arc<Node>>),
    /// With the name of the field whose value comes next.
    Mapping(Vec<(String, Arc<Node>)>, Option<String>),
}

#[derive(Default)]
struct Loader {
    file: Arc<str>,
    roots: Vec<Arc<Node>>,
    open: Vec<Open>,
    anchored: HashMap<usize, Arc<Node>>,
    /// Values that were read of this document.
    nodes: usize,
}

impl Loader {
    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !is_string(tag.as_deref());
                let scalar = Scalar { text: Zeroizing::new(text.into_owned()), is_plain };
                self.complete(position, anchor, Data::Scalar(scalar))
            }
            Event::SequenceStart(_, anchor, _) => self.start(position, anchor, Inside::Sequence(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.start(position, anchor, Inside::Mapping(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { position, anchor, inside }) = self.open.pop() else { return Ok(()) };
                let data = match inside {
                    Inside::Sequence(elements) => Data::Sequence(elements),
                    Inside::Mapping(entries, _) => Data::Mapping(entries),
                };
                self.complete(position, anchor, data)
            }
            Event::Alias(id) => match self.anchored.get(&id).cloned() {
                Some(node) => self.add(position, node),
                None => Err(problem(&self.file, position, "an alias inside of what it stands for")),
            },
            Event::DocumentStart(..) => {
                self.anchored.clear();
                self.nodes = 0;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, position: Position, anchor: usize, inside: Inside) -> Result<(), Problem> {
        if self.open.len() >= MAX_HEIGHT {
            return Err(problem(&self.file, position, "nested too deeply"));
        }
        if self.expects_name() {
            return Err(problem(&self.file, position, "the name of a field must be a string"));
        }
        self.open.push(Open { position, anchor, inside });
        Ok(())
    }

    fn expects_name(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Mapping(_, None), .. }))
    }

    fn complete(&mut self, position: Position, anchor: usize, data: Data) -> Result<(), Problem> {
        let children: Vec<&Arc<Node>> = match &data {
            Data::Scalar(_) => Vec::new(),
            Data::Sequence(elements) => elements.iter().collect(),
            Data::Mapping(entries) => entries.iter().map(|(_, node)| node).collect(),
        };
        let weight = children.iter().fold(1, |sum: usize, node| sum.saturating_add(node.weight));
        let height = 1 + children.iter().map(|node| node.height).max().unwrap_or(0);
        self.nodes += 1;
        // Before the whole of a long list is there.
        if self.nodes > MAX_WEIGHT {
            return Err(problem(&self.file, position, "too large"));
        }
        if weight > MAX_WEIGHT || height > MAX_HEIGHT + 1 {
            return Err(problem(&self.file, position, "too large with its aliases written out"));
        }
        let node = Arc::new(Node { position, data, weight, height });
        if anchor != 0 {
            self.anchored.insert(anchor, node.clone());
        }
        self.add(position, node)
    }

    fn add(&mut self, position: Position, node: Arc<Node>) -> Result<(), Problem> {
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.roots.push(node),
            Some(Inside::Sequence(elements)) => elements.push(node),
            Some(Inside::Mapping(entries, next)) => match next.take() {
                Some(name) => entries.push((name, node)),
                None if entries.len() >= MAX_FIELDS => {
                    return Err(problem(&self.file, position, "a mapping of more than 1000 fields"));
                }
                None => {
                    let Data::Scalar(name) = &node.data else {
                        return Err(problem(&self.file, position, "the name of a field must be a string"));
                    };
                    if entries.iter().any(|(other, _)| *other == *name.text) {
                        let message = format!("the field {:?} is here twice", name.text.as_str());
                        return Err(problem(&self.file, position, &message));
                    }
                    *next = Some(name.text.as_str().to_owned());
                }
            },
        }
        Ok(())
    }
}

/// Whether the value is marked as a string, as `!!str 1` is.
fn is_string(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.core_suffix() == Some("str"))
}

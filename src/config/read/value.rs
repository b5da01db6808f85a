//! The deserializer of one value.

use super::{Noticed, ReadError};
use crate::config::node::{Data, Document, Node, Scalar, Value, snake_case};
use crate::config::path::Path;
use crate::config::problem::Problem;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::sync::Arc;

/// Reads `node`, which stands at `path` (as it is spelled there) in `document`.
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document,
    pub(super) node: &'a Arc<Node>,
    pub(super) path: Path,
    pub(super) noticed: &'a Noticed,
}

impl<'a> Reader<'a> {
    /// Reads a value inside of this one. What a type finds wrong after the value was read is tied to the
    /// value's place, too.
    fn at<T>(
        &self,
        path: Path,
        node: &'a Arc<Node>,
        read: impl FnOnce(Self) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let inside = || Self { document: self.document, node, path: path.clone(), noticed: self.noticed };
        inside().place(read(inside()))
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        // The path is spelled as in the text; only its beginning and the position are missing.
        Problem { location: self.document.locate(&self.path), message: message.into() }
    }

    /// Ties an error to this place, if it is not tied to one further inside.
    fn place<T>(&self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|e| match e.problem {
            Some(_) => e,
            None => ReadError { problem: Some(self.problem(e.message.clone())), ..e },
        })
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, ReadError> {
        let message = format!("expected {expected}, found {}", self.node.kind());
        Err(ReadError { problem: Some(self.problem(message.clone())), message })
    }

    fn scalar(&self, expected: &str) -> Result<&'a Scalar, ReadError> {
        match &self.node.data {
            Data::Scalar(scalar) => Ok(scalar),
            _ => self.wrong(expected),
        }
    }

    fn entries(&self) -> Option<&'a [(String, Arc<Node>)]> {
        match &self.node.data {
            Data::Mapping(entries) => Some(entries),
            _ if self.node.is_null() => Some(&[]),
            _ => None,
        }
    }

    fn integer<T>(
        self,
        visit: impl FnOnce(&Self, i64) -> Result<T, ReadError>,
        expected: &str,
    ) -> Result<T, ReadError> {
        let scalar = self.scalar(expected)?;
        let number = match scalar.value() {
            Value::Integer(number) => number,
            // Protobuf's JSON writes long numbers as strings.
            Value::Text(text) => text.parse().or_else(|_| self.wrong(expected))?,
            _ => return self.wrong(expected),
        };
        let result = visit(&self, number);
        self.place(result)
    }

    /// Reads the fields; names in lowerCamelCase become what `fields` has.
    fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let Some(entries) = self.entries() else { return self.wrong("a mapping") };
        let result = visitor.visit_map(Fields { reader: &self, entries: entries.iter(), fields, next: None });
        self.place(result)
    }
}

macro_rules! integers {
    ($($method:ident),+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
                self.integer(|_, number| match u64::try_from(number) {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_i64(number),
                }, "a whole number")
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    integers!(
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let result = match &self.node.data {
            Data::Sequence(_) => return self.deserialize_seq(visitor),
            Data::Mapping(_) => return self.fields(&[], visitor),
            Data::Scalar(scalar) => match scalar.value() {
                Value::Null => visitor.visit_unit(),
                Value::Bool(value) => visitor.visit_bool(value),
                Value::Integer(value) => visitor.visit_i64(value),
                Value::Float(value) => visitor.visit_f64(value),
                Value::Text(text) => visitor.visit_str(text),
            },
        };
        self.place(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.scalar("true or false")?.value() {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => self.wrong("true or false"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.scalar("a string")?.value() {
            Value::Text(text) => {
                let result = visitor.visit_str(text);
                self.place(result)
            }
            Value::Null => self.wrong("a string"),
            _ => self.wrong("a string, in quotes"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let elements = match &self.node.data {
            Data::Sequence(elements) => elements.as_slice(),
            // Documentation of Istio and Envoy shows a certificate without the dash of its list.
            Data::Mapping(_) => {
                self.noticed.warnings.borrow_mut().push(self.problem("taken as a list of one"));
                std::slice::from_ref(self.node)
            }
            Data::Scalar(_) if self.node.is_null() => &[],
            Data::Scalar(_) => return self.wrong("a list"),
        };
        let result = visitor.visit_seq(Elements { reader: &self, elements: elements.iter().enumerate() });
        self.place(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.fields(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let name = StrDeserializer::<ReadError>::new(match self.scalar("a name")?.value() {
            Value::Text(text) => text,
            _ => return self.wrong("a name"),
        });
        let result = visitor.visit_enum(name);
        self.place(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.noticed.unknown.borrow_mut().push(self.problem("this field is not supported"));
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Elements<'r, 'a> {
    reader: &'r Reader<'a>,
    elements: std::iter::Enumerate<std::slice::Iter<'a, Arc<Node>>>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((i, node)) = self.elements.next() else { return Ok(None) };
        self.reader.at(self.reader.path.index(i), node, |inside| seed.deserialize(inside)).map(Some)
    }
}

struct Fields<'r, 'a> {
    reader: &'r Reader<'a>,
    entries: std::slice::Iter<'a, (String, Arc<Node>)>,
    fields: &'static [&'static str],
    next: Option<(&'a str, &'a Arc<Node>)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((written, node)) = self.entries.next() else { return Ok(None) };
        self.next = Some((written, node));
        let snake = snake_case(written);
        let is_field = |name: &str| self.fields.contains(&name);
        let name = if !is_field(written) && is_field(&snake) { &snake } else { written };
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (written, node) =
            self.next.take().ok_or_else(|| <ReadError as de::Error>::custom("a value without a name"))?;
        self.reader.at(self.reader.path.field(written), node, |inside| seed.deserialize(inside))
    }
}

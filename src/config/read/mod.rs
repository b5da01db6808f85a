//! From tree to the types of a configuration, through serde.
//!
//! Every field's name is taken as protobuf has it or in lowerCamelCase, as protobuf's JSON allows; numbers
//! may be written as strings; and what no type asks for is remembered with its place instead of being lost.
//! Errors know the place of the value that they are about, and never repeat the value: it may be a key.

mod report;
mod value;

pub(super) use report::{At, Report};

use super::node::Document;
use super::path::Path;
use super::problem::{Checked, ConfigError, Mode, Problem};
use serde::Deserialize;
use serde::de::{self, Expected, Unexpected};
use std::cell::RefCell;
use std::fmt;
use value::Reader;

/// What serde calls the types of whole numbers, with what fits into them.
const INTEGERS: [(&str, i128, i128); 8] = [
    ("u8", u8::MIN as i128, u8::MAX as i128),
    ("u16", u16::MIN as i128, u16::MAX as i128),
    ("u32", u32::MIN as i128, u32::MAX as i128),
    ("u64", u64::MIN as i128, u64::MAX as i128),
    ("usize", usize::MIN as i128, usize::MAX as i128),
    ("i32", i32::MIN as i128, i32::MAX as i128),
    ("i64", i64::MIN as i128, i64::MAX as i128),
    ("isize", isize::MIN as i128, isize::MAX as i128),
];

/// What reading noticed, besides the value.
#[derive(Debug, Default)]
struct Noticed {
    /// Fields that no type asked for.
    unknown: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

/// Why reading ended, and where.
#[derive(Debug)]
struct ReadError {
    message: String,
    problem: Option<Problem>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), problem: None }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a string",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "something else",
        };
        Self::custom(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let range = INTEGERS.iter().find(|(name, ..)| *name == expected);
        Self::custom(match range {
            Some((_, least, most)) => {
                format!("the value is out of range: expected a whole number from {least} to {most}")
            }
            None => format!("the value is out of range: expected {expected}"),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("{field} is required"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("expected one of {}", expected.join(", ")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format!("the field {field} is here twice, in two spellings"))
    }
}

impl Document {
    /// The whole document as a `T` of the proxy's own, with fields in either spelling and errors that know
    /// their place.
    ///
    /// ```
    /// use rustls_multibuffer::config::{Document, Mode, Span};
    ///
    /// #[derive(Debug, serde::Deserialize)]
    /// struct Proxy {
    ///     idle_timeout: Span,
    /// }
    /// let document = Document::parse("proxy.yaml", "idleTimeout: 1m30s")?;
    /// assert_eq!(document.read::<Proxy>(Mode::Strict)?.value.idle_timeout, Span::seconds(90));
    /// let e = Document::parse("proxy.yaml", "idle_timeout: soon")?.read::<Proxy>(Mode::Strict).unwrap_err();
    /// assert!(e.to_string().starts_with("proxy.yaml:1:15: idle_timeout: "), "{e}");
    /// # Ok::<(), rustls_multibuffer::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// What is no `T`; and, if `mode` is strict, fields that a `T` does not have.
    pub fn read<T: for<'de> Deserialize<'de>>(&self, mode: Mode) -> Result<Checked<T>, ConfigError> {
        let report = Report::new(self, mode);
        let value = read(&report);
        report.finish(value)
    }
}

/// The document as a `T`. Fields that a `T` does not have are errors, or warnings, as the report's mode has
/// it. `None`: it is not a `T`, and the report says why.
pub(super) fn read<T: for<'de> Deserialize<'de>>(report: &Report<'_>) -> Option<T> {
    let (value, unknown) = read_known(report)?;
    unknown.into_iter().for_each(|problem| report.unsupported(problem));
    Some(value)
}

/// The document as a `T`, and the fields that a `T` does not have. `None`: it is not a `T`, and the report
/// says why.
pub(super) fn read_known<T: for<'de> Deserialize<'de>>(report: &Report<'_>) -> Option<(T, Vec<Problem>)> {
    let document = report.document();
    let noticed = Noticed::default();
    let root = Reader { document, node: &document.root, path: Path::default(), noticed: &noticed };
    let result = T::deserialize(root);
    report.take_warnings(noticed.warnings.into_inner());
    match result {
        Ok(value) => Some((value, noticed.unknown.into_inner())),
        Err(ReadError { message, problem }) => {
            report.take_error(problem.unwrap_or_else(|| document.problem(message)));
            None
        }
    }
}

/// The document as a `T`, with the fields that a `T` does not have left aside.
pub(super) fn read_some_of<T: for<'de> Deserialize<'de>>(document: &Document) -> Result<T, Problem> {
    let noticed = Noticed::default();
    let root = Reader { document, node: &document.root, path: Path::default(), noticed: &noticed };
    T::deserialize(root).map_err(|e| e.problem.unwrap_or_else(|| document.problem(e.message)))
}

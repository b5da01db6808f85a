//! What is wrong with a configuration.

use super::path::Location;
use serde::Serialize;
use std::fmt;

/// Something wrong, or worth a warning, and where it stands. Never carries a value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it stands.
    #[serde(flatten)]
    pub location: Location,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// A configuration was refused: everything that was found wrong with it, at least one [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Of these problems, of which there is at least one.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.location.position);
        Self { problems }
    }

    /// The problems, in the order of the text.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A configuration that was accepted, with what deserves attention.
#[derive(Clone, Debug)]
#[must_use = "the warnings belong into a log"]
pub struct Checked<T> {
    /// The configuration that was accepted.
    pub value: T,
    /// In the order of the text. With [`Mode::Lenient`], also what is not supported and was left out.
    pub warnings: Vec<Problem>,
}

impl<T> Checked<T> {
    /// The same warnings with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Checked<U> {
        Checked { value: f(self.value), warnings: self.warnings }
    }
}

/// What to do about fields that are not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They are errors.
    #[default]
    Strict,
    /// They are warnings, except those that would admit fewer peers or algorithms if they were obeyed: to
    /// leave one of these out is never what anybody wants.
    Lenient,
}

//! Collects what is wrong with one document.

use crate::config::node::Document;
use crate::config::path::{Location, Path};
use crate::config::problem::{Checked, ConfigError, Mode, Problem};
use std::cell::RefCell;

/// Fields that narrow down who is admitted, or with which algorithms. To leave one of them out would admit
/// more than its author wanted.
const NEVER_LEFT_OUT: [&str; 20] = [
    "auto_sni_san_validation",
    "compliance_policies",
    "crl",
    "custom_handshaker",
    "custom_validator_config",
    "match_subject_alt_names",
    "max_verify_depth",
    "oid",
    "only_verify_leaf_cert_crl",
    "require_ocsp_staple",
    "require_signed_certificate_timestamp",
    "require_sni",
    "signature_algorithms",
    "system_root_certs",
    "trust_bundles",
    "validation_context_certificate_provider",
    "validation_context_certificate_provider_instance",
    "verify_certificate_hash",
    "verify_certificate_spki",
    "ca_certificate_provider_instance",
];

/// The errors and warnings about one document.
pub(in crate::config) struct Report<'a> {
    document: &'a Document,
    mode: Mode,
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'a> Report<'a> {
    pub(in crate::config) fn new(document: &'a Document, mode: Mode) -> Self {
        Self { document, mode, errors: RefCell::default(), warnings: RefCell::default() }
    }

    pub(in crate::config) fn document(&self) -> &'a Document {
        self.document
    }

    pub(in crate::config) fn root(&self) -> At<'_> {
        At { report: self, path: Path::default() }
    }

    pub(super) fn take_error(&self, problem: Problem) {
        self.errors.borrow_mut().push(problem);
    }

    pub(super) fn take_warnings(&self, problems: Vec<Problem>) {
        self.warnings.borrow_mut().extend(problems);
    }

    /// Says that the field is not supported: an error, or with [`Mode::Lenient`] a warning if that is safe.
    pub(in crate::config) fn unsupported(&self, problem: Problem) {
        let name = problem.location.path.last_field().map(crate::config::node::snake_case);
        let must_be_obeyed = name.is_some_and(|name| NEVER_LEFT_OUT.contains(&name.as_str()));
        match self.mode {
            Mode::Lenient if !must_be_obeyed => self.warnings.borrow_mut().push(problem),
            _ => self.errors.borrow_mut().push(problem),
        }
    }

    /// What was found so far: errors, and warnings.
    pub(in crate::config) fn into_problems(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.errors.into_inner(), self.warnings.into_inner())
    }

    /// The value, unless there were errors.
    pub(in crate::config) fn finish<T>(self, value: Option<T>) -> Result<Checked<T>, ConfigError> {
        let document = self.document;
        let (errors, mut warnings) = self.into_problems();
        warnings.sort_by_key(|problem| problem.location.position);
        match value {
            Some(value) if errors.is_empty() => Ok(Checked { value, warnings }),
            _ if errors.is_empty() => Err(document.problem("not understood").into()),
            _ => Err(ConfigError::new(errors)),
        }
    }
}

/// A place in the document, to report about. Fields are named as protobuf has them.
#[derive(Clone)]
pub(in crate::config) struct At<'a> {
    report: &'a Report<'a>,
    path: Path,
}

impl At<'_> {
    pub(in crate::config) fn field(&self, name: &str) -> Self {
        Self { report: self.report, path: self.path.field(name) }
    }

    pub(in crate::config) fn index(&self, index: usize) -> Self {
        Self { report: self.report, path: self.path.index(index) }
    }

    pub(in crate::config) fn location(&self) -> Location {
        self.report.document.locate(&self.path)
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { location: self.location(), message: message.into() }
    }

    pub(in crate::config) fn error(&self, message: impl Into<String>) {
        self.report.take_error(self.problem(message));
    }

    /// The same as an answer that is missing.
    pub(in crate::config) fn fail<T>(&self, message: impl Into<String>) -> Option<T> {
        self.error(message);
        None
    }

    pub(in crate::config) fn warn(&self, message: impl Into<String>) {
        self.report.warnings.borrow_mut().push(self.problem(message));
    }

    /// Says that the field is known, but not its value: an error, or a warning if that is safe and asked for.
    pub(in crate::config) fn unsupported(&self, message: impl Into<String>) {
        self.report.unsupported(self.problem(message));
    }
}

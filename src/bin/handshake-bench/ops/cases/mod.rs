//! What is measured: each operation with its keys and inputs, for us and for the libraries to compare with.
//!
//! Nothing here belongs to the program: `benches/ops.rs` measures the same.

mod ed25519;
mod nist;
mod rsa;
mod rsa_verify;
mod x25519;

use rustls_multibuffer::internals::ops::{Op, Request, Response, Runner};

/// A library to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    AwsLcRs,
    Ring,
}

impl Baseline {
    pub(crate) const ALL: [Self; 2] = [Self::AwsLcRs, Self::Ring];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AwsLcRs => "aws-lc-rs",
            Self::Ring => "ring",
        }
    }
}

/// One operation with its keys and inputs, for us and for the others.
///
/// Inputs are numbered; neighbours have different keys, so that a batch never consists of one key only.
pub(crate) trait Case {
    /// The queue that serves it.
    fn op(&self) -> Op;
    /// Whether the operation differs from the others on this runner.
    fn exists_on(&self, _runner: &Runner) -> bool {
        true
    }
    /// What the runner is made to forget before each batch.
    fn prepare(&self, _runner: &mut Runner) {}
    /// A request, made as the provider makes it.
    fn request(&self, input: usize) -> Request;
    /// Whether a response to [`Case::request`] is right, according to aws-lc-rs.
    fn check(&self, input: usize, response: &Response) -> Result<(), String>;
    /// The same operation through another library.
    fn run_baseline(&self, baseline: Baseline, input: usize);
}

/// The names of all operations.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    rsa::NAMES
        .into_iter()
        .chain(rsa_verify::NAMES)
        .chain(x25519::NAMES)
        .chain(ed25519::NAMES)
        .chain(nist::NAMES)
}

/// The operation of that name, which is one of [`names`].
pub(crate) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    match () {
        () if x25519::NAMES.contains(&name) => x25519::case(name),
        () if ed25519::NAMES.contains(&name) => ed25519::case(name),
        () if nist::NAMES.contains(&name) => nist::case(name),
        () if rsa_verify::NAMES.contains(&name) => rsa_verify::case(name),
        () => rsa::case(name),
    }
}

pub(crate) type Results = Vec<Result<Response, rustls_multibuffer::Error>>;

/// The whole operation: makes the requests, runs them as one batch.
pub(crate) fn run_batch(case: &dyn Case, runner: &mut Runner, fill: usize) -> Results {
    case.prepare(runner);
    let requests: Vec<Request> = (0..fill).map(|input| case.request(input)).collect();
    let mut results = Vec::with_capacity(fill);
    runner.run(&requests.iter().collect::<Vec<_>>(), &mut results);
    results
}

//! What is measured: each operation with its keys and inputs, for us and for the libraries to compare with.
//!
//! Nothing here belongs to the program: `benches/ops.rs` measures the same.

mod ecdsa;
mod ed25519;
mod kx;
mod rsa;
mod rsa_verify;

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

type Make = fn(&str) -> Result<Box<dyn Case>, String>;

/// The names of the operations of each module, and what makes one of them.
const MODULES: [(&[&str], Make); 5] = [
    (&rsa::NAMES, rsa::case),
    (&rsa_verify::NAMES, rsa_verify::case),
    (&kx::NAMES, kx::case),
    (&ed25519::NAMES, ed25519::case),
    (&ecdsa::NAMES, ecdsa::case),
];

/// The names of all operations.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().flat_map(|(names, _)| names.iter().copied())
}

/// The operation of that name.
///
/// # Errors
/// There is none, or its keys cannot be made.
pub(crate) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let module = MODULES.iter().find(|(names, _)| names.contains(&name));
    let (_, make) = module.ok_or_else(|| format!("unknown operation {name:?}"))?;
    make(name)
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

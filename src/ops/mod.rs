//! Public-key operations, each over one batch of requests.
//!
//! A [`Request`] is one operation of one handshake; [`Runner::run`] executes a batch of requests of the same
//! [`Op`] and gives one `Result` a request. Which CPU tier runs it, and when a batch is too small for the
//! lanes, is decided here and nowhere else.

pub mod rsa;
pub mod scalar;

use crate::arch::Tier;
use crate::error::Error;

/// An operation and its size: requests of one `Op` can share a batch, whatever their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Op {
    /// RSA private operation with a 2048-bit modulus (any padding, any hash).
    RsaSign2048,
    /// RSA private operation with a 3072-bit modulus.
    RsaSign3072,
    /// RSA private operation with a 4096-bit modulus.
    RsaSign4096,
}

impl Op {
    /// Every operation, for tables and statistics indexed by [`Op::index`].
    pub const ALL: [Self; 3] = [Self::RsaSign2048, Self::RsaSign3072, Self::RsaSign4096];

    /// The position in [`Op::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in metrics and reports, such as `rsa2048-sign`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSign2048 => "rsa2048-sign",
            Self::RsaSign3072 => "rsa3072-sign",
            Self::RsaSign4096 => "rsa4096-sign",
        }
    }
}

/// One operation to be run in some batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// An RSA signature.
    RsaSign(rsa::SignRequest),
}

impl Request {
    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        match self {
            Self::RsaSign(r) => r.op(),
        }
    }
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// A signature in the form that TLS carries.
    Signature(Vec<u8>),
}

/// Runs batches on one thread: owns the kernels' workspace, wiped after every batch.
#[derive(Debug)]
pub struct Runner {
    tier: Tier,
    counters: Counters,
}

/// What a [`Runner`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests answered from lanes.
    pub in_lanes: u64,
    /// Requests answered by aws-lc-rs because their batch was below the break-even fill, or because the tier
    /// has no kernel for them.
    pub scalar: u64,
    /// Requests whose lane failed the public-key check and that were done again through aws-lc-rs.
    pub redone: u64,
}

impl Runner {
    /// A runner for `tier`.
    pub fn new(tier: Tier) -> Self {
        Self { tier, counters: Counters::default() }
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// How many requests of `op` fill all lanes: 1 where the tier has no kernel for it.
    pub fn capacity(&self, op: Op) -> usize {
        let _ = op;
        1
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Runs `requests`, at most [`Runner::capacity`] and all of one [`Op`], and appends one result for each to
    /// `results`, in the order of the requests. A request that fails does so alone.
    pub fn run(&mut self, requests: &[&Request], results: &mut Vec<Result<Response, Error>>) {
        for request in requests {
            let Request::RsaSign(request) = request;
            self.counters.scalar += 1;
            results.push(request.run_scalar().map(Response::Signature));
        }
    }
}

//! Public-key operations, each over one batch of requests.
//!
//! A [`Request`] is one operation of one handshake; [`Runner::run`] executes a batch of requests of the same
//! [`Op`] and gives one `Result` a request. Which CPU tier runs it, and when a batch is too small for the
//! lanes, is decided here and nowhere else.

mod break_even;
#[cfg(all(test, lanes))]
mod constant_time;
#[cfg(all(test, lanes, target_os = "linux"))]
mod counts;
mod curve25519;
pub mod ecdh;
pub mod ecdsa;
pub mod ed25519;
pub(crate) mod envelope;
mod nist;
pub mod rsa;
pub(crate) mod scalar;
mod shared_secret;
#[cfg(test)]
mod tests;
#[cfg(all(test, lanes, target_os = "linux"))]
mod traces;
pub mod x25519;

pub use nist::NistCurve;
pub use scalar::Hash;
pub use shared_secret::SharedSecret;

use crate::arch::lanes::MontLanes;
use crate::arch::mxcsr::in_default_environment;
use crate::arch::prime::{P256, P384};
use crate::arch::{Tier, wiping_stack};
use crate::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
    /// Verification of an RSA signature with a 2048-bit modulus (any padding, hash and exponent).
    RsaVerify2048,
    /// Verification of an RSA signature with a 3072-bit modulus.
    RsaVerify3072,
    /// Verification of an RSA signature with a 4096-bit modulus.
    RsaVerify4096,
    /// X25519 key agreement.
    X25519,
    /// Generation of an X25519 key pair, the key share of a handshake.
    X25519Keygen,
    /// An Ed25519 signature.
    Ed25519Sign,
    /// Verification of an Ed25519 signature.
    Ed25519Verify,
    /// ECDSA signature with P-256 and SHA-256.
    P256Sign,
    /// Verification of an ECDSA signature with P-256 (any hash).
    P256Verify,
    /// The same with a public key that was met often.
    P256VerifyKnown,
    /// ECDH key agreement with P-256.
    P256Ecdh,
    /// Generation of a P-256 key pair.
    P256Keygen,
    /// ECDSA signature with P-384 and SHA-384.
    P384Sign,
    /// Verification of an ECDSA signature with P-384 (any hash).
    P384Verify,
    /// The same with a public key that was met often.
    P384VerifyKnown,
    /// ECDH key agreement with P-384.
    P384Ecdh,
    /// Generation of a P-384 key pair.
    P384Keygen,
}

/// Operations that share kernels and their workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rsa,
    Curve25519,
    P256,
    P384,
}

impl Op {
    /// Every operation, for tables and statistics indexed by [`Op::index`].
    pub const ALL: [Self; 20] = [
        Self::RsaSign2048,
        Self::RsaSign3072,
        Self::RsaSign4096,
        Self::RsaVerify2048,
        Self::RsaVerify3072,
        Self::RsaVerify4096,
        Self::X25519,
        Self::X25519Keygen,
        Self::Ed25519Sign,
        Self::Ed25519Verify,
        Self::P256Sign,
        Self::P256Verify,
        Self::P256VerifyKnown,
        Self::P256Ecdh,
        Self::P256Keygen,
        Self::P384Sign,
        Self::P384Verify,
        Self::P384VerifyKnown,
        Self::P384Ecdh,
        Self::P384Keygen,
    ];

    /// The position in [`Op::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    fn family(self) -> Family {
        match self {
            Self::X25519 | Self::X25519Keygen | Self::Ed25519Sign | Self::Ed25519Verify => Family::Curve25519,
            Self::P256Sign | Self::P256Verify | Self::P256VerifyKnown | Self::P256Ecdh | Self::P256Keygen => {
                Family::P256
            }
            Self::P384Sign | Self::P384Verify | Self::P384VerifyKnown | Self::P384Ecdh | Self::P384Keygen => {
                Family::P384
            }
            _ => Family::Rsa,
        }
    }

    /// The name in metrics and reports, such as `rsa2048-sign`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSign2048 => "rsa2048-sign",
            Self::RsaSign3072 => "rsa3072-sign",
            Self::RsaSign4096 => "rsa4096-sign",
            Self::RsaVerify2048 => "rsa2048-verify",
            Self::RsaVerify3072 => "rsa3072-verify",
            Self::RsaVerify4096 => "rsa4096-verify",
            Self::X25519 => "x25519",
            Self::X25519Keygen => "x25519-keygen",
            Self::Ed25519Sign => "ed25519-sign",
            Self::Ed25519Verify => "ed25519-verify",
            Self::P256Sign => "p256-sign",
            Self::P256Verify => "p256-verify",
            Self::P256VerifyKnown => "p256-verify-known-key",
            Self::P256Ecdh => "p256-ecdh",
            Self::P256Keygen => "p256-keygen",
            Self::P384Sign => "p384-sign",
            Self::P384Verify => "p384-verify",
            Self::P384VerifyKnown => "p384-verify-known-key",
            Self::P384Ecdh => "p384-ecdh",
            Self::P384Keygen => "p384-keygen",
        }
    }
}

/// One operation to be run in some batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// An RSA signature.
    RsaSign(rsa::SignRequest),
    /// The verification of an RSA signature.
    RsaVerify(rsa::VerifyRequest),
    /// An X25519 key agreement.
    X25519(x25519::AgreeRequest),
    /// A fresh X25519 key pair.
    X25519Keygen,
    /// An Ed25519 signature.
    Ed25519Sign(ed25519::SignRequest),
    /// The verification of an Ed25519 signature.
    Ed25519Verify(ed25519::VerifyRequest),
    /// An ECDSA signature.
    EcdsaSign(ecdsa::SignRequest),
    /// The verification of an ECDSA signature.
    EcdsaVerify(ecdsa::VerifyRequest),
    /// An ECDH key agreement.
    Ecdh(ecdh::AgreeRequest),
    /// A fresh ECDH key pair.
    EcdhKeygen(NistCurve),
}

impl Request {
    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        match self {
            Self::RsaSign(r) => r.op(),
            Self::RsaVerify(r) => r.op(),
            Self::X25519(_) => Op::X25519,
            Self::X25519Keygen => Op::X25519Keygen,
            Self::Ed25519Sign(_) => Op::Ed25519Sign,
            Self::Ed25519Verify(_) => Op::Ed25519Verify,
            Self::EcdsaSign(r) => r.op(),
            Self::EcdsaVerify(r) => r.op(),
            Self::Ecdh(r) => r.op(),
            Self::EcdhKeygen(NistCurve::P256) => Op::P256Keygen,
            Self::EcdhKeygen(NistCurve::P384) => Op::P384Keygen,
        }
    }

    /// Answers the request at once, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses; [`Error::InvalidSignature`] when a signature does not verify;
    /// [`Error::PeerKey`] when the peer's public key is refused.
    pub fn run_scalar(&self) -> Result<Response, Error> {
        self.wiping(|| self.answer())
    }

    /// Runs `body`, which answers such requests, and wipes its stack: aws-lc leaves nonces and shared secrets
    /// there, where a verification has nothing to leave.
    fn wiping<R>(&self, body: impl FnOnce() -> R) -> R {
        match self {
            Self::RsaVerify(_) | Self::Ed25519Verify(_) | Self::EcdsaVerify(_) => body(),
            _ => wiping_stack(body),
        }
    }

    fn answer(&self) -> Result<Response, Error> {
        match self {
            Self::RsaSign(r) => r.run_scalar().map(Response::Signature),
            Self::RsaVerify(r) => r.run_scalar().map(|()| Response::Verified),
            Self::X25519(r) => r.run_scalar().map(Response::SharedSecret),
            Self::X25519Keygen => x25519::KeyPair::generate().map(Response::X25519KeyPair),
            Self::Ed25519Sign(r) => r.run_scalar().map(Response::Signature),
            Self::Ed25519Verify(r) => r.run_scalar().map(|()| Response::Verified),
            Self::EcdsaSign(r) => r.run_scalar().map(Response::Signature),
            Self::EcdsaVerify(r) => r.run_scalar().map(|()| Response::Verified),
            Self::Ecdh(r) => r.run_scalar().map(Response::SharedSecret),
            Self::EcdhKeygen(curve) => ecdh::KeyPair::generate(*curve).map(Response::EcdhKeyPair),
        }
    }
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// A signature in the form that TLS carries.
    Signature(Vec<u8>),
    /// The signature is valid. One that is not gives [`Error::InvalidSignature`].
    Verified,
    /// The result of a key agreement.
    SharedSecret(SharedSecret),
    /// A fresh X25519 key pair.
    X25519KeyPair(x25519::KeyPair),
    /// A fresh ECDH key pair.
    EcdhKeyPair(ecdh::KeyPair),
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
    /// Requests whose lane failed the public-key check, or whose batch panicked, and that were done again
    /// through aws-lc-rs.
    pub redone: u64,
    /// Batches that panicked. Each is a bug of this crate.
    pub panicked: u64,
}

/// Runs batches on one thread: owns the kernels' workspace, wiped after every batch.
#[derive(Debug)]
pub struct Runner {
    tier: Tier,
    /// By [`Family`].
    lanes: [Option<Box<dyn LaneRunner>>; 4],
    counters: Counters,
    /// In place of the measured fills.
    break_even: Option<usize>,
}

impl Runner {
    /// A runner for `tier`. The first one in a process takes 30 to 70 ms, until aws-lc's random generator is seeded.
    pub fn new(tier: Tier) -> Self {
        scalar::seed();
        Self { tier, lanes: all_lanes(tier), counters: Counters::default(), break_even: None }
    }

    /// The tier that runs the batches.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// How many requests of `op` fill all lanes: 1 where the tier has no kernel for it.
    pub fn capacity(&self, op: Op) -> usize {
        self.lanes[op.family() as usize].as_ref().map_or(1, |lanes| lanes.capacity(op))
    }

    /// The smallest fill at which lanes are faster than aws-lc-rs, one by one; a smaller batch goes there.
    pub fn break_even(&self, op: Op) -> usize {
        match self.break_even {
            Some(fill) => fill.clamp(1, self.capacity(op)),
            None => break_even::fill(self.tier.kind(), op),
        }
    }

    /// The same runner with `fill` in place of the measured break-even fills; full batches still run in lanes. `None`
    /// leaves the measured ones.
    #[must_use]
    pub fn with_break_even(mut self, fill: Option<usize>) -> Self {
        self.break_even = fill;
        self
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Forgets the prepared public keys of peers, those of ECDSA for all runners: the next verification with each of them
    /// prepares it anew. Nothing needs this but a measurement of what preparing costs.
    pub fn forget_public_keys(&mut self) {
        self.lanes.iter_mut().flatten().for_each(|lanes| lanes.forget_public_keys());
        ecdsa::forget();
    }

    /// Runs `requests`, at most [`Runner::capacity`] and all of one [`Op`], and appends one result for each
    /// to `results`, in the order of the requests. A request that fails does so alone. A batch that panics,
    /// which is a bug, is done again through aws-lc-rs, one request at a time.
    ///
    /// The lanes compute in the default floating-point environment, whatever the thread's is.
    ///
    /// # Panics
    /// If there are more requests than that, or of several kinds.
    pub fn run(&mut self, requests: &[&Request], results: &mut Vec<Result<Response, Error>>) {
        let Some(op) = requests.first().map(|r| r.op()) else { return };
        assert!(requests.len() <= self.capacity(op) && requests.iter().all(|r| r.op() == op));
        let least = self.break_even(op);
        let worthwhile = requests.len() >= least;
        match self.lanes[op.family() as usize].as_mut().filter(|_| worthwhile) {
            Some(lanes) => {
                let (counters, answered) = (self.counters, results.len());
                let run = || lanes.run(requests, least, &mut self.counters, results);
                let apart = || wiping_stack(|| in_default_environment(run));
                if catch_unwind(AssertUnwindSafe(apart)).is_err() {
                    results.truncate(answered);
                    self.counters = counters;
                    self.redo(requests, results);
                }
            }
            None => {
                self.counters.scalar += requests.len() as u64;
                let answered = results.len();
                requests[0].wiping(|| results.extend(requests.iter().map(|r| r.answer())));
                let answers = requests.iter().zip(&results[answered..]);
                self.count_valid(
                    op,
                    answers.filter(|(_, result)| result.is_ok()).map(|(request, _)| *request),
                );
            }
        }
    }
}

impl Runner {
    /// Lets the lanes know of signatures that aws-lc-rs has found to be valid.
    fn count_valid<'a>(&mut self, op: Op, requests: impl Iterator<Item = &'a Request>) {
        let Some(lanes) = self.lanes[op.family() as usize].as_mut() else { return };
        let count = || in_default_environment(|| requests.for_each(|request| lanes.verified(request)));
        if catch_unwind(AssertUnwindSafe(count)).is_err() {
            self.lanes = all_lanes(self.tier);
            self.counters.panicked += 1;
        }
    }

    /// After a panic, which may have left the lanes' workspace in any state: with new lanes, and without them
    /// for now.
    fn redo(&mut self, requests: &[&Request], results: &mut Vec<Result<Response, Error>>) {
        self.lanes = all_lanes(self.tier);
        self.counters.redone += requests.len() as u64;
        self.counters.panicked += 1;
        // Whatever panics again does so alone.
        let again = |request: &&Request| {
            catch_unwind(AssertUnwindSafe(|| request.run_scalar())).unwrap_or(Err(Error::Panicked))
        };
        results.extend(requests.iter().map(again));
    }
}

/// The tier's lanes, by [`Family`].
fn all_lanes(tier: Tier) -> [Option<Box<dyn LaneRunner>>; 4] {
    macro_rules! boxed {
        ($lanes:expr) => {
            Some(Box::new($lanes) as Box<dyn LaneRunner>)
        };
    }
    macro_rules! all {
        ($kernel:ident) => {
            [
                boxed!(Lanes::new($kernel)),
                boxed!(curve25519::Lanes::new($kernel)),
                boxed!(nist::Lanes::<4, P256, _>::new($kernel)),
                boxed!(nist::Lanes::<6, P384, _>::new($kernel)),
            ]
        };
    }
    match tier {
        #[cfg(lanes)]
        Tier::Avx512Ifma(kernel) => all!(kernel),
        #[cfg(lanes)]
        Tier::AvxIfma(kernel) => all!(kernel),
        #[cfg(lanes)]
        Tier::Avx2Fma(kernel) => all!(kernel),
        #[cfg(not(lanes))]
        Tier::Avx512Ifma(_) | Tier::AvxIfma(_) | Tier::Avx2Fma(_) => {
            unreachable!("no tier with kernels is ever detected off x86-64")
        }
        Tier::Portable(kernel) => all!(kernel),
        Tier::Scalar => [None, None, None, None],
    }
}

/// What is inside the requests of a batch, which are all of one kind.
macro_rules! of_kind {
    ($requests:expr, $kind:ident) => {{
        let inside = $requests.iter().map(|request| match request {
            Request::$kind(request) => request,
            other => unreachable!("{:?} in a batch of another kind", other.op()),
        });
        inside.collect::<Vec<_>>()
    }};
}
use of_kind;

/// The kernels of some tier with their workspace.
trait LaneRunner: fmt::Debug {
    fn capacity(&self, op: Op) -> usize;
    /// Drops what is prepared for peers' keys, if anything is.
    fn forget_public_keys(&mut self) {}
    /// Takes note that aws-lc-rs has found the signature of `request` to be valid, if it has one.
    fn verified(&mut self, _request: &Request) {}
    /// Runs a batch, of which no group below the fill `least` is worth its lanes.
    fn run(
        &mut self,
        requests: &[&Request],
        least: usize,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    );
}

#[derive(Debug)]
struct Lanes<K: MontLanes> {
    kernel: K,
    rsa: rsa::Workspace<K>,
    public_keys: rsa::PublicKeys,
}

impl<K: MontLanes> Lanes<K> {
    fn new(kernel: K) -> Self {
        Self { kernel, rsa: rsa::Workspace::new(), public_keys: rsa::PublicKeys::default() }
    }
}

impl<K: MontLanes> LaneRunner for Lanes<K> {
    fn capacity(&self, op: Op) -> usize {
        match op {
            // One lane for each CRT half.
            Op::RsaSign2048 | Op::RsaSign3072 | Op::RsaSign4096 => K::LANES / 2,
            Op::RsaVerify2048 | Op::RsaVerify3072 | Op::RsaVerify4096 => K::LANES,
            _ => 1,
        }
    }

    fn forget_public_keys(&mut self) {
        self.public_keys.clear();
    }

    fn run(
        &mut self,
        requests: &[&Request],
        least: usize,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let Self { kernel, rsa: workspace, public_keys } = self;
        match requests {
            [] => {}
            [Request::RsaSign(_), ..] => {
                let requests = of_kind!(requests, RsaSign);
                let signatures =
                    rsa::sign_batch(*kernel, workspace, &mut scalar::random, &requests, counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::RsaVerify(_), ..] => {
                let requests = of_kind!(requests, RsaVerify);
                let verdicts = rsa::verify_batch(*kernel, workspace, public_keys, &requests, least, counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [_, ..] => unreachable!("the other operations have lanes of their own"),
        }
    }
}

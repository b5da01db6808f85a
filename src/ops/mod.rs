//! Public-key operations, each over one batch of requests.
//!
//! A [`Request`] is one operation of one handshake; [`Runner::run`] executes a batch of requests of the same
//! [`Op`] and gives one `Result` a request. Which CPU tier runs it, and when a batch is too small for the
//! lanes, is decided here and nowhere else.
//!
//! What is said of an operation as such, its name, lanes and break-even fill, is one table, in `op`. A family
//! of operations that share kernels has one of the runners in `lanes`, which takes a batch apart and has it
//! computed by the modules of the operations: [`rsa`], [`ecdsa`], [`ed25519`], [`kx`]. Their requests and
//! keys are public, as are the functions that answer alone, through aws-lc-rs, which `scalar` alone names.

#[cfg(all(test, lanes))]
mod constant_time;
mod counters;
#[cfg(all(test, lanes, target_os = "linux"))]
mod counts;
pub mod ecdsa;
pub mod ed25519;
pub(crate) mod envelope;
mod kinds;
pub mod kx;
mod lanes;
mod nist;
mod op;
pub(crate) mod pem;
mod request;
pub mod rsa;
mod runner;
pub(crate) mod scalar;
mod shared_secret;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timings;
#[cfg(all(test, lanes, target_os = "linux"))]
mod traces;

pub use counters::Counters;
pub use kinds::{Hash, NistCurve};
pub use op::Op;
pub use request::{Request, Response};
pub use runner::Runner;
pub use shared_secret::SharedSecret;
pub use timings::BreakEven;

//! Keys, certificates and decisions that are elsewhere: in an HSM, on another host, at an issuer.
//!
//! rustls asks for signatures, certificates and verdicts synchronously. On an engine of
//! [`handshake`](crate::handshake), what is here awaits them instead: the handshake is parked, and neither
//! its thread nor any other is blocked. There are three things to ask for, each with a trait of one
//! asynchronous method, and with what rustls wants made of it:
//!
//! | asked for | trait | for rustls |
//! |---|---|---|
//! | a signature | [`Signer`]; [`signer_fn`] makes one of a closure | [`Key`], a [`SigningKey`] |
//! | a certificate, by the client's or the server's wishes | [`CertResolver`], or a closure | [`Resolver`] |
//! | a verdict on a peer whose chain is valid | [`PeerVerifier`], or a closure | [`AfterChain`] |
//!
//! The futures are polled where the handshake is, in the runtime in which it was begun, and they are dropped
//! with it: when its caller gives it up, and when its time is up. While they are awaited, the handshake
//! counts towards [`max_parked`](crate::handshake::EngineConfig::max_parked) of its thread. What is asked
//! anywhere but on an engine fails at once with [`Error::NotOnEngine`].
//!
//! A [`Key`] deals with signers that are slow, busy, broken or wrong; its [`Policy`] says how. Resolvers and
//! verifiers are asked as they are, and have as much time as the handshake.
//!
//! `docs/offload.md` has examples.
//!
//! [`SigningKey`]: rustls::sign::SigningKey

mod breaker;
mod error;
mod key;
mod policy;
mod public_key;
mod resolver;
mod signer;
mod source;
mod stats;
mod verifier;

pub use breaker::BreakerState;
pub use error::Error;
pub use key::Key;
pub use policy::Policy;
pub use resolver::{CertRequest, CertResolver, ClientHello, Resolver};
pub use signer::{Signer, signer_fn};
pub use stats::{KeyStats, SignerStats};
pub use verifier::{AfterChain, Peer, PeerVerifier};

use std::future::Future;
use std::pin::Pin;

/// A future that borrows from whoever was asked.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any error of whoever was asked.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

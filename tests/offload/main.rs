//! Keys, certificates and verdicts that are elsewhere, in handshakes over loopback sockets with stock peers.

mod cancelled;
#[path = "../support/for_each_engine.rs"]
mod for_each_engine;
mod limits;
mod resolvers;
mod signers;
mod stall;
mod support;
mod verifiers;

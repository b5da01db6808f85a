//! Keys, certificates and verdicts that are elsewhere, in handshakes over loopback sockets with stock peers.

mod cancelled;
mod limits;
mod resolvers;
mod signers;
mod stall;
mod support;
mod verifiers;

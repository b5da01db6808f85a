//! Handshakes over loopback sockets, against tokio-rustls as it comes.

mod bad_input;
mod batching;
mod endings;
mod features;
mod limits;
mod matrix;
mod pki;
mod runtimes;
mod support;
mod verification;

//! Handshakes over loopback sockets, against tokio-rustls as it comes.

mod bad_input;
mod batching;
#[cfg(target_os = "linux")]
mod descriptors;
mod endings;
mod features;
mod identities;
mod limits;
mod matrix;
mod pki;
mod runtimes;
mod support;
mod verification;

//! Handshakes over loopback sockets, against tokio-rustls as it comes.

mod bad_input;
mod batching;
mod callbacks;
#[cfg(target_os = "linux")]
mod descriptors;
mod endings;
#[cfg(unix)]
mod faults;
mod features;
#[path = "../support/for_each_engine.rs"]
mod for_each_engine;
#[cfg(target_os = "linux")]
mod forks;
mod identities;
#[cfg(target_os = "linux")]
mod idle;
#[path = "../support/pki.rs"]
mod issuer;
mod limits;
mod matrix;
mod packing;
mod parity;
mod pki;
#[cfg(unix)]
mod relay;
mod run;
mod runtimes;
mod support;
mod unaccelerated;
mod verification;
mod waiting;
mod warnings;

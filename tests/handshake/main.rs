//! Handshakes over loopback sockets, against tokio-rustls as it comes.

mod matrix;
mod pki;
mod support;

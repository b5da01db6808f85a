//! Measures TLS handshakes: stock rustls with aws-lc-rs against this crate.

fn main() {}

//! Programs that were written for tokio-rustls, hyper-rustls and others, on an engine: what
//! `docs/integrate.md` shows is what runs here.

mod actix;
mod axum_server;
#[path = "../support/pki.rs"]
mod issuer;
mod reqwest;
mod support;
mod tls_listener;
mod tonic;

/// As they were written.
mod stock {
    pub(crate) mod client;
    pub(crate) mod vhosts;
}

/// The same on an engine.
mod switched {
    pub(crate) mod client;
    pub(crate) mod vhosts;
}

mod programs;

//! The engine that drives handshakes on fibers, and the tokio acceptor and connector.

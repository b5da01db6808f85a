//! The engine that drives handshakes on fibers, and the tokio acceptor and connector.

mod acceptor;
mod config;
mod connector;
mod drive;
mod error;
mod gate;
mod local;
mod report;
mod session;
mod work;

pub use acceptor::TlsAcceptor;
pub use config::EngineConfig;
pub use connector::TlsConnector;
pub use error::HandshakeError;
pub use local::LocalEngine;
pub use report::EngineStats;
pub use session::HandshakeEngine;

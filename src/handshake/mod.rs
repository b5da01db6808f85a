//! The engine that drives handshakes on fibers, and the tokio acceptor and connector.

mod acceptor;
mod batches;
mod config;
mod connector;
mod drive;
mod engine;
mod error;
mod gate;
mod local;
mod report;
mod session;
mod timers;
mod work;
mod worker;

pub use acceptor::TlsAcceptor;
pub use config::EngineConfig;
pub use connector::TlsConnector;
pub use engine::Engine;
pub use error::HandshakeError;
pub use local::LocalEngine;
pub use report::EngineStats;
pub use session::HandshakeEngine;

//! What runs on a fiber: the calls into rustls that may need public-key operations.

use super::HandshakeError;
use crate::fiber::Panic;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection};
use std::sync::Arc;

/// One call into rustls.
pub enum Work {
    /// Process what was read.
    Process(Box<Connection>),
    /// Start a client: makes its key shares.
    Connect(Arc<ClientConfig>, ServerName<'static>),
}

/// What came of it.
pub struct Finished {
    /// Absent when there never was one.
    pub(super) connection: Option<Box<Connection>>,
    pub(super) error: Option<rustls::Error>,
}

impl Work {
    /// Makes the call: to be run on a fiber.
    pub(super) fn run(self) -> Finished {
        match self {
            Self::Process(mut connection) => {
                let error = connection.process_new_packets().err();
                Finished { connection: Some(connection), error }
            }
            Self::Connect(config, name) => match ClientConnection::new(config, name) {
                Ok(client) => Finished { connection: Some(Box::new(client.into())), error: None },
                Err(error) => Finished { connection: None, error: Some(error) },
            },
        }
    }
}

impl From<Panic> for HandshakeError {
    fn from(panic: Panic) -> Self {
        Self::Panicked(panic.to_string())
    }
}

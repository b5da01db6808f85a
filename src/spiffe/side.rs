//! The two sides of a connection.

use webpki::KeyUsage;

/// Which side of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

impl Side {
    /// The label of metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// What the other side's certificates are for.
    pub(super) fn usage_of_peer(self) -> KeyUsage {
        match self {
            Self::Server => KeyUsage::client_auth(),
            Self::Client => KeyUsage::server_auth(),
        }
    }
}

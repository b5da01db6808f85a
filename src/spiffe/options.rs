//! What acceptors and connectors can be told about TLS.

use crate::provider::default_provider;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use std::sync::{Arc, LazyLock};

/// The TLS settings of an [`Acceptor`](super::Acceptor) or a [`Connector`](super::Connector).
///
/// ```
/// use rustls_multibuffer::spiffe::TlsOptions;
///
/// let protocols = [b"h2".to_vec(), b"http/1.1".to_vec()];
/// let options = TlsOptions::default().alpn_protocols(protocols).resumption(true);
/// ```
#[derive(Clone, Debug)]
pub struct TlsOptions {
    pub(super) alpn_protocols: Vec<Vec<u8>>,
    pub(super) prefer_client_ciphers: bool,
    pub(super) resumption: bool,
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
    pub(super) provider: Arc<CryptoProvider>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(default_provider()));
        Self {
            alpn_protocols: Vec::new(),
            prefer_client_ciphers: false,
            resumption: false,
            versions: rustls::DEFAULT_VERSIONS,
            provider: PROVIDER.clone(),
        }
    }
}

impl TlsOptions {
    /// The application protocols to negotiate, in order of preference; default: none.
    #[must_use]
    pub fn alpn_protocols(mut self, protocols: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.alpn_protocols = protocols.into_iter().collect();
        self
    }

    /// Whether an acceptor follows its client's order of cipher suites; default: no, it takes the first of
    /// its provider that the client offers.
    #[must_use]
    pub fn prefer_client_ciphers(mut self, prefer: bool) -> Self {
        self.prefer_client_ciphers = prefer;
        self
    }

    /// Whether an acceptor or a connector resumes sessions of TLS 1.3 (RFC 8446 §2.2); default: no, each
    /// connection is a full mTLS handshake.
    ///
    /// A resumption costs a key exchange and no signature, and admits nobody whom a full handshake would not:
    /// a session is resumed only in the generation of our identity that it was begun in, by the same acceptor
    /// or connector and those that were put [`on`](super::Acceptor::on) other engines, once, while no
    /// certificate of the peer's chain or ours has ended, while the authorizer still permits the peer, and
    /// for 24 hours after its full handshake. Else the handshake is a full one; none fails because of a
    /// session. There is no early data.
    ///
    /// Sessions are kept in memory, 4096 of each acceptor and connector: after a restart, and at another
    /// replica, handshakes are full. Connectors find them by the server's name. Sessions of TLS 1.2 are never
    /// resumed, because that exchanges no keys; nor are any by the configurations that a
    /// [`Snapshot`](super::Snapshot) hands out, which cannot check all this.
    #[must_use]
    pub fn resumption(mut self, resumption: bool) -> Self {
        self.resumption = resumption;
        self
    }

    /// The protocol versions; default: TLS 1.3 and 1.2.
    #[must_use]
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Key-exchange groups, cipher suites and verification algorithms; default: those of
    /// [`default_provider`]. The signing key is always one of [`crate::provider`].
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = provider;
        self
    }
}

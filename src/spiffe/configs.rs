//! The rustls configurations that a generation becomes.

use super::authorizer::Authorizer;
use super::clock::RustlsTime;
use super::options::TlsOptions;
use super::snapshot::Snapshot;
use super::verify::PeerVerifier;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use std::sync::Arc;

impl Snapshot {
    /// A server's configuration: presents our SVID, and demands one of the client that `authorizer` permits.
    ///
    /// An [`Acceptor`](super::Acceptor) has such a configuration for each generation; this is for whoever
    /// drives rustls without one. It never resumes a session, whatever [`TlsOptions::resumption`] says:
    /// rustls calls no verifier at a resumption, and only an acceptor looks at the peer again.
    ///
    /// # Errors
    /// rustls' own, if the options do not fit together: protocol versions without a cipher suite.
    pub fn server_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ServerConfig, rustls::Error> {
        let time = Arc::new(RustlsTime(self.clock().clone()));
        let mut config = ServerConfig::builder_with_details(options.provider.clone(), time)
            .with_protocol_versions(options.versions)?
            .with_client_cert_verifier(verifier(self, authorizer, options))
            .with_cert_resolver(Arc::new(Own(self.svid().certified.clone())));
        config.alpn_protocols.clone_from(&options.alpn_protocols);
        config.ignore_client_order = !options.prefer_client_ciphers;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// A client's configuration: presents our SVID, and demands one of the server that `authorizer` permits.
    ///
    /// A [`Connector`](super::Connector) has such a configuration for each generation; this is for whoever
    /// drives rustls without one. It never resumes a session, for the reason that [`Snapshot::server_config`]
    /// gives.
    ///
    /// # Errors
    /// rustls' own, if the options do not fit together: protocol versions without a cipher suite.
    pub fn client_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ClientConfig, rustls::Error> {
        let time = Arc::new(RustlsTime(self.clock().clone()));
        let mut config = ClientConfig::builder_with_details(options.provider.clone(), time)
            .with_protocol_versions(options.versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(self, authorizer, options))
            .with_client_cert_resolver(Arc::new(Own(self.svid().certified.clone())));
        config.alpn_protocols.clone_from(&options.alpn_protocols);
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn verifier(snapshot: &Arc<Snapshot>, authorizer: &Authorizer, options: &TlsOptions) -> Arc<PeerVerifier> {
    let algorithms = options.provider.signature_verification_algorithms;
    Arc::new(PeerVerifier::new(snapshot.clone(), authorizer.clone(), algorithms))
}

/// Presents our SVID, whatever the peer hints at: there is only one.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

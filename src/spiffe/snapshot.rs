//! One generation of an identity, immutable.

use super::authorizer::Authorizer;
use super::bundles::Bundles;
use super::clock::{Clock, RustlsTime, unix_time};
use super::leaf::is_over;
use super::options::TlsOptions;
use super::verify::PeerVerifier;
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// How many sessions a side remembers when resumption is on.
const SESSIONS: usize = 256;

/// Our own SVID after the acceptance rules.
#[derive(Clone, Debug)]
pub(super) struct OwnSvid {
    pub(super) id: SpiffeId,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) certified: Arc<CertifiedKey>,
}

/// One generation of an identity: our SVID with its batching signing key, and the roots of every trust domain that we know.
///
/// It never changes. Each handshake uses the snapshot that it began with to its end.
pub struct Snapshot {
    generation: u64,
    svid: OwnSvid,
    bundles: Bundles,
    clock: Arc<dyn Clock>,
}

impl Snapshot {
    pub(super) fn new(generation: u64, svid: OwnSvid, bundles: Bundles, clock: Arc<dyn Clock>) -> Self {
        Self { generation, svid, bundles, clock }
    }

    /// Its number: the first one published is 1, and each later one is greater by one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Our SPIFFE ID.
    pub fn id(&self) -> &SpiffeId {
        &self.svid.id
    }

    /// The beginning of our SVID's validity.
    pub fn not_before(&self) -> SystemTime {
        self.svid.not_before
    }

    /// The last second of our SVID's validity.
    pub fn not_after(&self) -> SystemTime {
        self.svid.not_after
    }

    /// Our certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.svid.certified.cert
    }

    /// The trust domains whose workloads we can verify.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.bundles.iter().map(|(domain, _)| domain)
    }

    /// The roots of a trust domain, none if we have no bundle for it.
    pub fn roots(&self, domain: &TrustDomain) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.bundles.get(domain).into_iter().flat_map(|roots| roots.certificates())
    }

    pub(super) fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// The time by this identity's clock; `None` before 1970.
    pub(super) fn time(&self) -> Option<UnixTime> {
        unix_time(self.clock.now())
    }

    pub(super) fn svid(&self) -> &OwnSvid {
        &self.svid
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        is_over(self.svid.not_after, now)
    }

    /// A server's configuration: presents our SVID, and demands one of the client that `authorizer` permits.
    ///
    /// An [`Acceptor`](super::Acceptor) has such a configuration for each generation; this is for whoever drives rustls
    /// without one. It never resumes a session, whatever [`TlsOptions::resumption`] says: rustls calls no verifier at a
    /// resumption, and only an acceptor looks at the peer again.
    ///
    /// # Errors
    /// rustls' own, if the options do not fit together: protocol versions without a cipher suite.
    pub fn server_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ServerConfig, rustls::Error> {
        self.acceptors_config(authorizer, &options.clone().resumption(false))
    }

    /// The same for an acceptor, which may resume.
    pub(super) fn acceptors_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ServerConfig, rustls::Error> {
        let time = Arc::new(RustlsTime(self.clock.clone()));
        let mut config = ServerConfig::builder_with_details(options.provider.clone(), time)
            .with_protocol_versions(options.versions)?
            .with_client_cert_verifier(self.verifier(authorizer, options))
            .with_cert_resolver(Arc::new(Own(self.svid.certified.clone())));
        config.alpn_protocols.clone_from(&options.alpn_protocols);
        if options.resumption {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            config.ticketer = Ticketer::new()?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    /// A client's configuration: presents our SVID, and demands one of the server that `authorizer` permits.
    ///
    /// A [`Connector`](super::Connector) has such a configuration for each generation; this is for whoever drives rustls
    /// without one. It never resumes a session, for the reason that [`Snapshot::server_config`] gives.
    ///
    /// # Errors
    /// rustls' own, if the options do not fit together: protocol versions without a cipher suite.
    pub fn client_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ClientConfig, rustls::Error> {
        self.connectors_config(authorizer, &options.clone().resumption(false))
    }

    /// The same for a connector, which may resume.
    pub(super) fn connectors_config(
        self: &Arc<Self>,
        authorizer: &Authorizer,
        options: &TlsOptions,
    ) -> Result<ClientConfig, rustls::Error> {
        let time = Arc::new(RustlsTime(self.clock.clone()));
        let mut config = ClientConfig::builder_with_details(options.provider.clone(), time)
            .with_protocol_versions(options.versions)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(authorizer, options))
            .with_client_cert_resolver(Arc::new(Own(self.svid.certified.clone())));
        config.alpn_protocols.clone_from(&options.alpn_protocols);
        config.resumption = match options.resumption {
            true => Resumption::in_memory_sessions(SESSIONS),
            false => Resumption::disabled(),
        };
        Ok(config)
    }

    fn verifier(self: &Arc<Self>, authorizer: &Authorizer, options: &TlsOptions) -> Arc<PeerVerifier> {
        let algorithms = options.provider.signature_verification_algorithms;
        Arc::new(PeerVerifier::new(self.clone(), authorizer.clone(), algorithms))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, svid, bundles, clock: _ } = self;
        let domains: Vec<_> = bundles.iter().map(|(domain, _)| domain.as_str()).collect();
        f.debug_struct("Snapshot")
            .field("generation", generation)
            .field("id", &svid.id.to_string())
            .field("not_before", &svid.not_before)
            .field("not_after", &svid.not_after)
            .field("trust_domains", &domains)
            .finish()
    }
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

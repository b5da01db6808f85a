//! Verdicts on peers by somebody else.

use super::{BoxError, BoxFuture, Error};
use crate::handshake::wait;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// A peer whose certificate has been verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Its certificate, and the others that it has sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// Of a server, the name by which it was to be reached, which its certificate has; `None` of a client.
    pub server_name: Option<ServerName<'static>>,
}

/// Says whether a peer may connect whose certificate is valid.
///
/// Closures that take a [`Peer`] and return a future are such verifiers.
pub trait PeerVerifier: Send + Sync + 'static {
    /// Says so.
    ///
    /// # Errors
    /// Why it may not, or why nobody knows: either ends the handshake, and is found in its error inside of a
    /// [`CertificateError::Other`].
    fn verify(&self, peer: Peer) -> BoxFuture<'_, Result<(), BoxError>>;
}

impl<F, Fut> PeerVerifier for F
where
    F: Fn(Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    fn verify(&self, peer: Peer) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(self(peer))
    }
}

/// A verifier of rustls', of servers or of clients, and somebody who is asked about every peer that it has
/// accepted.
///
/// The first one is as a rule rustls' own; where a server's clients may come without a certificate, nobody is
/// asked about those that do. In a resumed handshake there is no verification, and nobody is asked either: a
/// server whose verdicts must be fresh makes tickets that live no longer than a verdict may.
///
/// ```
/// use rustls::server::WebPkiClientVerifier;
/// use rustls_multibuffer::offload::{AfterChain, BoxError, Peer};
/// use rustls_multibuffer::provider::{batch_verifications, default_provider};
/// use std::sync::Arc;
/// # async fn may_connect(peer: &Peer) -> Result<bool, BoxError> { Ok(true) }
/// # let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(issued.cert.der().clone()).unwrap();
///
/// let provider = Arc::new(default_provider());
/// let webpki = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
/// let verifier = AfterChain::new(batch_verifications(webpki), |peer: Peer| async move {
///     if may_connect(&peer).await? { Ok(()) } else { Err("not on the list".into()) }
/// });
/// let config = rustls::ServerConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_client_cert_verifier(Arc::new(verifier));
/// # Ok::<(), BoxError>(())
/// ```
pub struct AfterChain<V: ?Sized> {
    chain: Arc<V>,
    ask: Arc<dyn PeerVerifier>,
}

impl<V: ?Sized> AfterChain<V> {
    /// Asks `ask` about the peers that `chain` accepts.
    pub fn new(chain: Arc<V>, ask: impl PeerVerifier) -> Self {
        Self { chain, ask: Arc::new(ask) }
    }

    fn ask(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: Option<ServerName<'static>>,
    ) -> Result<(), rustls::Error> {
        let chain = [end_entity].into_iter().chain(intermediates).map(|cert| cert.clone().into_owned());
        let (peer, ask) = (Peer { chain: chain.collect(), server_name }, self.ask.clone());
        match wait(async move { ask.verify(peer).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(CertificateError::Other(OtherError(why.into())).into()),
            Err(why) => Err(Error::from(why).into()),
        }
    }
}

/// What both kinds of verifiers have.
macro_rules! forward_the_rest {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.chain.verify_tls12_signature(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.chain.verify_tls13_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.chain.supported_verify_schemes()
        }

        fn requires_raw_public_keys(&self) -> bool {
            self.chain.requires_raw_public_keys()
        }
    };
}

impl<V: ServerCertVerifier + ?Sized> ServerCertVerifier for AfterChain<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)?;
        self.ask(end_entity, intermediates, Some(name.to_owned()))?;
        Ok(verified)
    }

    forward_the_rest!();

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.chain.root_hint_subjects()
    }
}

impl<V: ClientCertVerifier + ?Sized> ClientCertVerifier for AfterChain<V> {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        self.ask(end_entity, intermediates, None)?;
        Ok(verified)
    }

    forward_the_rest!();
}

impl<V: ?Sized> fmt::Debug for AfterChain<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AfterChain(..)")
    }
}

//! Certificates that are found, or made, when they are wanted.

use super::{BoxError, BoxFuture, Error};
use crate::handshake::wait;
use rustls::client::ResolvesClientCert;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CipherSuite, DistinguishedName, NamedGroup, OtherError, SignatureAlgorithm, SignatureScheme, server,
};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// What a server's certificate is chosen by; rustls' own [`ClientHello`](server::ClientHello) is borrowed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientHello {
    /// The name that the client wants to reach, if it says one (SNI, RFC 6066 §3).
    pub server_name: Option<String>,
    /// The client's signature schemes, compatible with the TLS version.
    pub signature_schemes: Vec<SignatureScheme>,
    /// The application protocols that it offers (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// Its cipher suites.
    pub cipher_suites: Vec<CipherSuite>,
    /// Its groups.
    pub named_groups: Vec<NamedGroup>,
    /// The authorities that it trusts, if it says any (RFC 8446 §4.2.4).
    pub certificate_authorities: Vec<DistinguishedName>,
}

impl From<server::ClientHello<'_>> for ClientHello {
    fn from(hello: server::ClientHello<'_>) -> Self {
        Self {
            server_name: hello.server_name().map(str::to_owned),
            signature_schemes: hello.signature_schemes().to_vec(),
            alpn: hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect(),
            cipher_suites: hello.cipher_suites().to_vec(),
            named_groups: hello.named_groups().unwrap_or_default().to_vec(),
            certificate_authorities: hello.certificate_authorities().unwrap_or_default().to_vec(),
        }
    }
}

/// What a client's certificate is chosen by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertRequest {
    /// The subjects of the authorities that the server trusts, in DER, if it says any.
    pub authorities: Vec<Vec<u8>>,
    /// The server's signature schemes.
    pub signature_schemes: Vec<SignatureScheme>,
}

/// Finds the certificate for a handshake: a server's by a [`ClientHello`], a client's by a [`CertRequest`].
///
/// Closures that take one of these and return a future are resolvers.
pub trait CertResolver<Q = ClientHello>: Send + Sync + 'static {
    /// The certificate and its key; `None` if there is none: then a server refuses the handshake with the
    /// alert `access_denied`, and a client goes on without a certificate.
    ///
    /// # Errors
    /// Whatever goes wrong. It ends the handshake, and is found in its error.
    fn resolve(&self, request: Q) -> BoxFuture<'_, Result<Option<Arc<CertifiedKey>>, BoxError>>;
}

impl<Q, F, Fut> CertResolver<Q> for F
where
    F: Fn(Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Arc<CertifiedKey>>, BoxError>> + Send + 'static,
{
    fn resolve(&self, request: Q) -> BoxFuture<'_, Result<Option<Arc<CertifiedKey>>, BoxError>> {
        Box::pin(self(request))
    }
}

/// A [`CertResolver`] for rustls: a [`ResolvesServerCert`] or a [`ResolvesClientCert`].
///
/// ```
/// use rustls::sign::CertifiedKey;
/// use rustls_multibuffer::offload::{BoxError, ClientHello, Resolver};
/// use rustls_multibuffer::provider::default_provider;
/// use std::sync::Arc;
/// # async fn look_up(name: String) -> Result<Option<Arc<CertifiedKey>>, BoxError> { Ok(None) }
///
/// let resolver = Resolver::new(|hello: ClientHello| async move {
///     look_up(hello.server_name.ok_or("the client says no name")?).await
/// });
/// let config = rustls::ServerConfig::builder_with_provider(default_provider().into())
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_cert_resolver(Arc::new(resolver));
/// # Ok::<(), BoxError>(())
/// ```
pub struct Resolver<Q = ClientHello>(Arc<dyn CertResolver<Q>>);

impl<Q: Send + 'static> Resolver<Q> {
    /// Asks `resolver` on an engine.
    pub fn new(resolver: impl CertResolver<Q>) -> Self {
        Self(Arc::new(resolver))
    }

    fn resolve(&self, request: Q, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let resolver = self.0.clone();
        let resolved = wait(async move { resolver.resolve(request).await });
        let why = match resolved {
            Ok(Ok(key)) => return key,
            Ok(Err(why)) => rustls::Error::Other(OtherError(why.into())),
            Err(why) => Error::from(why).into(),
        };
        Some(Refusal::certified(why, schemes))
    }
}

impl ResolvesServerCert for Resolver<ClientHello> {
    fn resolve(&self, hello: server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes().to_vec();
        self.resolve(hello.into(), &schemes)
    }
}

impl ResolvesClientCert for Resolver<CertRequest> {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let authorities = authorities.iter().map(|name| name.to_vec()).collect();
        self.resolve(CertRequest { authorities, signature_schemes: schemes.to_vec() }, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl<Q> fmt::Debug for Resolver<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver(..)")
    }
}

/// A key that signs nothing, and says why. rustls takes no error from a resolver: a server's handshake would
/// end with words that say nothing, and a client's would go on without a certificate.
#[derive(Clone, Debug)]
struct Refusal {
    why: rustls::Error,
    /// One that the peer takes, so that rustls gets as far as the signature.
    scheme: SignatureScheme,
}

impl Refusal {
    fn certified(why: rustls::Error, offered: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let scheme = offered.first().copied().unwrap_or(SignatureScheme::ECDSA_NISTP256_SHA256);
        Arc::new(CertifiedKey::new(Vec::new(), Arc::new(Self { why, scheme })))
    }
}

impl SigningKey for Refusal {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = offered.first().copied()?;
        Some(Box::new(Self { scheme, ..self.clone() }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        use SignatureScheme as S;
        match self.scheme {
            S::RSA_PKCS1_SHA1
            | S::RSA_PKCS1_SHA256
            | S::RSA_PKCS1_SHA384
            | S::RSA_PKCS1_SHA512
            | S::RSA_PSS_SHA256
            | S::RSA_PSS_SHA384
            | S::RSA_PSS_SHA512 => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for Refusal {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Err(self.why.clone())
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

//! Certificate verifiers that are known to be called without a lock.

use crate::fiber::unlocked;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// The same verifier, of servers or of clients, with the signatures that it verifies gathered into batches.
///
/// A verification that waits for its batch parks the handshake in the middle of the verifier's call, and
/// other handshakes of the thread run meanwhile. If the verifier, or whoever calls it, holds a lock or a
/// `RefCell`'s borrow across that, the next handshake waits for it, and nobody runs the batch: the thread is
/// blocked for good. rustls' own verifiers hold nothing, and neither does rustls when it calls them. So wrap
/// those, and verifiers of yours that hold nothing either; a verifier that locks around an inner one must
/// neither be wrapped nor have a wrapped one inside. Unwrapped, everything works, and each verification is
/// answered by itself.
///
/// ```
/// use rustls::client::WebPkiServerVerifier;
/// use rustls_multibuffer::provider::{batch_verifications, default_provider};
/// use std::sync::Arc;
/// # let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(issued.cert.der().clone()).unwrap();
///
/// let provider = Arc::new(default_provider());
/// let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
/// let config = rustls::ClientConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .dangerous()
///     .with_custom_certificate_verifier(batch_verifications(verifier))
///     .with_no_client_auth();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn batch_verifications<V: ?Sized>(verifier: Arc<V>) -> Arc<BatchVerifications<V>> {
    Arc::new(BatchVerifications(verifier))
}

/// A verifier whose signatures are verified in batches; [`batch_verifications`] makes it.
#[derive(Debug)]
pub struct BatchVerifications<V: ?Sized>(Arc<V>);

/// What both kinds of verifiers have.
macro_rules! forward_the_rest {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            unlocked(|| self.0.verify_tls12_signature(message, cert, dss))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            unlocked(|| self.0.verify_tls13_signature(message, cert, dss))
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_verify_schemes()
        }

        fn requires_raw_public_keys(&self) -> bool {
            self.0.requires_raw_public_keys()
        }
    };
}

impl<V: ServerCertVerifier + ?Sized> ServerCertVerifier for BatchVerifications<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        unlocked(|| self.0.verify_server_cert(end_entity, intermediates, name, ocsp_response, now))
    }

    forward_the_rest!();

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

impl<V: ClientCertVerifier + ?Sized> ClientCertVerifier for BatchVerifications<V> {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        unlocked(|| self.0.verify_client_cert(end_entity, intermediates, now))
    }

    forward_the_rest!();
}

//! Peers verified by the rules of the X.509-SVID standard §5, for rustls.

use super::authorizer::Authorizer;
use super::bundles::Bundles;
use super::chain::{Chain, ChainError, words};
use super::clock::system_time;
use super::leaf::Leaf;
use super::peer_error::PeerError;
use super::roots::Roots;
use super::snapshot::Snapshot;
use crate::fiber::unlocked;
use ::spiffe::{SpiffeId, TrustDomain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use std::sync::Arc;
use webpki::KeyUsage;

/// The most certificates that a peer may send beside its leaf: webpki builds no path of more than 6, and some
/// of what is sent may belong to another path.
const MAX_INTERMEDIATES: usize = 8;

/// How many other trust domains are asked whether they made a chain that its own did not make. With more of
/// them the error may say less.
const DOMAINS_ASKED: usize = 8;

/// What verifies peers for one generation, in either role: DNS names play no part.
///
/// The signature algorithms are those of the configuration's provider. It holds no lock while signatures are
/// verified, so that they may wait for batches.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    snapshot: Arc<Snapshot>,
    authorizer: Authorizer,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        authorizer: Authorizer,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { snapshot, authorizer, algorithms }
    }

    /// The leaf by itself, the chain with the bundle of the leaf's own trust domain and no other, then the
    /// authorizer. A chain that was verified before is not verified again.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: KeyUsage,
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let chain = Chain { leaf, intermediates, now, usage, algorithms: self.algorithms.all };
        let id = match self.snapshot.bundles().verified().find(chain) {
            Some(id) => id,
            None => self.verify_chain(chain)?,
        };
        let id = authorize(&self.authorizer, id)?;
        let roots = self.roots(id.trust_domain())?;
        if roots.admits(&id) { Ok(()) } else { Err(PeerError::NotAuthorized(id)) }
    }

    fn verify_chain(&self, chain: Chain<'_>) -> Result<SpiffeId, PeerError> {
        let id = check_leaf(chain.leaf, chain.now)?.id;
        if chain.intermediates.len() > MAX_INTERMEDIATES {
            return Err(PeerError::BadChain("there are too many intermediates".to_owned()));
        }
        let domain = id.trust_domain();
        let roots = self.roots(domain)?;
        let end = unlocked(|| roots.verify(chain, domain).map_err(|e| self.reason(e, chain, domain)))?;
        self.snapshot.bundles().verified().insert(chain, end, &id);
        Ok(id)
    }

    fn roots(&self, domain: &TrustDomain) -> Result<&Roots, PeerError> {
        let bundles = self.snapshot.bundles();
        match bundles.get(domain) {
            Some(roots) => Ok(roots),
            None if bundles.was_removed(domain) => Err(PeerError::BundleRemoved(domain.clone())),
            None => Err(PeerError::UnknownTrustDomain(domain.clone())),
        }
    }

    /// Says what is wrong with a chain. Only an error is looked into like this. A stranger may choose the
    /// chain, so that the work is bounded: webpki does so for one trust domain, and [`DOMAINS_ASKED`] bounds
    /// the trust domains.
    fn reason(&self, e: ChainError, chain: Chain<'_>, domain: &TrustDomain) -> PeerError {
        let foreign = |authority| PeerError::ForeignAuthority { domain: domain.clone(), authority };
        let error = match e {
            ChainError::Foreign(authority) => return foreign(authority),
            ChainError::WebPki(error) => error,
        };
        if matches!(error, webpki::Error::RequiredEkuNotFoundContext(_)) {
            return PeerError::ExtendedKeyUsage;
        }
        if let Some(revoked) = revocation(&error) {
            return revoked;
        }
        if !leads_to_no_root(&error) {
            return PeerError::BadChain(words(&error));
        }
        // Authorities of one name: webpki may have told of another path than the one that only lacks a
        // revocation list.
        if self.roots(domain).is_ok_and(|roots| roots.verify_unrevoked(chain, domain).is_ok()) {
            let why = words(&webpki::Error::UnknownRevocationStatus);
            return PeerError::RevocationUnknown(why);
        }
        let others = self.snapshot.bundles().iter().filter(|(other, _)| *other != domain).take(DOMAINS_ASKED);
        // Whatever an intermediate claims to belong to, its root tells whose it is.
        let mut makers =
            others.filter(|(other, roots)| !matches!(roots.verify(chain, other), Err(ChainError::WebPki(_))));
        match makers.next() {
            Some((authority, _)) => foreign(authority.clone()),
            None => PeerError::NotInBundle(domain.clone()),
        }
    }
}

/// What the revocation lists say.
fn revocation(error: &webpki::Error) -> Option<PeerError> {
    use webpki::Error as E;
    match error {
        E::CertRevoked => Some(PeerError::Revoked),
        E::UnknownRevocationStatus
        | E::CrlExpired { .. }
        | E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            Some(PeerError::RevocationUnknown(words(error)))
        }
        _ => None,
    }
}

/// Whether no root made the chain. Authorities of one trust domain mostly have one name, so that a stranger's
/// chain looks like one with bad signatures.
fn leads_to_no_root(error: &webpki::Error) -> bool {
    matches!(
        error,
        webpki::Error::UnknownIssuer
            | webpki::Error::InvalidSignatureForPublicKey
            | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

/// The rules for a peer's leaf that need no signature.
fn check_leaf(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<Leaf, PeerError> {
    let leaf = Leaf::read(leaf)?;
    let now = system_time(now);
    if leaf.is_expired(now) {
        return Err(PeerError::Expired { not_after: leaf.not_after });
    }
    if now < leaf.not_before {
        return Err(PeerError::NotYetValid { not_before: leaf.not_before });
    }
    Ok(leaf)
}

fn authorize(authorizer: &Authorizer, id: SpiffeId) -> Result<SpiffeId, PeerError> {
    if authorizer.permits(&id) { Ok(id) } else { Err(PeerError::NotAuthorized(id)) }
}

/// What a resumption has to repeat: the peer's SVID may have expired, and the authorizer changed its mind.
/// The chain was verified by the session's first handshake, with the same bundles.
pub(super) fn recheck(
    leaf: &CertificateDer<'_>,
    authorizer: &Authorizer,
    now: UnixTime,
) -> Result<SpiffeId, PeerError> {
    authorize(authorizer, check_leaf(leaf, now)?.id)
}

/// The SPIFFE ID of a leaf that was verified with these bundles.
pub(super) fn peer_id(
    leaf: &CertificateDer<'_>,
    usage: KeyUsage,
    bundles: &Bundles,
) -> Result<SpiffeId, PeerError> {
    match bundles.verified().id(leaf, usage) {
        Some(id) => Ok(id),
        // It was not remembered, or has lost its place.
        None => Ok(Leaf::read(leaf)?.id),
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, KeyUsage::server_auth(), now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unlocked(|| verify_tls12_signature(message, cert, dss, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unlocked(|| verify_tls13_signature(message, cert, dss, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// None: the roots of a trust domain mostly have one name, and say more about us than a client needs.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, KeyUsage::client_auth(), now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unlocked(|| verify_tls12_signature(message, cert, dss, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unlocked(|| verify_tls13_signature(message, cert, dss, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

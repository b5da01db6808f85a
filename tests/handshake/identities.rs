//! Every kind of identity with every key-exchange group: what the engine is asked for, and what is refused.

use crate::issuer::authority;
use crate::pki::{Identity, Keys, issue, new_ca};
use crate::support::{
    TestEngine, assert_all_returned, config, connect, echo, for_each_engine, localhost, sockets, tls_error,
};
use rcgen::{
    CertifiedIssuer, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, Error, NamedGroup, ProtocolVersion, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
};
use rustls_multibuffer::TierKind;
use rustls_multibuffer::handshake::{EngineStats, Op, OpStats, TlsAcceptor, TlsConnector};
use rustls_multibuffer::provider::batch_verifications;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::net::TcpStream;

/// Handshakes at a time.
const PAIRS: u64 = 8;

/// What handshakes with one kind of key ask for, and certificates for it; all CAs have keys of the same kind.
struct Family {
    sign: Op,
    verify: Op,
    roots: Arc<RootCertStore>,
    /// Issued by the root.
    direct: Identity,
    /// Issued by an intermediate CA.
    indirect: Identity,
    /// The same again, all names alike, under a root that nobody trusts.
    foreign: Identity,
}

static FAMILIES: LazyLock<[Family; 4]> = LazyLock::new(|| {
    [
        Family::new(&PKCS_RSA_SHA256, Op::RsaSign2048, Op::RsaVerify2048),
        Family::new(&PKCS_ECDSA_P256_SHA256, Op::P256Sign, Op::P256Verify),
        Family::new(&PKCS_ECDSA_P384_SHA384, Op::P384Sign, Op::P384Verify),
        Family::new(&PKCS_ED25519, Op::Ed25519Sign, Op::Ed25519Verify),
    ]
});

impl Family {
    fn new(algorithm: &'static SignatureAlgorithm, sign: Op, verify: Op) -> Self {
        let root = || new_ca("root", KeyPair::generate_for(algorithm).unwrap());
        let (root, rogue) = (root(), root());
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        Self {
            sign,
            verify,
            roots: Arc::new(roots),
            direct: Self::leaf(algorithm, &root),
            indirect: Self::leaf_under_intermediate(algorithm, &root),
            foreign: Self::leaf_under_intermediate(algorithm, &rogue),
        }
    }

    fn leaf(algorithm: &'static SignatureAlgorithm, issuer: &CertifiedIssuer<'static, KeyPair>) -> Identity {
        issue(issuer, "localhost", KeyPair::generate_for(algorithm).unwrap())
    }

    fn leaf_under_intermediate(
        algorithm: &'static SignatureAlgorithm,
        root: &CertifiedIssuer<'static, KeyPair>,
    ) -> Identity {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let intermediate = CertifiedIssuer::signed_by(authority("intermediate"), key, root).unwrap();
        let mut identity = Self::leaf(algorithm, &intermediate);
        identity.chain.push(intermediate.der().clone());
        identity
    }
}

/// Each group with its key share and its agreement.
const GROUPS: [(NamedGroup, Op, Op); 4] = [
    (NamedGroup::X25519, Op::X25519Keygen, Op::X25519),
    (NamedGroup::secp256r1, Op::P256Keygen, Op::P256Ecdh),
    (NamedGroup::secp384r1, Op::P384Keygen, Op::P384Ecdh),
    (NamedGroup::X25519MLKEM768, Op::X25519Keygen, Op::X25519),
];

/// Both sides of a handshake with certificates.
#[derive(Clone, Copy, Debug)]
struct Terms {
    version: &'static SupportedProtocolVersion,
    group: NamedGroup,
}

impl Terms {
    const PLAIN: [Self; 2] = [
        Self { version: &TLS13, group: NamedGroup::X25519 },
        Self { version: &TLS12, group: NamedGroup::X25519 },
    ];

    fn provider(self, keys: Keys) -> Arc<CryptoProvider> {
        let mut provider = Arc::unwrap_or_clone(keys.provider());
        provider.kx_groups.retain(|group| group.name() == self.group);
        assert_eq!(provider.kx_groups.len(), 1);
        Arc::new(provider)
    }

    fn server(self, keys: Keys, roots: &Arc<RootCertStore>, identity: &Identity) -> Arc<ServerConfig> {
        let provider = self.provider(keys);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let resolver = resolver(&provider, identity);
        let verifier = batch_verifications(verifier);
        Arc::new(builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver))
    }

    fn client(self, keys: Keys, roots: &Arc<RootCertStore>, identity: &Identity) -> Arc<ClientConfig> {
        let provider = self.provider(keys);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build().unwrap();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let resolver = resolver(&provider, identity);
        let builder = builder.dangerous().with_custom_certificate_verifier(batch_verifications(verifier));
        Arc::new(builder.with_client_cert_resolver(resolver))
    }
}

/// The identity, whose key is not compared with its certificate.
fn resolver(provider: &CryptoProvider, identity: &Identity) -> Arc<SingleCertAndKey> {
    let key = provider.key_provider.load_private_key(identity.key()).unwrap();
    Arc::new(CertifiedKey::new(identity.chain.clone(), key).into())
}

/// Handshakes between both sides of ours, [`PAIRS`] at a time on one thread of an engine; with data on each
/// connection.
async fn pairs<E: TestEngine>(terms: Terms, family: &'static Family, identity: &Identity) -> EngineStats {
    let engine = E::start(config().threads(1).gather(PAIRS as usize).max_wait(Duration::from_secs(3600)));
    let acceptor = TlsAcceptor::new(engine.clone(), terms.server(Keys::Ours, &family.roots, identity));
    let connector = TlsConnector::new(engine.clone(), terms.client(Keys::Ours, &family.roots, identity));
    let pairs = (0..PAIRS).map(|_| {
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::task::spawn_local(async move {
            let (mut server, mut client) =
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
            let connection = server.get_ref().1;
            assert_eq!(connection.protocol_version(), Some(terms.version.version));
            assert_eq!(
                connection.negotiated_key_exchange_group().map(|group| group.name()),
                Some(terms.group)
            );
            echo(&mut client, &mut server).await;
        })
    });
    for pair in pairs.collect::<Vec<_>>() {
        pair.await.unwrap();
    }
    assert_all_returned(&engine).await;
    engine.stats()
}

/// The operation, whether its key is seen often or not: those that are have queues of their own.
fn plain(op: Op) -> Op {
    match op {
        Op::P256VerifyKnown => Op::P256Verify,
        Op::P384VerifyKnown => Op::P384Verify,
        other => other,
    }
}

/// Checks that exactly these requests came for each handshake, both sides together, and that they shared
/// batches. So many of them take two operations.
#[track_caller]
fn assert_asked_for(stats: &EngineStats, wanted: &[(Op, u64)], exchanges: u64) {
    assert_eq!((stats.succeeded, stats.failed), (2 * PAIRS, 0));
    for kind in Op::ALL.iter().copied().filter(|op| plain(*op) == *op) {
        let each = wanted.iter().find(|(wanted, _)| *wanted == kind).map_or(0, |(_, each)| *each);
        let queues = || stats.batches.iter().filter(|op| plain(op.op) == kind);
        let requests: u64 = queues().map(OpStats::requests).sum();
        assert_eq!(requests, each * PAIRS, "{}", kind.name());
        let batches: u64 = queues().map(OpStats::batches).sum();
        assert!(2 * requests >= 3 * batches, "{} in {batches} batches", kind.name());
    }
    let asked = exchanges + wanted.iter().map(|(_, each)| each).sum::<u64>();
    assert_eq!((stats.runner.in_lanes + stats.runner.scalar, stats.runner.redone), (asked * PAIRS, 0));
    // Whatever tier has lanes has them for every operation.
    let has_lanes = stats.tier != TierKind::Scalar && !wanted.is_empty();
    assert_eq!(stats.runner.in_lanes > 0, has_lanes, "{:?}", stats.runner);
}

for_each_engine! {
    async fn every_identity_with_every_group_in_tls13<E>() {
        for family in &*FAMILIES {
            for (group, share, agreement) in GROUPS {
                let stats = pairs::<E>(Terms { version: &TLS13, group }, family, &family.direct).await;
                // The server's share is made with its agreement.
                let wanted = [(family.sign, 2), (family.verify, 4), (share, 1), (agreement, 2)];
                assert_asked_for(&stats, &wanted, 1);
            }
        }
    }

    async fn every_identity_with_every_group_in_tls12<E>() {
        for family in &*FAMILIES {
            for (group, share, agreement) in
                GROUPS.into_iter().filter(|(group, ..)| *group != NamedGroup::X25519MLKEM768)
            {
                let stats = pairs::<E>(Terms { version: &TLS12, group }, family, &family.direct).await;
                let wanted = [(family.sign, 2), (family.verify, 4), (share, 2), (agreement, 2)];
                assert_asked_for(&stats, &wanted, 0);
            }
        }
    }

    async fn an_intermediate_ca_is_one_more_verification<E>() {
        for family in &*FAMILIES {
            for terms in Terms::PLAIN {
                let stats = pairs::<E>(terms, family, &family.indirect).await;
                let exchanges = u64::from(terms.version.version == ProtocolVersion::TLSv1_3);
                let kx = [(Op::X25519Keygen, 2 - exchanges), (Op::X25519, 2)];
                assert_asked_for(&stats, &[(family.sign, 2), (family.verify, 6), kx[0], kx[1]], exchanges);
            }
        }
    }

    async fn every_identity_and_group_with_stock_peers<E>() {
        let engine = E::start(config());
        for family in &*FAMILIES {
            for (group, ..) in GROUPS {
                let (terms, roots, identity) =
                    (Terms { version: &TLS13, group }, &family.roots, &family.indirect);
                let acceptor = TlsAcceptor::new(engine.clone(), terms.server(Keys::Ours, roots, identity));
                let stock = tokio_rustls::TlsConnector::from(terms.client(Keys::Stock, roots, identity));
                let (mut server, mut client) = connect(
                    |io| acceptor.accept(io),
                    |io| async move { stock.connect(localhost(), io).await },
                )
                .await;
                echo(&mut client, &mut server).await;
                let stock = tokio_rustls::TlsAcceptor::from(terms.server(Keys::Stock, roots, identity));
                let connector = TlsConnector::new(engine.clone(), terms.client(Keys::Ours, roots, identity));
                let (mut server, mut client) = connect(
                    |io| async move { stock.accept(io).await },
                    |io| connector.connect(localhost(), io),
                )
                .await;
                echo(&mut client, &mut server).await;
            }
        }
        assert_all_returned(&engine).await;
        assert_eq!((engine.stats().succeeded, engine.stats().failed), (2 * 4 * 4, 0));
    }

    async fn forged_clients_are_refused_as_by_stock<E>() {
        let engine = E::start(config());
        for (family, terms, forgery) in every_forgery() {
            let forger = terms.client(Keys::Stock, &family.roots, &forgery.identity(family));
            let accept = terms.server(Keys::Ours, &family.roots, &family.indirect);
            let acceptor = TlsAcceptor::new(engine.clone(), accept);
            let ours = refused_client(|io| acceptor.accept(io), &forger).await;
            let stock =
                tokio_rustls::TlsAcceptor::from(terms.server(Keys::Stock, &family.roots, &family.indirect));
            assert_eq!(ours, refused_client(|io| stock.accept(io), &forger).await, "{terms:?}, {forgery:?}");
            assert_eq!(ours, CertificateError::BadSignature.into(), "{terms:?}, {forgery:?}");
        }
        assert_all_returned(&engine).await;
        assert_eq!((engine.stats().succeeded, engine.stats().failed), (0, 4 * 2 * 4));
    }

    async fn forged_servers_are_refused_as_by_stock<E>() {
        let engine = E::start(config());
        for (family, terms, forgery) in every_forgery() {
            let forger = terms.server(Keys::Stock, &family.roots, &forgery.identity(family));
            let connector =
                TlsConnector::new(engine.clone(), terms.client(Keys::Ours, &family.roots, &family.indirect));
            let ours = refused_server(|io| connector.connect(localhost(), io), &forger).await;
            let stock =
                tokio_rustls::TlsConnector::from(terms.client(Keys::Stock, &family.roots, &family.indirect));
            assert_eq!(
                ours,
                refused_server(|io| stock.connect(localhost(), io), &forger).await,
                "{terms:?}, {forgery:?}"
            );
            assert_eq!(ours, CertificateError::BadSignature.into(), "{terms:?}, {forgery:?}");
        }
        assert_all_returned(&engine).await;
        assert_eq!((engine.stats().succeeded, engine.stats().failed), (0, 4 * 2 * 4));
    }
}

/// What a liar does to a chain with an intermediate CA.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    /// Spoils the signature of its own certificate.
    Leaf,
    /// Spoils the signature of the intermediate CA's certificate.
    Intermediate,
    /// Shows a sound chain under a root with the right name and another key.
    Foreign,
    /// Shows a good chain and signs the handshake with another key.
    Handshake,
}

impl Forgery {
    fn identity(self, family: &Family) -> Identity {
        let Identity { mut chain, mut key } =
            Identity { chain: family.indirect.chain.clone(), key: family.indirect.key() };
        match self {
            Self::Leaf => chain[0] = spoiled(&chain[0]),
            Self::Intermediate => chain[1] = spoiled(&chain[1]),
            Self::Foreign => (chain, key) = (family.foreign.chain.clone(), family.foreign.key()),
            Self::Handshake => key = family.direct.key(),
        }
        Identity { chain, key }
    }
}

/// The certificate with another last byte, which belongs to its issuer's signature.
fn spoiled(certificate: &[u8]) -> rustls::pki_types::CertificateDer<'static> {
    let mut der = certificate.to_vec();
    *der.last_mut().unwrap() ^= 1;
    der.into()
}

fn every_forgery() -> impl Iterator<Item = (&'static Family, Terms, Forgery)> {
    let forgeries = [Forgery::Leaf, Forgery::Intermediate, Forgery::Foreign, Forgery::Handshake];
    FAMILIES.iter().flat_map(move |family| {
        Terms::PLAIN.into_iter().flat_map(move |terms| forgeries.map(|forgery| (family, terms, forgery)))
    })
}

/// Why `accept` refuses this client.
async fn refused_client<S, F>(accept: impl FnOnce(TcpStream) -> F, client: &Arc<ClientConfig>) -> Error
where
    F: Future<Output = io::Result<S>>,
{
    let (server, stream) = sockets().await;
    let connector = tokio_rustls::TlsConnector::from(client.clone());
    // In TLS 1.3 the client has finished before the server can look at its signatures.
    let (server, _client) = tokio::join!(accept(server), connector.connect(localhost(), stream));
    tls_error(server)
}

/// Why `connect` refuses this server.
async fn refused_server<C, F>(connect: impl FnOnce(TcpStream) -> F, server: &Arc<ServerConfig>) -> Error
where
    F: Future<Output = io::Result<C>>,
{
    let (io, stream) = sockets().await;
    let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
    let (_server, client) = tokio::join!(acceptor.accept(io), connect(stream));
    tls_error(client)
}

//! What every test needs: an authority, engines of both kinds, a signer that can be spoilt, handshakes.

pub(crate) use crate::for_each_engine::for_each_engine;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion};
use rustls_multibuffer::handshake::{
    Engine, EngineConfig, EngineStats, HandshakeEngine, LocalEngine, TlsAcceptor,
};
use rustls_multibuffer::offload::{BoxError, BoxFuture, Error, Key, KeyStats, Policy, Signer};
use rustls_multibuffer::provider::default_provider;
use std::future::{Future, pending};
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::{client, server};

/// A certificate chain and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    public_key: Vec<u8>,
}

impl Identity {
    pub(crate) fn public_key(&self) -> SubjectPublicKeyInfoDer<'_> {
        self.public_key.as_slice().into()
    }

    /// The key here, as rustls' own provider has it.
    pub(crate) fn stock_key(&self) -> Arc<dyn SigningKey> {
        aws_lc_rs::sign::any_supported_type(&self.key).unwrap()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    pub(crate) fn certified(&self, key: Arc<dyn SigningKey>) -> CertifiedKey {
        CertifiedKey::new(self.chain.clone(), key)
    }

    /// A key of one signer, which has this one.
    pub(crate) fn key_of(&'static self, policy: Policy) -> (Arc<TestSigner>, Key) {
        let signer = TestSigner::new(self);
        (signer.clone(), Key::new(signer, policy).unwrap())
    }
}

pub(crate) struct Pki {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) p256: Identity,
    pub(crate) rsa: Identity,
    /// On P-256, for whoever is no server.
    pub(crate) other: Identity,
    /// From an authority that nobody trusts.
    pub(crate) stranger: Identity,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn kinds(&'static self) -> [&'static Identity; 2] {
        [&self.p256, &self.rsa]
    }

    /// A certificate on P-256.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        issue(&self.authority, name, p256())
    }
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let (authority, rogue) = (authority("trusted"), authority("rogue"));
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    Pki {
        roots: Arc::new(roots),
        p256: issue(&authority, "localhost", p256()),
        rsa: issue(&authority, "localhost", rsa),
        other: issue(&authority, "other.localhost", p256()),
        stranger: issue(&rogue, "localhost", p256()),
        authority,
    }
});

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, p256()).unwrap()
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, key: KeyPair) -> Identity {
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, authority).unwrap().der().clone()];
    let public_key = key.subject_public_key_info();
    Identity { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(), public_key }
}

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A server that shows what the key is for.
pub(crate) fn server(identity: &Identity, key: &Key) -> ServerConfig {
    let certified = identity.certified(Arc::new(key.clone()));
    certified.keys_match().unwrap();
    ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
}

/// A stock client without a certificate.
pub(crate) fn client(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(PKI.roots.clone())
        .with_no_client_auth();
    // Nobody is asked for anything when a session is resumed.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// What a signer does when it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conduct {
    /// It signs, after this time.
    Signs(Duration),
    Hangs,
    Fails,
    Panics,
    /// Its signature has a wrong bit.
    Errs,
    /// It signs another message.
    Confuses,
}

/// A signer with a stock key.
pub(crate) struct TestSigner {
    identity: &'static Identity,
    conduct: Mutex<Conduct>,
    pub(crate) asked: AtomicUsize,
}

impl TestSigner {
    pub(crate) fn new(identity: &'static Identity) -> Arc<Self> {
        let conduct = Mutex::new(Conduct::Signs(Duration::from_millis(5)));
        Arc::new(Self { identity, conduct, asked: AtomicUsize::new(0) })
    }

    pub(crate) fn set(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap() = conduct;
    }

    fn sign_now(&self, scheme: SignatureScheme, message: &[u8]) -> Vec<u8> {
        self.identity.stock_key().choose_scheme(&[scheme]).unwrap().sign(message).unwrap()
    }
}

impl Signer for TestSigner {
    fn public_key(&self) -> SubjectPublicKeyInfoDer<'_> {
        self.identity.public_key()
    }

    fn sign<'a>(
        &'a self,
        scheme: SignatureScheme,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, BoxError>> {
        self.asked.fetch_add(1, Relaxed);
        let conduct = *self.conduct.lock().unwrap();
        Box::pin(async move {
            match conduct {
                Conduct::Signs(after) => {
                    tokio::time::sleep(after).await;
                    Ok(self.sign_now(scheme, message))
                }
                Conduct::Hangs => pending().await,
                Conduct::Fails => Err("no session".into()),
                Conduct::Panics => {
                    tokio::task::yield_now().await;
                    panic!("the token is gone")
                }
                Conduct::Errs => {
                    let mut signature = self.sign_now(scheme, message);
                    *signature.last_mut().unwrap() ^= 1;
                    Ok(signature)
                }
                Conduct::Confuses => Ok(self.sign_now(scheme, b"another message")),
            }
        })
    }
}

/// What both kinds of engine can do.
pub(crate) trait TestEngine: HandshakeEngine {
    fn start(config: EngineConfig) -> Self;
    fn stats(&self) -> EngineStats;
}

impl TestEngine for Engine {
    fn start(config: EngineConfig) -> Self {
        Self::new(config).unwrap()
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }
}

impl TestEngine for LocalEngine {
    fn start(config: EngineConfig) -> Self {
        Self::new(config)
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }
}

/// How long anything may take that is not about time, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn config() -> EngineConfig {
    EngineConfig::default().threads(1).handshake_timeout(2 * PATIENCE)
}

/// A policy whose time limit is out of the way.
pub(crate) fn patient() -> Policy {
    Policy::default().timeout(PATIENCE)
}

/// Runs a test, which must not take forever, on one thread.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(3 * PATIENCE, test).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// A connected pair of sockets: the server's end and the client's.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

pub(crate) type Ends = (io::Result<server::TlsStream<TcpStream>>, io::Result<client::TlsStream<TcpStream>>);

/// A handshake of a server on the engine with a stock client, which wants to reach `name`.
pub(crate) async fn reach<E: TestEngine>(
    engine: &E,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Ends {
    let (server_socket, client_socket) = sockets().await;
    let acceptor = TlsAcceptor::new(engine.clone(), server.clone());
    let connector = tokio_rustls::TlsConnector::from(client.clone());
    let name = name.to_owned().try_into().unwrap();
    tokio::join!(acceptor.accept(server_socket), connector.connect(name, client_socket))
}

pub(crate) async fn handshake<E: TestEngine>(
    engine: &E,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Ends {
    reach(engine, server, client, "localhost").await
}

/// Both ends work: some bytes get from each to the other.
pub(crate) async fn assert_serves((server, client): Ends) {
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let mut received = [0; 4];
    server.write_all(b"ping").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut received).await.unwrap();
    client.write_all(&received).await.unwrap();
    client.flush().await.unwrap();
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"ping");
}

/// rustls' error inside of an error.
#[track_caller]
pub(crate) fn tls_error<T>(result: io::Result<T>) -> rustls::Error {
    let error = result.err().expect("must fail");
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    inner.unwrap_or_else(|| panic!("{error:?}")).clone()
}

/// The offload's own reason inside of an error.
#[track_caller]
pub(crate) fn reason<T>(result: io::Result<T>) -> Error {
    match tls_error(result) {
        rustls::Error::Other(other) => other.0.downcast_ref::<Error>().expect("ours").clone(),
        error => panic!("{error:?}"),
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until<T: std::fmt::Debug>(
    read: impl Fn() -> T,
    condition: impl Fn(&T) -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let give_up = Instant::now() + PATIENCE;
        while !condition(&read()) {
            assert!(Instant::now() < give_up, "{caller}: still {:?}", read());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What a key's only signer has and keeps waiting.
pub(crate) fn load(stats: &KeyStats) -> (usize, usize) {
    (stats.signers[0].in_flight, stats.signers[0].waiting)
}

//! Sessions are resumed while all that their full handshake found out holds, and not a moment longer. What
//! does not hold any more makes a full handshake, which lets in or refuses whom it would have anyway.
//!
//! In each test somebody has a session that can be resumed, on either side, and then something changes. The
//! peers are stock rustls and OpenSSL, and offer their sessions whatever has changed.

use crate::ca::{Ca, HOUR, Spec, domain, id, material};
use crate::clock::TestClock;
use crate::metric::VALUES;
use crate::openssl;
use crate::support::{
    CLIENT, HOME, SERVER, connects, echo_as_client, echo_as_server, engine, identity_with, name, reaches,
    run, sockets, stock_client, stock_client_with, stock_server, whole_seconds,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, HandshakeKind, SignatureScheme};
use rustls_multibuffer::handshake::{Engine, LocalEngine};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Connector, Identity, Material, MemoryHandle, PeerError, Svid, TlsOptions,
    Unavailable, Withdrawal,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const AWAY: &str = "away.test";
const AWAY_CLIENT: &str = "spiffe://away.test/client";

/// What a peer presents; it keeps its sessions when that changes.
#[derive(Debug)]
struct Presents(Mutex<Arc<CertifiedKey>>);

impl Presents {
    fn certified(svid: &Svid) -> Arc<CertifiedKey> {
        let key = any_supported_type(svid.key.expose()).unwrap();
        Arc::new(CertifiedKey::new(svid.chain.clone(), key))
    }

    fn new(svid: &Svid) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Self::certified(svid))))
    }

    fn renew(&self, svid: &Svid) {
        *self.0.lock().unwrap() = Self::certified(svid);
    }
}

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// Our acceptor and connector with sessions, and stock peers for them.
struct World {
    name: &'static str,
    clock: Arc<TestClock>,
    identity: Identity,
    handle: MemoryHandle,
    /// Whether the authorizer lets anybody in.
    is_open: Arc<AtomicBool>,
    acceptor: Acceptor<Engine>,
    connector: Connector<Engine>,
    peer: Arc<Presents>,
    client: TlsConnector,
    server: TlsAcceptor,
}

/// What became of a connection to us and of one from us: whether they were resumed.
type Both = [Result<bool, PeerError>; 2];

fn resuming() -> TlsOptions {
    TlsOptions::default().resumption(true)
}

/// An SVID that outlives every test.
fn long(ca: &Ca, id: &str) -> Svid {
    let mut spec = Spec::new(id);
    spec.not_after += 1000 * HOUR;
    ca.issue(spec)
}

fn until(ca: &Ca, id: &str, end: SystemTime) -> Svid {
    let mut spec = Spec::new(id);
    spec.not_after = end;
    ca.issue(spec)
}

fn refused(why: PeerError) -> Both {
    [Err(why.clone()), Err(why)]
}

impl World {
    /// `name` is the identity's in metrics: one of its own for each world.
    async fn new(name: &'static str, own: Material, peer: &Svid) -> Self {
        // Before the identity, which shows its counters.
        let _recorder = &*VALUES;
        let clock = TestClock::new();
        let (identity, handle) =
            identity_with(Identity::builder().name(name).clock(clock.clone()), own).await;
        let is_open = Arc::new(AtomicBool::new(true));
        let gate = is_open.clone();
        let authorizer = Authorizer::custom(move |_| gate.load(SeqCst));
        let acceptor = Acceptor::with_tls(engine(1), &identity, authorizer.clone(), resuming());
        let connector = Connector::with_tls(engine(1), &identity, authorizer, resuming());
        let presents = Presents::new(peer);
        let mut client = stock_client(peer);
        client.client_auth_cert_resolver = presents.clone();
        let mut server = stock_server(peer);
        server.cert_resolver = presents.clone();
        let (client, server) = (Arc::new(client).into(), Arc::new(server).into());
        Self { name, clock, identity, handle, is_open, acceptor, connector, peer: presents, client, server }
    }

    /// The same where a session has been resumed already on either side, and another one can be.
    async fn resumed(name: &'static str, own: Material, peer: &Svid) -> Self {
        let world = Self::new(name, own, peer).await;
        for is_resumed in [false, true] {
            assert_eq!(world.both().await, [Ok(is_resumed), Ok(is_resumed)], "{name}");
        }
        world
    }

    async fn both(&self) -> Both {
        [connects(&self.acceptor, &self.client).await, reaches(&self.connector, &self.server).await]
    }

    /// How many sessions were refused for this reason: offered to us, and not offered by us.
    fn refusals(&self, reason: &str) -> [u64; 2] {
        ["server", "client"].map(|side| {
            VALUES.bits(&format!(
                "spiffe_resumptions_refused_total{{identity={},reason={reason},side={side}}}",
                self.name
            ))
        })
    }

    fn resumptions(&self) -> [u64; 2] {
        ["server", "client"].map(|side| {
            VALUES.bits(&format!("spiffe_handshakes_resumed_total{{identity={},side={side}}}", self.name))
        })
    }
}

fn own(ca: &Ca) -> Material {
    material(long(ca, SERVER), [(HOME, vec![ca.root()])])
}

fn federated(home: &Ca, away: &Ca) -> Material {
    material(long(home, SERVER), [(HOME, vec![home.root()]), (AWAY, vec![away.root()])])
}

#[test]
fn sessions_are_resumed_again_and_again() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::new("again", own(&ca), &long(&ca, CLIENT)).await;
        for is_resumed in [false, true, true, true] {
            assert_eq!(world.both().await, [Ok(is_resumed), Ok(is_resumed)]);
        }
        assert_eq!(world.resumptions(), [3, 3]);
        for reason in ["unknown", "superseded", "ended", "not_authorized"] {
            assert_eq!(world.refusals(reason), [0, 0], "{reason}");
        }
    });
}

/// An acceptor on two engines, as the workers of a proxy have it.
#[test]
fn acceptors_and_connectors_on_several_engines_share_sessions() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::new("workers", own(&ca), &long(&ca, CLIENT)).await;
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        let acceptor = world.acceptor.on(engine(1));
        assert_eq!(connects(&acceptor, &world.client).await, Ok(true));
        let connector = world.connector.on(engine(1));
        assert_eq!(reaches(&connector, &world.server).await, Ok(true));
        let local = tokio::task::LocalSet::new();
        let on_local_engines = async {
            let acceptor = acceptor.on(LocalEngine::new(Default::default()));
            assert_eq!(connects(&acceptor, &world.client).await, Ok(true));
        };
        local.run_until(on_local_engines).await;
    });
}

#[test]
fn the_peers_svid_has_ended() {
    run(async {
        let ca = Ca::new(HOME);
        let end = whole_seconds(SystemTime::now() + HOUR);
        let world = World::resumed("svid", own(&ca), &until(&ca, CLIENT, end)).await;
        world.clock.set(end);
        assert_eq!(world.both().await, [Ok(true), Ok(true)], "the last second");
        world.clock.set(end + Duration::from_secs(1));
        assert_eq!(world.both().await, refused(PeerError::Expired { not_after: end }));
        assert_eq!(world.refusals("ended"), [1, 1]);
    });
}

/// It offers the session of an SVID that has ended, and has another one by now.
#[test]
fn the_peers_svid_has_ended_and_it_has_another() {
    run(async {
        let ca = Ca::new(HOME);
        let end = whole_seconds(SystemTime::now() + HOUR);
        let world = World::resumed("renewed", own(&ca), &until(&ca, CLIENT, end)).await;
        world.clock.set(end + Duration::from_secs(1));
        world.peer.renew(&long(&ca, CLIENT));
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        assert_eq!(world.refusals("ended"), [1, 1]);
        assert_eq!(world.both().await, [Ok(true), Ok(true)]);
    });
}

#[test]
fn the_peers_issuers_certificate_has_ended() {
    let end = whole_seconds(SystemTime::now() + HOUR);
    let (root, always) = (Ca::until(HOME, end), Ca::new(HOME));
    let issuers = [("intermediate", always.intermediate_until(HOME, end)), ("root", root)];
    for (name, issuer) in issuers {
        run(async {
            let mut own = own(&always);
            let roots = if name == "root" { vec![always.root(), issuer.root()] } else { vec![always.root()] };
            own.bundles = material(long(&always, SERVER), [(HOME, roots)]).bundles;
            let world = World::resumed(name, own, &long(&issuer, CLIENT)).await;
            world.clock.set(end + Duration::from_secs(1));
            for refused in world.both().await {
                assert_eq!(refused.unwrap_err().as_label(), "bad_chain", "{name}");
            }
            assert_eq!(world.refusals("ended"), [1, 1]);
            world.peer.renew(&long(&always, CLIENT));
            assert_eq!(world.both().await, [Ok(false), Ok(false)], "{name}");
        });
    }
}

#[test]
fn the_bundle_of_the_peers_domain_is_withdrawn() {
    run(async {
        let (home, away) = (Ca::new(HOME), Ca::new(AWAY));
        let world = World::resumed("bundle", federated(&home, &away), &long(&away, AWAY_CLIENT)).await;
        world.handle.offer(own(&home)).await.unwrap();
        assert_eq!(world.both().await, refused(PeerError::BundleRemoved(domain(AWAY))));
        assert_eq!(world.refusals("unknown"), [1, 0]);
        world.handle.offer(federated(&home, &away)).await.unwrap();
        assert_eq!(world.both().await, [Ok(false), Ok(false)], "the old session is gone");
    });
}

/// The bundle is there, and the root that made the peer's chain is not.
#[test]
fn the_root_of_the_peers_chain_is_gone() {
    run(async {
        let (old, new) = (Ca::new(HOME), Ca::new(HOME));
        let world = World::resumed("root_gone", own(&old), &long(&old, CLIENT)).await;
        world.handle.offer(own(&new)).await.unwrap();
        assert_eq!(world.both().await, refused(PeerError::NotInBundle(domain(HOME))));
        assert_eq!(world.refusals("unknown"), [1, 0]);
    });
}

/// Another trust domain than the peer's.
#[test]
fn a_trust_domain_is_gone() {
    run(async {
        let (home, away) = (Ca::new(HOME), Ca::new(AWAY));
        let world = World::resumed("domain", federated(&home, &away), &long(&home, CLIENT)).await;
        world.handle.offer(own(&home)).await.unwrap();
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        assert_eq!(world.refusals("unknown"), [1, 0]);
        assert_eq!(world.both().await, [Ok(true), Ok(true)]);
    });
}

#[test]
fn our_identity_is_withdrawn() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("withdrawn", own(&ca), &long(&ca, CLIENT)).await;
        world.handle.withdraw(Withdrawal::Removed).await.unwrap();
        let error = world.acceptor.accept(sockets().0).await.unwrap_err();
        assert_eq!(Unavailable::of(&error), Some(&Unavailable::Withdrawn(Withdrawal::Removed)));
        world.handle.offer(own(&ca)).await.unwrap();
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
    });
}

#[test]
fn the_authorizer_has_changed_its_mind() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("mind", own(&ca), &long(&ca, CLIENT)).await;
        world.is_open.store(false, SeqCst);
        assert_eq!(world.both().await, refused(PeerError::NotAuthorized(id(CLIENT))));
        assert_eq!(world.refusals("not_authorized"), [1, 1]);
        world.is_open.store(true, SeqCst);
        // Stock servers issue two tickets with a handshake, so that our connector has one more.
        assert_eq!(world.both().await, [Ok(false), Ok(true)]);
    });
}

/// The authorizer says yes while rustls looks for the session, and no when the handshake is complete.
#[test]
fn the_authorizer_changes_its_mind_during_the_handshake() {
    run(async {
        let ca = Ca::new(HOME);
        let (identity, _handle) = identity_with(Identity::builder(), own(&ca)).await;
        let left = Arc::new(std::sync::atomic::AtomicU32::new(u32::MAX));
        let answers = left.clone();
        let authorizer = Authorizer::custom(move |_| {
            answers.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
        });
        let acceptor = Acceptor::with_tls(engine(1), &identity, authorizer.clone(), resuming());
        let connector = Connector::with_tls(engine(1), &identity, authorizer, resuming());
        let client = Arc::new(stock_client(&long(&ca, CLIENT))).into();
        let server = Arc::new(stock_server(&long(&ca, CLIENT))).into();
        assert_eq!(connects(&acceptor, &client).await, Ok(false));
        assert_eq!(reaches(&connector, &server).await, Ok(false));
        left.store(1, SeqCst);
        let (here, there) = sockets();
        let (accepted, _) = tokio::join!(acceptor.accept(here), client.connect(name(), there));
        assert_eq!(crate::support::peer_error(accepted), PeerError::NotAuthorized(id(CLIENT)));
        left.store(1, SeqCst);
        assert_eq!(reaches(&connector, &server).await, Err(PeerError::NotAuthorized(id(CLIENT))));
    });
}

#[test]
fn the_configuration_has_changed() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("configuration", own(&ca), &long(&ca, CLIENT)).await;
        let anybody = Authorizer::anybody_verified;
        let acceptor = Acceptor::with_tls(engine(1), &world.identity, anybody(), resuming());
        assert_eq!(connects(&acceptor, &world.client).await, Ok(false));
        assert_eq!(world.refusals("unknown"), [1, 0]);
        let connector = Connector::with_tls(engine(1), &world.identity, anybody(), resuming());
        assert_eq!(reaches(&connector, &world.server).await, Ok(false));
        // Nobody resumes where nobody is to.
        let acceptor = Acceptor::new(engine(1), &world.identity, anybody());
        assert_eq!(connects(&acceptor, &world.client).await, Ok(false));
    });
}

#[test]
fn our_own_svid_is_rotated() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("rotated", own(&ca), &long(&ca, CLIENT)).await;
        world.handle.offer(own(&ca)).await.unwrap();
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        assert_eq!(world.refusals("unknown"), [1, 0]);
        assert_eq!(world.both().await, [Ok(true), Ok(true)]);
    });
}

/// A handshake that was begun before the rotation keeps its generation, and not the sessions.
#[test]
fn our_own_svid_is_rotated_during_the_handshake() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("superseded", own(&ca), &long(&ca, CLIENT)).await;
        let (here, there) = sockets();
        let accepting = world.acceptor.accept(here);
        world.handle.offer(own(&ca)).await.unwrap();
        let client = async { echo_as_client(world.client.connect(name(), there).await.unwrap()).await };
        let server = async {
            let (stream, connection) = accepting.await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(connection.generation(), 1);
            echo_as_server(stream).await
        };
        let (client, server) = tokio::join!(client, server);
        client.and(server).unwrap();
        assert_eq!(world.refusals("superseded"), [1, 0]);
    });
}

/// Our leaf is valid, and the certificate above it is not any more.
#[test]
fn our_own_issuers_certificate_has_ended() {
    run(async {
        let ca = Ca::new(HOME);
        let end = whole_seconds(SystemTime::now() + HOUR);
        let intermediate = ca.intermediate_until(HOME, end);
        let own = material(long(&intermediate, SERVER), [(HOME, vec![ca.root()])]);
        let world = World::resumed("own_chain", own, &long(&ca, CLIENT)).await;
        world.clock.set(end + Duration::from_secs(1));
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        assert_eq!(world.refusals("ended"), [1, 1]);
    });
}

/// There are no ticket keys that could be rotated: it is the session that has its time, from the full
/// handshake on.
#[test]
fn a_session_is_a_day_old() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("old", own(&ca), &long(&ca, CLIENT)).await;
        world.clock.advance(20 * HOUR);
        assert_eq!(world.both().await, [Ok(true), Ok(true)]);
        world.clock.advance(5 * HOUR);
        assert_eq!(world.both().await, [Ok(false), Ok(false)], "however young the ticket");
        assert_eq!(world.refusals("ended"), [1, 1]);
    });
}

#[test]
fn our_clock_is_set_back() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("clock", own(&ca), &long(&ca, CLIENT)).await;
        world.clock.set(SystemTime::now() - HOUR / 2);
        assert_eq!(world.both().await, [Ok(false), Ok(false)]);
        assert_eq!(world.refusals("ended"), [1, 1]);
    });
}

#[test]
fn a_ticket_is_of_another_listener() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::resumed("listener", own(&ca), &long(&ca, CLIENT)).await;
        let only = Authorizer::exactly(id("spiffe://home.test/somebody-else"));
        let other = Acceptor::with_tls(engine(1), &world.identity, only, resuming());
        assert_eq!(connects(&other, &world.client).await, Err(PeerError::NotAuthorized(id(CLIENT))));
        assert_eq!(world.refusals("unknown"), [1, 0]);
        let elsewhere =
            Acceptor::with_tls(engine(1), &world.identity, Authorizer::anybody_verified(), resuming());
        let client: TlsConnector = Arc::new(stock_client(&long(&ca, CLIENT))).into();
        assert_eq!(connects(&world.acceptor, &client).await, Ok(false));
        assert_eq!(connects(&elsewhere, &client).await, Ok(false));
        assert_eq!(world.refusals("unknown"), [2, 0]);
    });
}

/// Somebody has seen a ClientHello with a ticket, and sends it again.
#[test]
fn a_ticket_is_replayed() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::new("replayed", own(&ca), &long(&ca, CLIENT)).await;
        assert_eq!(connects(&world.acceptor, &world.client).await, Ok(false));
        let config = world.client.config().clone();
        let mut hello = Vec::new();
        ClientConnection::new(config, name()).unwrap().write_tls(&mut hello).unwrap();
        for seen in 0..3 {
            let (here, mut there) = sockets();
            there.write_all(&hello).await.unwrap();
            let accepting = tokio::spawn(world.acceptor.accept(here));
            // The server has answered: it has looked for the session.
            let mut answer = [0; 1];
            tokio::io::AsyncReadExt::read_exact(&mut there, &mut answer).await.unwrap();
            drop(there);
            accepting.await.unwrap().unwrap_err();
            assert_eq!(world.refusals("unknown"), [seen, 0]);
        }
        assert_eq!(world.resumptions(), [0, 0]);
    });
}

/// A client's ticket serves once even if the connection comes to nothing.
#[test]
fn a_connector_offers_no_session_twice() {
    run(async {
        let ca = Ca::new(HOME);
        let world = World::new("once", own(&ca), &long(&ca, CLIENT)).await;
        let mut config = stock_server(&long(&ca, CLIENT));
        config.send_tls13_tickets = 1;
        let server: TlsAcceptor = Arc::new(config).into();
        assert_eq!(reaches(&world.connector, &server).await, Ok(false));
        let (here, there) = sockets();
        drop(there);
        world.connector.connect(name(), here).await.unwrap_err();
        assert_eq!(reaches(&world.connector, &server).await, Ok(false));
    });
}

/// Its session's secret would open all that was said in it.
#[test]
fn sessions_of_tls_1_2_are_not_resumed() {
    static TLS_1_2: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    run(async {
        let ca = Ca::new(HOME);
        let world = World::new("old_version", own(&ca), &long(&ca, CLIENT)).await;
        let client: TlsConnector = Arc::new(stock_client_with(Some(&long(&ca, CLIENT)), TLS_1_2)).into();
        let connector = Connector::with_tls(
            engine(1),
            &world.identity,
            Authorizer::anybody_verified(),
            resuming().versions(TLS_1_2),
        );
        for _ in 0..2 {
            assert_eq!(connects(&world.acceptor, &client).await, Ok(false));
            assert_eq!(reaches(&connector, &world.server).await, Ok(false));
        }
    });
}

/// OpenSSL keeps a session in a file, so that it can offer it again and again.
#[test]
fn openssl_resumes_a_session_once() {
    let Some(program) = openssl::find() else { return };
    run(async {
        let ca = Ca::new(HOME);
        let peer = long(&ca, CLIENT);
        let world = World::new("s_client", own(&ca), &peer).await;
        let files = openssl::Files::new("s_client", &peer);
        let session = files.path("session.pem");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (flag, expected) in [("-sess_out", "New, TLSv1.3"), ("-sess_in", "Reused"), ("-sess_in", "New")] {
            let server = async {
                let (socket, _) = listener.accept().await.unwrap();
                let (stream, connection) = world.acceptor.accept(socket).await.unwrap();
                assert_eq!(connection.peer_id(), &id(CLIENT));
                echo_as_server(stream).await.unwrap();
            };
            let client = openssl::s_client(&program, port, &files, [flag, &session]);
            let ((), said) = tokio::join!(server, client);
            assert!(said.contains(expected), "{flag}: no {expected:?} in {said}");
        }
        assert_eq!((world.resumptions()[0], world.refusals("unknown")[0]), (1, 1));
    });
}

#[test]
fn sessions_with_openssls_server_are_resumed() {
    let Some(program) = openssl::find() else { return };
    run(async {
        let ca = Ca::new(HOME);
        let peer = long(&ca, CLIENT);
        let world = World::new("s_server", own(&ca), &peer).await;
        let files = openssl::Files::new("s_server", &peer);
        let (_server, port) = openssl::s_server(&program, &files).await;
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut stream, connection) = world.connector.connect(name(), socket).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
            assert_eq!(connection.peer_id(), &id(CLIENT));
            said_backwards(&mut stream).await.unwrap();
        }
    });
}

/// `s_server -rev` answers each line backwards.
async fn said_backwards(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
) -> io::Result<()> {
    stream.write_all(b"abc\n").await?;
    stream.flush().await?;
    let mut answer = [0; 4];
    tokio::io::AsyncReadExt::read_exact(stream, &mut answer).await?;
    assert_eq!(&answer, b"cba\n");
    stream.shutdown().await
}

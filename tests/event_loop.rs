//! Handshakes batched without a runtime: `examples/mio.rs` with clients on real sockets, and what a `Batcher`
//! does at its limits.

#[path = "../examples/mio.rs"]
#[expect(dead_code, reason = "its main is the example's")]
mod mio_server;

use mio_server::Server;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SignatureAlgorithm};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_multibuffer::handshake::{Batcher, EngineConfig, EngineStats, NotAwaited, Op, Reason, Step, wait};
use rustls_multibuffer::provider::default_provider;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is not about time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Longer than any test: only company lets go of a request.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

struct Peers {
    server: ServerConfig,
    client: Arc<ClientConfig>,
}

/// A server with lanes, and stock clients that trust it.
fn peers(algorithm: &'static SignatureAlgorithm) -> Peers {
    let key = if algorithm == &PKCS_RSA_SHA256 {
        KeyPair::generate_rsa_for(algorithm, RsaKeySize::_2048).unwrap()
    } else {
        KeyPair::generate_for(algorithm).unwrap()
    };
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = params.self_signed(&key).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let client = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Peers { server, client: Arc::new(client) }
}

/// Batches of up to 8 on every machine.
fn gathering() -> EngineConfig {
    EngineConfig::default().gather(8).max_wait(FOREVER)
}

/// Runs the example's server on this thread, as long as `goes_on` says so, while `clients` runs beside it.
fn serve(
    config: ServerConfig,
    engine: EngineConfig,
    handshake_timeout: Duration,
    clients: impl FnOnce(SocketAddr) + Send,
    goes_on: impl Fn(&Server) -> bool,
) -> EngineStats {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(listener, config, Some(Batcher::new(engine)), handshake_timeout).unwrap();
    thread::scope(|scope| {
        let clients = scope.spawn(move || clients(address));
        server.run(goes_on).unwrap();
        clients.join().unwrap();
    });
    server.stats().unwrap()
}

/// Connects, and sends data that has to come back.
fn exchange(config: Arc<ClientConfig>, address: SocketAddr) {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let data: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
    let mut received = vec![0; data.len()];
    for _ in 0..3 {
        stream.write_all(&data).unwrap();
        stream.read_exact(&mut received).unwrap();
        assert_eq!(received, data);
    }
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(stream.read(&mut received).unwrap(), 0, "the server closes, too");
}

/// So many clients, each on a thread of its own.
fn at_once(clients: usize, config: &Arc<ClientConfig>, address: SocketAddr) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| exchange(config.clone(), address));
        }
    });
}

#[track_caller]
fn assert_all_returned(stats: &EngineStats) {
    assert_eq!((stats.live_fibers, stats.stacks_in_use), (0, 0), "{stats:?}");
}

fn assert_gathers(algorithm: &'static SignatureAlgorithm, op: Op) {
    let Peers { server, client } = peers(algorithm);
    // Nothing but company ends a request's wait.
    let waiting = gathering().poll_delay(FOREVER);
    let clients = |address| at_once(8, &client, address);
    let stats =
        serve(server, waiting, PATIENCE, clients, |server| server.handshakes < 8 || server.open() > 0);
    let signatures = stats.batches.of(op);
    assert_eq!((signatures.requests(), signatures.fills[8], signatures.left(Reason::Full)), (8, 1, 1));
    assert_all_returned(&stats);
}

#[test]
fn handshakes_of_a_mio_server_share_batches_of_rsa() {
    assert_gathers(&PKCS_RSA_SHA256, Op::RsaSign2048);
}

#[test]
fn handshakes_of_a_mio_server_share_batches_of_ecdsa() {
    assert_gathers(&PKCS_ECDSA_P256_SHA256, Op::P256Sign);
}

#[test]
fn whoever_is_alone_waits_for_nobody() {
    let Peers { server, client } = peers(&PKCS_ECDSA_P256_SHA256);
    let clients = |address| at_once(1, &client, address);
    let goes_on = |server: &Server| server.handshakes < 1 || server.open() > 0;
    let stats = serve(server, gathering(), PATIENCE, clients, goes_on);
    let signatures = stats.batches.of(Op::P256Sign);
    assert_eq!((signatures.requests(), signatures.left(Reason::Idle)), (1, 1));
}

#[test]
fn a_handshake_that_takes_too_long_is_withdrawn() {
    let Peers { server, client } = peers(&PKCS_ECDSA_P256_SHA256);
    let clients = |address| {
        let mut socket = TcpStream::connect(address).unwrap();
        let mut connection = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        connection.write_tls(&mut socket).unwrap();
        // The server gives up without having answered.
        assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    };
    let waiting = gathering().poll_delay(FOREVER);
    let goes_on = |server: &Server| {
        let stats = server.stats().unwrap();
        stats.batches.iter().all(|op| op.cancelled == 0)
    };
    let stats = serve(server, waiting, Duration::from_secs(1), clients, goes_on);
    assert_eq!(stats.batches.iter().map(|op| op.cancelled).sum::<u64>(), 1);
    assert_all_returned(&stats);
}

type Processed = (ServerConnection, Result<(), rustls::Error>);

/// A server's connection that has read a client's first flight, on its way through rustls.
fn begin(
    batcher: &Batcher<u8>,
    key: u8,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Step<u8, Processed> {
    let mut hello = Vec::new();
    let mut peer = ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap();
    peer.write_tls(&mut hello).unwrap();
    let mut connection = ServerConnection::new(server.clone()).unwrap();
    connection.read_tls(&mut hello.as_slice()).unwrap();
    batcher.start(key, move || {
        let result = connection.process_new_packets().map(drop);
        (connection, result)
    })
}

#[test]
fn a_turn_names_those_who_are_answered_and_no_others() {
    let Peers { server, client } = peers(&PKCS_ECDSA_P256_SHA256);
    let (server, batcher) = (Arc::new(server), Batcher::new(gathering()));
    assert_eq!(batcher.timeout(Instant::now()), None);
    let mut steps: Vec<_> = (0..3).map(|key| begin(&batcher, key, &server, &client)).collect();
    assert_eq!(batcher.timeout(Instant::now()), Some(Duration::ZERO));
    assert!(batcher.turn(Instant::now()).is_empty(), "more may come in the next round of events");
    // Whoever is resumed too early stays where he is.
    steps = steps
        .into_iter()
        .map(|step| match step {
            Step::Parked(parked) => parked.resume(),
            other => panic!("{other:?}"),
        })
        .collect();
    drop(steps.remove(1));
    assert_eq!(batcher.turn(Instant::now()), [0, 2], "one has withdrawn");
    let mut open = steps.len();
    for step in &mut steps {
        assert!(matches!(step, Step::Parked(_)), "{step:?}");
    }
    while open > 0 {
        steps = steps
            .into_iter()
            .filter_map(|step| match step {
                Step::Parked(parked) => Some(parked.resume()),
                Step::Done((connection, result)) => {
                    result.unwrap();
                    assert!(connection.wants_write());
                    open -= 1;
                    None
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let _answered = batcher.turn(Instant::now());
    }
    assert_all_returned(&batcher.stats());
    assert_eq!(batcher.timeout(Instant::now()), None);
}

#[test]
fn beyond_the_limit_nothing_is_parked() {
    let Peers { server, client } = peers(&PKCS_ECDSA_P256_SHA256);
    let (server, batcher) = (Arc::new(server), Batcher::new(gathering().max_parked(1)));
    let first = begin(&batcher, 0, &server, &client);
    assert!(matches!(first, Step::Parked(_)), "{first:?}");
    let Step::Done((_, result)) = begin(&batcher, 1, &server, &client) else { panic!("parked") };
    result.unwrap();
    let refused = batcher.stats().batches.iter().map(|op| op.refused).sum::<u64>();
    assert_eq!(refused, 2, "a key exchange and a signature");
}

/// Resolves with its key after it has tried to await it.
#[derive(Debug)]
struct Awaits(Arc<CertifiedKey>, Mutex<Vec<Result<u32, NotAwaited>>>);

impl ResolvesServerCert for Awaits {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.1.lock().unwrap().push(wait(async { 7 }));
        Some(self.0.clone())
    }
}

#[test]
fn callbacks_await_if_the_loop_polls_their_futures() {
    let Peers { mut server, client } = peers(&PKCS_ECDSA_P256_SHA256);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let chain = vec![params.self_signed(&key).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = CertifiedKey::from_der(chain, key, &default_provider()).unwrap();
    let resolver = Arc::new(Awaits(Arc::new(key), Mutex::default()));
    server.cert_resolver = resolver.clone();
    let (server, batcher) = (Arc::new(server), Batcher::new(gathering()));
    for polls in [true, false] {
        let mut step = begin(&batcher, 0, &server, &client);
        let result = loop {
            step = match step {
                Step::Awaits(mut awaiting) => {
                    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(!polls || awaiting.poll(cx).is_ready());
                    awaiting.resume()
                }
                Step::Parked(parked) => {
                    let _answered = batcher.turn(Instant::now());
                    parked.resume()
                }
                Step::Done((_, result)) => break result,
                Step::Failed(e) => panic!("{e}"),
            }
        };
        result.unwrap();
    }
    assert_eq!(*resolver.1.lock().unwrap(), [Ok(7), Err(NotAwaited::NotOnEngine)]);
}

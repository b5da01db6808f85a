//! What networks, peers and clocks do to handshakes: each ends as it should, in its time, and harms no other.

use crate::pki::{Keys, Setup};
use crate::relay::{Fault, relayed};
use crate::support::{
    PATIENCE, TestEngine, acceptor_and_client, assert_all_returned, assert_serves, client_hello, config,
    connect, echo, for_each_engine, given_up, localhost, sockets, tls_error, until,
};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{AlertDescription, CertificateError, Error};
use rustls_multibuffer::handshake::{HandshakeError, TlsAcceptor, TlsConnector};
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Both sides of a handshake of ours through a relay.
async fn handshake<E: TestEngine>(
    engine: &E,
    setup: Setup,
    [to_server, to_client]: [Fault; 2],
) -> (io::Result<()>, io::Result<()>) {
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
    let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
    let (server, client, relay) = relayed(to_server, to_client).await;
    let (server, client) = tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
    let outcome = match (server, client) {
        (Ok(mut server), Ok(mut client)) => {
            echo(&mut client, &mut server).await;
            (Ok(()), Ok(()))
        }
        (server, client) => (server.map(drop), client.map(drop)),
    };
    relay.await.unwrap();
    outcome
}

/// Bytes that every handshake sends at least, to the server and to the client.
const FLIGHTS: [usize; 2] = [1000, 1000];

for_each_engine! {
    async fn other_pieces_and_other_times_change_nothing<E>() {
        let engine = E::start(config());
        let faults = [
            Fault::Delay(Duration::from_millis(20)),
            Fault::Coalesce(Duration::from_millis(20)),
            Fault::Split(1),
            Fault::Split(7),
            Fault::Split(1000),
        ];
        let mut count = 0;
        for setup in Setup::ALL {
            for fault in faults {
                for both in [[fault, Fault::None], [Fault::None, fault], [fault, fault]] {
                    let (server, client) = handshake(&engine, setup, both).await;
                    server.and(client).unwrap_or_else(|e| panic!("{both:?}: {e}"));
                    count += 2;
                }
            }
        }
        assert_all_returned(&engine).await;
        assert_eq!((engine.stats().succeeded, engine.stats().failed), (count, 0));
    }

    async fn a_corrupted_byte_ends_one_handshake<E>() {
        let engine = E::start(config());
        let (mut failed, mut harmless) = (0, 0);
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            for direction in [0, 1] {
                for at in (0..FLIGHTS[direction]).step_by(83) {
                    let mut faults = [Fault::None; 2];
                    faults[direction] = Fault::Corrupt(at);
                    // A length that says more than comes keeps both waiting.
                    let both =
                        tokio::time::timeout(Duration::from_secs(2), handshake(&engine, setup, faults)).await;
                    match both {
                        // A record's version is not looked at, by the standard.
                        Ok((Ok(()), Ok(()))) => harmless += 1,
                        Ok(_) | Err(_) => failed += 1,
                    }
                }
            }
        }
        assert!(failed > 9 * harmless && harmless <= 4, "{failed} failed, {harmless} did not notice");
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
    }

    async fn a_reset_anywhere_ends_one_handshake<E>() {
        let engine = E::start(config());
        let mut count = 0;
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            for direction in [0, 1] {
                for at in [1, 5, 100, FLIGHTS[direction] / 2, FLIGHTS[direction]] {
                    let mut faults = [Fault::None; 2];
                    faults[direction] = Fault::Reset(at);
                    let (server, client) = handshake(&engine, setup, faults).await;
                    let error = server.and(client).expect_err("a reset ends it");
                    let is_end = matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionReset
                            | io::ErrorKind::BrokenPipe
                            | io::ErrorKind::UnexpectedEof
                    );
                    assert!(is_end, "{faults:?}: {error:?}");
                    count += 1;
                }
            }
        }
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
        assert!(engine.stats().failed >= count);
    }

    async fn a_half_close_is_an_end<E>() {
        let engine = E::start(config());
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            for at in [1, 100, 700] {
                let (server, _client) = handshake(&engine, setup, [Fault::HalfClose(at), Fault::None]).await;
                assert_eq!(server.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "at {at}");
                let (_server, client) = handshake(&engine, setup, [Fault::None, Fault::HalfClose(at)]).await;
                assert_eq!(client.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "at {at}");
            }
        }
        assert_all_returned(&engine).await;
    }

    async fn whoever_drips_or_stalls_has_as_much_time_as_others<E>() {
        let limit = Duration::from_secs(4);
        let engine = E::start(config().handshake_timeout(limit));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::MTLS13);
        let hello = client_hello(Setup::MTLS13);
        // A byte now and then is no sign of life. The last of them would come after minutes.
        let drip = Fault::Drip(Duration::from_secs(1));
        assert!(hello.len() as u64 > PATIENCE.as_secs());
        let mut handshakes = Vec::new();
        for fault in [drip, Fault::Stall(0), Fault::Stall(300)] {
            let (server, mut client, relay) = relayed(fault, Fault::None).await;
            client.write_all(&hello).await.unwrap();
            let (began, accept) = (Instant::now(), acceptor.accept(server));
            let ended = async move { (accept.await, began.elapsed()) };
            handshakes.push((tokio::task::spawn_local(ended), client, relay));
        }
        assert_serves(&engine).await;
        for (handshake, _client, relay) in handshakes {
            let (result, elapsed) = handshake.await.unwrap();
            assert_eq!(given_up(result), HandshakeError::TimedOut);
            assert!((limit..PATIENCE).contains(&elapsed), "{elapsed:?}");
            relay.abort();
        }
        assert_all_returned(&engine).await;
    }

    async fn a_thousand_who_never_finish_hold_up_nobody<E>() {
        const CROWD: usize = 1000;
        let engine = E::start(config());
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let hello = client_hello(Setup::TLS13);
        let mut crowd = Vec::new();
        for i in 0..CROWD {
            // No sockets: there may not be enough descriptors.
            let (server, mut client) = tokio::io::duplex(1 << 14);
            // Some say nothing, some half of their greeting, some all of it and nothing after it.
            client.write_all(&hello[..[0, hello.len() / 2, hello.len()][i % 3]]).await.unwrap();
            crowd.push((tokio::task::spawn_local(acceptor.accept(server)), client));
        }
        until(&engine, |stats| stats.in_flight == CROWD && stats.live_fibers == 0).await;
        assert!(engine.stats().stacks <= 2 * 256, "the limit for each of two threads");
        let (mut server, mut client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        echo(&mut client, &mut server).await;
        assert_eq!(engine.stats().timed_out, 0, "it has not waited for their end");
        crowd.iter().for_each(|(handshake, _client)| handshake.abort());
        assert_all_returned(&engine).await;
        assert_eq!((engine.stats().cancelled, engine.stats().succeeded), (CROWD as u64, 1));
    }

    async fn a_full_house_empties_in_time_for_who_waits<E>() {
        let limit = Duration::from_secs(8);
        let engine = E::start(config().handshake_timeout(limit).max_in_flight(20));
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let mut crowd = Vec::new();
        for _ in 0..20 {
            let (server, client) = sockets().await;
            crowd.push((tokio::task::spawn_local(acceptor.accept(server)), client));
        }
        until(&engine, |stats| stats.in_flight == 20).await;
        tokio::time::sleep(limit * 3 / 4).await;
        // Its own time began when it came, and suffices.
        let (mut server, mut client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        echo(&mut client, &mut server).await;
        until(&engine, |stats| (stats.timed_out, stats.succeeded) == (20, 1)).await;
    }

    async fn alone_a_handshake_meets_its_deadline<E>() {
        // However long one waits for company.
        for delay in [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(20)] {
            let engine = E::start(config().gather(64).poll_delay(delay));
            for setup in Setup::ALL {
                let began = Instant::now();
                let (server, client) = handshake(&engine, setup, [Fault::None; 2]).await;
                server.and(client).unwrap();
                // Ten operations wait one after the other, and other tests run.
                assert!(began.elapsed() < 10 * delay + PATIENCE, "{delay:?}: {:?}", began.elapsed());
            }
        }
    }

    async fn a_stopped_peer_is_given_up_and_one_that_wakes_is_served<E>() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for wakes in [false, true] {
            let limit = if wakes { 2 * PATIENCE } else { Duration::from_secs(3) };
            let engine = E::start(config().handshake_timeout(limit));
            let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
            let (peer, socket) = stopped_client(&listener).await;
            let handshake = tokio::task::spawn_local(acceptor.accept(socket));
            // Meanwhile others are served.
            assert_serves(&engine).await;
            if wakes {
                assert!(!handshake.is_finished(), "the others come first");
                peer.signal("CONT");
                handshake.await.unwrap().unwrap();
            } else {
                assert_eq!(given_up(handshake.await.unwrap()), HandshakeError::TimedOut);
            }
            assert_all_returned(&engine).await;
        }
    }

    async fn certificates_are_judged_by_the_clock_that_was_given<E>() {
        let engine = E::start(config());
        let clock = Arc::new(Clock(AtomicU64::new(NOW)));
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::TLS13.server(Keys::Ours)));
        let mut client = Setup::TLS13.client(Keys::Ours);
        client.time_provider = clock.clone();
        client.resumption = rustls::client::Resumption::disabled();
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        // The clock jumps to and fro; what waits by the monotonic clock does not care.
        let expired = |e: &Error| {
            matches!(
                e,
                Error::InvalidCertificate(
                    CertificateError::Expired | CertificateError::ExpiredContext { .. }
                )
            )
        };
        let early = |e: &Error| {
            matches!(
                e,
                Error::InvalidCertificate(
                    CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
                )
            )
        };
        for (time, is_right) in [
            (NOW, None),
            (YEAR_5000, Some(&expired as &dyn Fn(&Error) -> bool)),
            (NOW, None),
            (0, Some(&early)),
            (NOW, None),
        ] {
            clock.0.store(time, Relaxed);
            let (server, client) = sockets().await;
            let (server, client) =
                tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
            match is_right {
                None => echo(&mut client.unwrap(), &mut server.unwrap()).await,
                Some(is_right) => {
                    let error = tls_error(client);
                    assert!(is_right(&error), "{error:?} at {time}");
                    let told = tls_error(server);
                    assert!(
                        matches!(
                            told,
                            Error::AlertReceived(
                                AlertDescription::CertificateExpired | AlertDescription::BadCertificate
                            )
                        ),
                        "{told:?}"
                    );
                }
            }
        }
        assert_all_returned(&engine).await;
    }
}

/// Seconds since 1970: some day in 2026, and one in 5000. Certificates of the tests are valid from 1975 to
/// 4096.
const NOW: u64 = 1_790_000_000;
const YEAR_5000: u64 = 95_617_584_000;

#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Relaxed))))
    }
}

/// Another process; it ends with this.
struct Peer(Child);

impl Peer {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        self.0.wait().expect("a child ends");
    }
}

/// A client that has sent its first flight and been stopped.
async fn stopped_client(listener: &TcpListener) -> (Peer, TcpStream) {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-quiet", "-connect", &listener.local_addr().unwrap().to_string()]);
    openssl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let peer = Peer(openssl.spawn().expect("openssl"));
    let (socket, _) = listener.accept().await.unwrap();
    assert!(socket.peek(&mut [0; 100]).await.unwrap() > 0);
    peer.signal("STOP");
    (peer, socket)
}

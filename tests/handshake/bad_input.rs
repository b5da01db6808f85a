//! Bad peers and bad configurations end one connection each, and nothing else.

use crate::pki::{Keys, PKI, Setup};
use crate::support::{
    acceptor_and_client, assert_all_returned, assert_serves, client_hello, config, connect, for_each_engine,
    given_up, localhost, sockets, tls_error, until,
};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, Error};
use rustls_multibuffer::handshake::{HandshakeError, Op, TlsAcceptor, TlsConnector};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

for_each_engine! {
    async fn an_untrusted_client_is_refused_and_told_why<E>() {
        let engine = E::start(config());
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let stranger = setup.client_as(Keys::Stock, &PKI.stranger);
            let connector = tokio_rustls::TlsConnector::from(Arc::new(stranger));
            let (server, client) = sockets().await;
            let use_it = async {
                // In TLS 1.3 the client has finished before the server can look at its certificate.
                connector.connect(localhost(), client).await?.read_u8().await
            };
            let (server, client) = tokio::join!(acceptor.accept(server), use_it);
            assert_eq!(tls_error(server), CertificateError::UnknownIssuer.into());
            assert_eq!(tls_error(client), Error::AlertReceived(AlertDescription::UnknownCA));
        }
        assert_eq!(engine.stats().failed, 2);
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
    }

    async fn an_untrusted_server_is_refused_and_told_why<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let acceptor =
                tokio_rustls::TlsAcceptor::from(Arc::new(setup.server_as(Keys::Stock, &PKI.stranger)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let (server, client) = sockets().await;
            let (server, client) =
                tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
            assert!(matches!(tls_error(client), Error::InvalidCertificate(_)));
            assert!(matches!(tls_error(server), Error::AlertReceived(_)));
        }
        assert_all_returned(&engine).await;
    }

    async fn garbage_is_answered_with_an_alert<E>() {
        let engine = E::start(config());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        for garbage in
            [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0x16, 3, 1, 0, 4, 1, 0, 0, 0], &[0xFF; 300]]
        {
            let (server, mut client) = sockets().await;
            client.write_all(garbage).await.unwrap();
            assert!(matches!(tls_error(acceptor.accept(server).await), Error::InvalidMessage(_)));
            let mut answer = Vec::new();
            // The server leaves with bytes unread: the end may be a reset.
            let _ended = client.read_to_end(&mut answer).await;
            assert_eq!(answer.first(), Some(&21), "an alert record");
        }
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
    }

    async fn the_alert_waits_for_a_transport_that_is_not_ready<E>() {
        let engine = E::start(config());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (server, mut client) = tokio::io::duplex(4096);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let accepting = tokio::task::spawn_local(acceptor.accept(Reluctant { io: server, refuses: true }));
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 50], "decode_error");
        assert!(matches!(tls_error(accepting.await.unwrap()), Error::InvalidMessage(_)));
        // One that is never ready is not waited for.
        let (server, mut client) = tokio::io::duplex(4);
        let accepting = tokio::task::spawn_local(acceptor.accept(server));
        let _cut_off = client.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(matches!(tls_error(accepting.await.unwrap()), Error::InvalidMessage(_)));
    }

    async fn half_a_client_hello_and_then_the_end<E>() {
        let engine = E::start(config());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let hello = client_hello(Setup::TLS13);
        for len in [0, 1, 5, hello.len() / 2, hello.len() - 1] {
            let (server, mut client) = sockets().await;
            client.write_all(&hello[..len]).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(acceptor.accept(server).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_all_returned(&engine).await;
        assert_eq!(engine.stats().failed, 5);
    }

    async fn a_client_hello_byte_by_byte<E>() {
        let engine = E::start(config());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (server, mut client) = sockets().await;
        client.set_nodelay(true).unwrap();
        let trickle = async {
            for byte in client_hello(Setup::TLS13) {
                client.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            // The server's flight comes only after the last byte.
            let kind = client.read_u8().await.unwrap();
            drop(client);
            kind
        };
        let (accepted, first) = tokio::join!(acceptor.accept(server), trickle);
        assert_eq!(first, 22, "a handshake record");
        assert!(accepted.is_err(), "the client has gone");
        assert_all_returned(&engine).await;
    }

    async fn resets_in_the_middle_of_a_batch<E>() {
        let engine = E::start(config().threads(1).gather(8).poll_delay(Duration::from_secs(3600)));
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let mut doomed = Vec::new();
        for _ in 0..4 {
            let (server, mut client) = sockets().await;
            client.write_all(&client_hello(Setup::TLS13)).await.unwrap();
            doomed.push(tokio::task::spawn_local(acceptor.accept(server)));
            until(&engine, |stats| stats.live_fibers == doomed.len()).await;
            client.set_zero_linger().unwrap();
            drop(client);
        }
        // Four more fill the batch.
        let good = (0..4).map(|_| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::task::spawn_local(async move {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
            })
        });
        for handshake in good.collect::<Vec<_>>() {
            handshake.await.unwrap();
        }
        for handshake in doomed {
            let error = handshake.await.unwrap().unwrap_err();
            assert!(
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
                "{error:?}"
            );
        }
        assert_all_returned(&engine).await;
        assert_eq!(engine.stats().batches.of(Op::RsaSign2048).fills[8], 1);
    }

    async fn a_silent_client_times_out<E>() {
        let limit = Duration::from_secs(4);
        let engine = E::start(config().handshake_timeout(limit));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let hello = client_hello(Setup::TLS13);
        let mut silent = Vec::new();
        for sent in [&[][..], &hello[..hello.len() / 2], &hello[..]] {
            let (server, mut client) = sockets().await;
            client.write_all(sent).await.unwrap();
            let (began, accept) = (Instant::now(), acceptor.accept(server));
            let ended = async move { (accept.await, began.elapsed()) };
            silent.push((tokio::task::spawn_local(ended), client));
        }
        let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::TLS13.client(Keys::Ours)));
        let (_silent, client) = sockets().await;
        assert_eq!(given_up(connector.connect(localhost(), client).await), HandshakeError::TimedOut);
        for (handshake, _client) in silent {
            let (result, elapsed) = handshake.await.unwrap();
            assert!(elapsed >= limit);
            assert_eq!(result.as_ref().unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(given_up(result), HandshakeError::TimedOut);
        }
        assert_eq!(engine.stats().timed_out, 4);
        assert_serves(&engine).await;
        assert_all_returned(&engine).await;
    }

    async fn a_panic_in_a_resolver_ends_its_connection_only<E>() {
        let engine = E::start(config());
        let (_, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let mut server = Setup::TLS13.server(Keys::Ours);
        server.cert_resolver = Arc::new(Panics);
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        for _ in 0..3 {
            let (server, client) = sockets().await;
            let (server, client) =
                tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
            assert_eq!(
                given_up(server),
                HandshakeError::Panicked("no certificate for Some(\"localhost\")".to_owned())
            );
            client.unwrap_err();
            assert_serves(&engine).await;
        }
        assert_eq!(engine.stats().failed, 3);
        assert_all_returned(&engine).await;
    }
}

/// A transport that takes no write at first.
struct Reluctant {
    io: DuplexStream,
    refuses: bool,
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.refuses) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[derive(Debug)]
struct Panics;

impl ResolvesServerCert for Panics {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        panic!("no certificate for {:?}", client_hello.server_name());
    }
}

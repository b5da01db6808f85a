//! What a rustls configuration can ask for works as it does without an engine.

use crate::pki::{Identity, Keys, PKI, Setup};
use crate::support::{assert_all_returned, config, connect, echo, for_each_engine, localhost, sockets};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, Connection, HandshakeKind, ServerConnection};
use rustls_multibuffer::handshake::{TlsAcceptor, TlsConnector};
use rustls_multibuffer::provider::default_provider;
use std::io::Write;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

for_each_engine! {
    async fn resumes_sessions_on_both_sides<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let stock_connector = tokio_rustls::TlsConnector::from(Arc::new(setup.client(Keys::Stock)));
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
                let (mut server, mut client) =
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
                assert_eq!(server.get_ref().1.handshake_kind(), Some(expected));
                assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
                // Brings the tickets along.
                echo(&mut client, &mut server).await;
                let (mut server, mut client) =
                    connect(|io| acceptor.accept(io), |io| stock_connector.connect(localhost(), io)).await;
                assert_eq!(server.get_ref().1.handshake_kind(), Some(expected));
                assert_eq!(client.get_ref().1.peer_certificates().map(<[_]>::len), Some(1));
                echo(&mut client, &mut server).await;
            }
        }
        assert_all_returned(&engine).await;
        assert_eq!(engine.stats().failed, 0);
    }

    async fn early_data_is_not_offered<E>() {
        let engine = E::start(config());
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        server.max_early_data_size = 1000;
        client.enable_early_data = true;
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (mut server, mut client) =
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
            assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
            assert!(!client.get_ref().1.is_early_data_accepted());
            assert!(server.get_mut().1.early_data().is_none());
            echo(&mut client, &mut server).await;
        }
    }

    async fn negotiates_alpn<E>() {
        let engine = E::start(config());
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        client.alpn_protocols = vec![b"http/1.1".to_vec(), b"istio".to_vec()];
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        let (server, client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    }

    async fn chooses_the_certificate_by_sni<E>() {
        let engine = E::start(config());
        let provider = Arc::new(default_provider());
        let certified =
            |id: &Identity| CertifiedKey::from_der(id.chain.clone(), id.key(), &provider).unwrap();
        let mut resolver = ResolvesServerCertUsingSni::new();
        resolver.add("localhost", certified(&PKI.server)).unwrap();
        resolver.add("other.localhost", certified(&PKI.other)).unwrap();
        let mut server = Setup::TLS13.server(Keys::Ours);
        server.cert_resolver = Arc::new(resolver);
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(Setup::TLS13.client(Keys::Stock)));
        for (name, identity) in [("localhost", &PKI.server), ("other.localhost", &PKI.other)] {
            let (server, client) =
                connect(|io| acceptor.accept(io), |io| connector.connect(name.try_into().unwrap(), io)).await;
            assert_eq!(server.get_ref().1.server_name(), Some(name));
            assert_eq!(client.get_ref().1.peer_certificates().unwrap(), identity.chain);
        }
    }

    async fn futures_are_small<E>() {
        // Whoever spawns a future copies it several times.
        let engine = E::start(config());
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::MTLS13.server(Keys::Ours)));
        let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Ours)));
        let (server, client) = sockets().await;
        let sizes =
            [size_of_val(&acceptor.accept(server)), size_of_val(&connector.connect(localhost(), client))];
        assert!(sizes.iter().all(|size| *size <= 2048), "{sizes:?}");
    }

    async fn a_stock_provider_works_and_parks_nothing<E>() {
        let engine = E::start(config());
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::MTLS13.server(Keys::Stock)));
        let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Stock)));
        let (mut server, mut client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        echo(&mut client, &mut server).await;
        assert!(engine.stats().batches.iter().all(|op| op.requests() == 0));
    }

    async fn data_in_the_same_flight_as_finished_is_kept<E>() {
        let engine = E::start(config());
        let mut data = [0; 600];
        for setup in [Setup::TLS13, Setup::MTLS13] {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let client = ClientConnection::new(Arc::new(setup.client(Keys::Stock)), localhost()).unwrap();
            let (server_end, client_end) = sockets().await;
            let eager = finish_with_data(client.into(), client_end, &[7; 600]);
            let (accepted, _open) = tokio::join!(acceptor.accept(server_end), eager);
            accepted.unwrap().read_exact(&mut data).await.unwrap();
            assert_eq!(data, [7; 600]);
        }
        for setup in [Setup::TLS12, Setup::MTLS12] {
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let server = ServerConnection::new(Arc::new(setup.server(Keys::Stock))).unwrap();
            let (server_end, client_end) = sockets().await;
            let eager = finish_with_data(server.into(), server_end, &[9; 600]);
            let (connected, _open) = tokio::join!(connector.connect(localhost(), client_end), eager);
            connected.unwrap().read_exact(&mut data).await.unwrap();
            assert_eq!(data, [9; 600]);
        }
        assert_all_returned(&engine).await;
    }
}

/// Runs one side of a handshake and sends its last flight and `data` in a single write.
async fn finish_with_data(mut connection: Connection, mut socket: TcpStream, data: &[u8]) -> TcpStream {
    let pending = |connection: &mut Connection| {
        let mut bytes = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut bytes).unwrap();
        }
        bytes
    };
    while connection.is_handshaking() {
        socket.write_all(&pending(&mut connection)).await.unwrap();
        let mut buf = [0; 4096];
        let n = socket.read(&mut buf).await.unwrap();
        assert_ne!(n, 0, "the peer has gone");
        connection.read_tls(&mut &buf[..n]).unwrap();
        connection.process_new_packets().unwrap();
    }
    connection.writer().write_all(data).unwrap();
    socket.write_all(&pending(&mut connection)).await.unwrap();
    socket
}

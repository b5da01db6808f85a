//! What tokio-rustls and rustls offer beside a plain handshake, on an engine; `docs/integrate.md` has the
//! table.

use crate::pki::{Keys, PKI, Setup};
use crate::support::{assert_all_returned, config, connect, echo, for_each_engine, localhost, sockets};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{EchGreaseConfig, EchMode, EchStatus};
use rustls::compress::{
    CertCompressor, CertDecompressor, CompressionFailed, CompressionLevel, DecompressionFailed,
};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::{Acceptor, AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateCompressionAlgorithm, CertificateError, ClientConfig, DigitallySignedStruct, Error,
    HandshakeKind, KeyLog, SignatureScheme,
};
use rustls_multibuffer::handshake::{Op, TlsAcceptor, TlsConnector, tokio_rustls};
use rustls_multibuffer::provider::{
    SUPPORTED_SIG_ALGS, Ticketer, batch_verifications, default_provider, hpke, sign,
};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

for_each_engine! {
    async fn a_hello_that_was_read_elsewhere_is_taken_over<E>() {
        let engine = E::start(config());
        let config = Arc::new(Setup::MTLS13.server(Keys::Ours));
        for by_hand in [false, true] {
            let (mut server, client) = sockets().await;
            let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Ours)));
            let connecting = tokio::task::spawn_local(connector.connect(localhost(), client));
            let start = if by_hand {
                let mut acceptor = Acceptor::default();
                let accepted = loop {
                    let mut read = [0; 2048];
                    let n = server.read(&mut read).await.unwrap();
                    acceptor.read_tls(&mut &read[..n]).unwrap();
                    if let Some(accepted) = acceptor.accept().unwrap() {
                        break accepted;
                    }
                };
                StartHandshake::from_parts(accepted, server)
            } else {
                LazyConfigAcceptor::new(Acceptor::default(), server).await.unwrap()
            };
            assert_eq!(start.client_hello().server_name(), Some("localhost"));
            let config = config.clone();
            let set_up = |server: &mut rustls::ServerConnection| server.set_buffer_limit(Some(1));
            let accepted = engine.run(async move { start.into_stream_with(config, set_up).await });
            let mut server = accepted.await.unwrap().unwrap();
            echo(&mut connecting.await.unwrap().unwrap(), &mut server).await;
        }
        // Two servers' and two clients'.
        assert_eq!(engine.stats().batches.of(Op::RsaSign2048).requests(), 4);
        assert_all_returned(&engine).await;
    }

    async fn handshakes_show_their_sockets<E>() {
        let engine = E::start(config());
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(Setup::TLS13.server(Keys::Ours)));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(Setup::TLS13.client(Keys::Ours)));
        let (server, client) = sockets().await;
        let (server_end, client_end) = (server.local_addr().unwrap(), client.local_addr().unwrap());
        let accepting = engine.run(async move {
            let mut handshake = acceptor.accept(server);
            assert_eq!(handshake.get_ref().unwrap().local_addr().unwrap(), server_end);
            handshake.get_mut().unwrap().set_nodelay(true).unwrap();
            handshake.await
        });
        let connecting = engine.run(async move {
            let mut handshake = connector.connect(localhost(), client);
            assert_eq!(handshake.get_ref().unwrap().local_addr().unwrap(), client_end);
            handshake.get_mut().unwrap().set_nodelay(true).unwrap();
            handshake.await
        });
        let (server, client) = tokio::join!(accepting, connecting);
        let (server, client) = (server.unwrap().unwrap(), client.unwrap().unwrap());
        assert!(server.get_ref().0.nodelay().unwrap() && client.get_ref().0.nodelay().unwrap());
    }

    async fn a_failed_connect_gives_its_socket_back<E>() {
        let engine = E::start(config());
        let connector = tokio_rustls::TlsConnector::from(Arc::new(Setup::TLS13.client(Keys::Ours)));
        let (mut server, client) = sockets().await;
        server.write_all(b"220 speaks no TLS\r\n").await.unwrap();
        let connecting = async move { connector.connect(localhost(), client).into_fallible().await };
        let (error, mut client) = engine.run(connecting).await.unwrap().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        client.write_all(b"QUIT\r\n").await.unwrap();
        drop(client);
        let mut told = Vec::new();
        server.read_to_end(&mut told).await.unwrap();
        assert!(told.ends_with(b"QUIT\r\n"), "{told:?}");
        assert_all_returned(&engine).await;
    }

    async fn early_data_comes_with_an_accepted_stream<E>() {
        let engine = E::start(config());
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Stock));
        server.max_early_data_size = 1000;
        client.enable_early_data = true;
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        for expected in [&b""[..], b"early"] {
            let write = |client: &mut rustls::ClientConnection| {
                if let Some(mut early) = client.early_data() {
                    early.write_all(b"early").unwrap();
                }
            };
            let connecting = |io| connector.connect_with(localhost(), io, write);
            let (mut server, mut client) = connect(|io| acceptor.accept(io), connecting).await;
            let mut early = Vec::new();
            if let Some(mut data) = server.get_mut().1.early_data() {
                data.read_to_end(&mut early).unwrap();
            }
            assert_eq!(early, expected);
            echo(&mut client, &mut server).await;
        }
    }

    async fn both_sides_log_the_same_keys<E>() {
        let engine = E::start(config());
        let logs = [Arc::new(Log::default()), Arc::new(Log::default())];
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        (server.key_log, client.key_log) = (logs[0].clone(), logs[1].clone());
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        let [mut server, mut client] = logs.map(|log| log.0.lock().unwrap().clone());
        server.sort();
        client.sort();
        assert!(server.iter().any(|(label, _)| label == "CLIENT_TRAFFIC_SECRET_0"), "{server:?}");
        assert_eq!(server, client);
    }

    async fn tickets_without_a_session_store_resume<E>() {
        let engine = E::start(config());
        for setup in [Setup::TLS13, Setup::TLS12] {
            let mut server = setup.server(Keys::Ours);
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.ticketer = Ticketer::new().unwrap();
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let (mut server, mut client) =
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
                assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
                echo(&mut client, &mut server).await;
            }
        }
    }

    async fn certificates_are_compressed<E>() {
        let engine = E::start(config());
        let reversal: &Reversal = Box::leak(Box::default());
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        server.cert_compressors = vec![reversal];
        client.cert_decompressors = vec![reversal];
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        let (_, client) = connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        assert_eq!(client.get_ref().1.peer_certificates().unwrap(), PKI.server.chain);
        assert_eq!([&reversal.compressed, &reversal.decompressed].map(|count| count.load(Relaxed)), [1, 1]);
    }

    async fn raw_public_keys_stand_in_for_certificates<E>() {
        let engine = E::start(config());
        let key = sign::any_supported_type(&PKI.server.key()).unwrap();
        let public = key.public_key().unwrap().into_owned();
        let raw = CertificateDer::from(public.to_vec());
        let certified = Arc::new(CertifiedKey::new(vec![raw.clone()], key));
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        server.cert_resolver = Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified));
        let verifier = Arc::new(Known { key: raw.clone(), algorithms: *SUPPORTED_SIG_ALGS });
        client.dangerous().set_certificate_verifier(batch_verifications(verifier));
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        let (mut server, mut client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        assert_eq!(client.get_ref().1.peer_certificates().unwrap(), [raw]);
        echo(&mut client, &mut server).await;
        let stats = engine.stats();
        let requests = [Op::RsaSign2048, Op::RsaVerify2048].map(|op| stats.batches.of(op).requests());
        assert_eq!((requests, stats.verified_at_once), ([1, 1], 0));
    }

    async fn a_client_greases_ech<E>() {
        let engine = E::start(config());
        let suite = hpke::ALL_SUPPORTED_SUITES[0];
        let (placeholder, _) = suite.generate_key_pair().unwrap();
        let mode = EchMode::Grease(EchGreaseConfig::new(suite, placeholder));
        let client = ClientConfig::builder_with_provider(default_provider().into()).with_ech(mode).unwrap();
        let client = client.with_root_certificates(PKI.roots.clone()).with_no_client_auth();
        let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::TLS13.server(Keys::Ours)));
        let connector = TlsConnector::new(engine.clone(), Arc::new(client));
        let (mut server, mut client) =
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        assert_eq!(client.get_ref().1.ech_status(), EchStatus::Grease);
        echo(&mut client, &mut server).await;
    }
}

/// The labels and secrets that were logged.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Log {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push((label.to_owned(), secret.to_vec()));
    }
}

/// Says that it compresses, and reverses.
#[derive(Debug, Default)]
struct Reversal {
    compressed: AtomicUsize,
    decompressed: AtomicUsize,
}

impl CertCompressor for Reversal {
    fn compress(&self, mut input: Vec<u8>, _: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        self.compressed.fetch_add(1, Relaxed);
        input.reverse();
        Ok(input)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zstd
    }
}

impl CertDecompressor for Reversal {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        self.decompressed.fetch_add(1, Relaxed);
        output.copy_from_slice(input);
        output.reverse();
        Ok(())
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zstd
    }
}

/// Trusts one raw public key (RFC 7250).
#[derive(Debug)]
struct Known {
    key: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.key {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("the client speaks TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

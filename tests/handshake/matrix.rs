//! Every version, with and without client certificates, our side against the stock one.

use crate::pki::{Keys, Setup};
use crate::support::{assert_all_returned, config, echo, for_each_engine, localhost, sockets};
use rustls_multibuffer::handshake::{Op, TlsAcceptor, TlsConnector};
use std::sync::Arc;

for_each_engine! {
    async fn acceptor_against_stock_client<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let connector = tokio_rustls::TlsConnector::from(Arc::new(setup.client(Keys::Stock)));
            let (server, client) = sockets().await;
            let (server, client) =
                tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            let connection = server.get_ref().1;
            assert_eq!(connection.protocol_version(), Some(setup.version.version));
            assert_eq!(connection.peer_certificates().is_some(), setup.client_auth);
            echo(&mut server, &mut client).await;
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed, stats.cancelled), (4, 0, 0));
        assert_eq!(stats.batches.of(Op::RsaSign2048).requests(), 4, "one RSA signature each: {stats:?}");
    }

    async fn connector_against_stock_server<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(setup.server(Keys::Stock)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let (server, client) = sockets().await;
            let (server, client) =
                tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            assert_eq!(client.get_ref().1.protocol_version(), Some(setup.version.version));
            assert_eq!(server.get_ref().1.peer_certificates().is_some(), setup.client_auth);
            echo(&mut client, &mut server).await;
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed, stats.cancelled), (4, 0, 0));
        assert_eq!(
            stats.batches.of(Op::RsaSign2048).requests(),
            2,
            "one RSA signature for each client certificate: {stats:?}"
        );
    }

    async fn both_sides_on_one_engine_64_at_a_time<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let pairs: Vec<_> = (0..64)
                .map(|_| {
                    let (acceptor, connector) = (acceptor.clone(), connector.clone());
                    tokio::task::spawn_local(async move {
                        let (server, client) = sockets().await;
                        let (server, client) =
                            tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
                        echo(&mut client.unwrap(), &mut server.unwrap()).await;
                    })
                })
                .collect();
            for pair in pairs {
                pair.await.unwrap();
            }
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed), (4 * 2 * 64, 0));
    }
}

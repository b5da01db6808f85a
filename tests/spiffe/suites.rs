//! Which cipher suite a server takes.

use crate::ca::Spec;
use crate::support::{
    CLIENT, echo_as_client, echo_as_server, engine, home, name, run, sockets, stock_client,
};
use rustls::CipherSuite;
use rustls_multibuffer::provider::{Suites, default_provider};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, TlsOptions};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// What a stock client, which prefers AES-256, and an acceptor with these options agree on.
async fn agreed(options: TlsOptions) -> CipherSuite {
    let (ca, identity, _handle) = home().await;
    let acceptor = Acceptor::with_tls(engine(1), &identity, Authorizer::anybody_verified(), options);
    let client: TlsConnector = Arc::new(stock_client(&ca.issue(Spec::new(CLIENT)))).into();
    let (here, there) = sockets();
    let server = async { echo_as_server(acceptor.accept(there).await.unwrap().0).await.unwrap() };
    let client = async {
        let stream = client.connect(name(), here).await.unwrap();
        let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
        echo_as_client(stream).await.unwrap();
        suite
    };
    tokio::join!(server, client).1
}

#[test]
fn the_server_decides_unless_it_is_to_follow_its_client() {
    run(async {
        let chacha = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        let mut provider = default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != chacha);
        let options = TlsOptions::default().provider(Arc::new(provider));
        assert_eq!(agreed(options.clone()).await, chacha);
        let follows = options.prefer_client_ciphers(true);
        assert_eq!(agreed(follows).await, CipherSuite::TLS13_AES_256_GCM_SHA384);
        let fastest = Suites::Fastest.list()[0].suite();
        assert_eq!(agreed(TlsOptions::default()).await, fastest, "the default is the fastest");
    });
}

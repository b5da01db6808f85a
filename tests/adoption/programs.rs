//! Two programs as they were written for tokio-rustls and hyper-rustls, and as they are on an engine: they
//! answer alike, and the guide's diffs lead from one to the other.

use crate::support::{connect_as, issue, key_shares, listen, roots, run, serve_http, signatures};
use crate::{stock, switched};
use rustls_multibuffer::handshake::Op;
use std::collections::HashMap;
use tokio::io::AsyncReadExt;

/// What the server of several names tells its clients.
macro_rules! told {
    ($program:ident) => {{
        let (listener, port) = listen().await;
        let host = |name: &str, clients| {
            let (chain, key) = issue(name);
            (name.to_owned(), $program::vhosts::Host { chain, key, clients })
        };
        let hosts = [host("public.localhost", None), host("private.localhost", Some(roots().into()))];
        tokio::spawn($program::vhosts::serve(listener, HashMap::from(hosts)));
        let mut told = Vec::new();
        for (name, identity) in [
            ("public.localhost", None),
            ("private.localhost", Some(issue("client"))),
            ("private.localhost", None),
            ("unknown.localhost", None),
        ] {
            told.push(match connect_as(port, name, identity).await {
                Err(error) => error.kind().to_string(),
                Ok(mut stream) => {
                    let mut text = String::new();
                    match stream.read_to_string(&mut text).await {
                        Ok(_) => text,
                        Err(error) => error.to_string(),
                    }
                }
            });
        }
        told
    }};
}

#[test]
fn a_server_of_several_names_is_switched() {
    run(async {
        let before = told!(stock);
        assert_eq!(before[..2], ["0 for public.localhost\n", "1 for private.localhost\n"]);
        assert!(before[2].contains("CertificateRequired"), "{before:?}");
        assert_eq!(told!(switched), before);
        let stats = switched::vhosts::ENGINE.stats();
        // The unknown name comes to no signature; who shows no certificate has seen the server's.
        assert_eq!(signatures(&stats), 3);
        let verified: u64 =
            [Op::P256Verify, Op::P256VerifyKnown].iter().map(|op| stats.batches.of(*op).requests()).sum();
        // The client's chain and its CertificateVerify.
        assert_eq!((verified, stats.verified_at_once), (2, 0));
    });
}

#[test]
fn an_https_client_is_switched() {
    run(async {
        let (listener, port) = listen().await;
        tokio::spawn(serve_http(listener));
        let uri: hyper::Uri = format!("https://localhost:{port}/").parse().unwrap();
        assert_eq!(stock::client::get(uri.clone(), roots()).await.unwrap(), "hi");
        assert_eq!(switched::client::get(uri, roots()).await.unwrap(), "hi");
        let stats = switched::client::ENGINE.stats();
        assert_eq!((stats.succeeded, key_shares(&stats)), (1, 1));
    });
}

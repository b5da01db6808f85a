//! Identities from a Workload API and from SDS, and who is let in.

use crate::mesh::{Mesh, Source};
use crate::support::{echo_application, expect_echo, failure, run};
use std::io::ErrorKind;
use tokio::net::TcpStream;

#[test]
fn both_sides_have_identities_from_either_source_and_follow_them() {
    run(async {
        for (inbound, outbound) in [(Source::WorkloadApi, Source::Sds), (Source::Sds, Source::WorkloadApi)] {
            let mesh = Mesh::start().await;
            let application = echo_application().await;
            let peers = "peers: {ids: ['spiffe://mesh.example/client']}";
            let inbound = mesh.inbound(inbound, application, peers);
            let outbound =
                mesh.outbound(outbound, inbound.address("in"), "peers: {trust_domains: [mesh.example]}");
            let address = outbound.address("out");
            let mut before = TcpStream::connect(address).await.unwrap();
            expect_echo(&mut before, "before the rotation").await;
            mesh.rotate("server");
            mesh.rotate("client");
            for (sidecar, name) in [(&inbound, "in"), (&outbound, "out")] {
                tokio::task::block_in_place(|| sidecar.until_metric("spiffe_generation", &[name], 2.0));
            }
            expect_echo(&mut TcpStream::connect(address).await.unwrap(), "after it").await;
            expect_echo(&mut before, "still there").await;
        }
    });
}

#[test]
fn each_listener_says_whom_it_lets_in() {
    run(async {
        let mesh = Mesh::start().await;
        let application = echo_application().await;
        for (peers, is_admitted) in [
            ("ids: ['spiffe://mesh.example/client']", true),
            ("ids: ['spiffe://mesh.example/other', 'spiffe://mesh.example/client']", true),
            ("ids: ['spiffe://mesh.example/other']", false),
            ("trust_domains: [mesh.example]", true),
            ("trust_domains: [other.example]", false),
            ("prefixes: ['spiffe://mesh.example/client']", true),
            ("prefixes: ['spiffe://mesh.example/cli']", false),
        ] {
            let inbound = mesh.inbound(Source::Sds, application, &format!("peers: {{{peers}}}"));
            let outbound = mesh.outbound(Source::Sds, inbound.address("in"), "peers: {any: true}");
            let address = outbound.address("out");
            if is_admitted {
                expect_echo(&mut TcpStream::connect(address).await.unwrap(), "let in").await;
            } else {
                assert_eq!(failure(address).await, ErrorKind::ConnectionReset, "{peers}: cut, not ended");
                tokio::task::block_in_place(|| {
                    let name = "mtls_sidecar_handshake_failures_total";
                    inbound.until_metric(name, &["not_authorized"], 1.0);
                });
            }
        }
    });
}

#[test]
fn a_denied_identity_is_taken_back_at_once() {
    run(async {
        let mesh = Mesh::start().await;
        let inbound = mesh.inbound(Source::WorkloadApi, echo_application().await, "peers: {any: true}");
        let outbound = mesh.outbound(Source::Sds, inbound.address("in"), "peers: {any: true}");
        let address = outbound.address("out");
        expect_echo(&mut TcpStream::connect(address).await.unwrap(), "good").await;
        mesh.deny("server");
        tokio::task::block_in_place(|| {
            inbound.until_metric("spiffe_withdrawals_total", &["denied"], 1.0);
        });
        assert_eq!(failure(address).await, ErrorKind::ConnectionReset);
        inbound.until_logged(|line| line["detail"].as_str().is_some_and(|why| why.starts_with("withdrawn")));
    });
}

/// What is pasted from Envoy, with keys of the authority in files, and SDS by a cluster's name.
#[test]
fn contexts_of_envoy_carry_connections() {
    run(async {
        let mesh = Mesh::start().await;
        let folder = mesh.write_files("server");
        let home = crate::process::Home::new();
        home.configure_bare(&format!(
            "listeners:
- name: in
  direction: inbound
  address: 127.0.0.1:0
  target: {}
  tls:
    '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    require_client_certificate: true
    common_tls_context:
      tls_params: {{tls_minimum_protocol_version: TLSv1_3, ecdh_curves: [P-256]}}
      tls_certificates:
      - certificate_chain: {{filename: {folder}/chain.pem}}
        private_key: {{filename: {folder}/key.pem}}
      validation_context:
        trusted_ca: {{filename: {folder}/bundle.pem}}
        match_typed_subject_alt_names:
        - {{san_type: URI, matcher: {{suffix: /client}}}}
",
            echo_application().await
        ));
        let inbound = home.start();
        let home = crate::process::Home::new();
        let sds = "sds_config: {api_config_source: {api_type: GRPC, grpc_services: {envoy_grpc: {cluster_name: sds}}}}";
        home.configure_bare(&format!(
            "clusters: {{sds: 'unix://{}'}}
listeners:
- name: out
  direction: outbound
  address: 127.0.0.1:0
  target: {}
  tls:
    sni: server.test
    common_tls_context:
      tls_certificate_sds_secret_configs: {{name: 'spiffe://mesh.example/client', {sds}}}
      combined_validation_context:
        validation_context_sds_secret_config: {{name: ROOTCA, {sds}}}
        default_validation_context:
          match_typed_subject_alt_names: [{{san_type: URI, matcher: {{exact: 'spiffe://mesh.example/server'}}}}]
",
            mesh.socket(Source::Sds, "client").display(),
            inbound.address("in"),
        ));
        let outbound = home.start();
        expect_echo(&mut TcpStream::connect(outbound.address("out")).await.unwrap(), "pasted").await;
        // Nothing in them turns acceleration on.
        assert_eq!(inbound.metric("mtls_sidecar_tier_info", &["scalar"]), 1.0);
        assert_eq!(inbound.metric("mtls_sidecar_operations_total", &["lanes"]), 0.0);
    });
}

//! Identities from a Workload API and from SDS, and who is let in.

use crate::mesh::{Mesh, Source};
use crate::pki::{Authority, connect};
use crate::process::{Home, Sidecar};
use crate::support::{echo_application, expect_echo, failure, run};
use std::io::ErrorKind;
use tokio::io::AsyncReadExt;
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
        let sds = "sds_config: {api_config_source: {api_type: GRPC, grpc_services: {envoy_grpc: \
            {cluster_name: sds}}}}";
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
          match_typed_subject_alt_names: [{{san_type: URI, matcher: {{exact: \
             'spiffe://mesh.example/server'}}}}]
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

/// An inbound listener with a context of Envoy's that has this validation context; `{dir}` stands for the
/// home's directory.
async fn of_envoy(authority: &Authority, validation: &str) -> Sidecar {
    let home = Home::with_identity(authority, &authority.issue("server"));
    let dir = home.dir.display().to_string();
    home.configure_bare(&format!(
        "listeners:
- name: in
  direction: inbound
  address: 127.0.0.1:0
  target: {}
  peers: {{any: true}}
  tls:
    require_client_certificate: true
    common_tls_context:
      tls_certificates: [{{certificate_chain: {{filename: {dir}/chain.pem}}, private_key: {{filename: \
         {dir}/key.pem}}}}]
      validation_context: {}
",
        echo_application().await,
        validation.replace("{dir}", &dir)
    ));
    home.start()
}

#[test]
fn revocation_lists_of_envoys_contexts_are_enforced_and_followed() {
    run(async {
        let authority = Authority::new();
        let (good, bad) = (authority.issue("good"), authority.issue("bad"));
        let [good_client, bad_client] = [&good, &bad].map(|issued| authority.client(Some(issued)));
        let inbound = of_envoy(&authority, "{trusted_ca: {filename: '{dir}/bundle.pem'}}").await;
        let address = inbound.address("in");
        expect_echo(&mut connect(&bad_client, "server", address).await.unwrap(), "not yet").await;
        let bundle = authority.bundle_pem() + &authority.crl_pem(&bad);
        std::fs::write(inbound.home.dir.join("bundle.pem"), bundle).unwrap();
        tokio::task::block_in_place(|| inbound.until_metric("spiffe_generation", &["in"], 2.0));
        expect_echo(&mut connect(&good_client, "server", address).await.unwrap(), "let in").await;
        // In TLS 1.3 a client learns only afterwards.
        let refused = async { connect(&bad_client, "server", address).await?.read_u8().await };
        refused.await.unwrap_err();
        tokio::task::block_in_place(|| {
            inbound.until_metric("mtls_sidecar_handshake_failures_total", &["revoked"], 1.0);
        });
        inbound.until_logged(|line| line["detail"] == "revoked: the peer's chain is revoked");
    });
}

#[test]
fn envoys_spiffe_validator_verifies_each_domain_with_its_own_bundle() {
    run(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let message =
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";
        let validator = format!(
            "{{custom_validator_config: {{name: envoy.tls.cert_validator.spiffe, typed_config: {{'@type': \
             {message}, \
             trust_domains: [{{name: mesh.example, trust_bundle: {{filename: '{{dir}}/bundle.pem'}}}}, \
             {{name: other.example, trust_bundle: {{filename: '{{dir}}/other.pem'}}}}]}}}}}}"
        );
        let inbound = of_envoy(&authority, &validator).await;
        let address = inbound.address("in");
        // Of the right name, and of another domain's authority.
        std::fs::write(inbound.home.dir.join("other.pem"), stranger.bundle_pem()).unwrap();
        tokio::task::block_in_place(|| inbound.until_metric("spiffe_generation", &["in"], 2.0));
        let ours = authority.client(Some(&authority.issue("client")));
        expect_echo(&mut connect(&ours, "server", address).await.unwrap(), "let in").await;
        let theirs = authority.client(Some(&stranger.issue("client")));
        let refused = async { connect(&theirs, "server", address).await?.read_u8().await };
        refused.await.unwrap_err();
        tokio::task::block_in_place(|| {
            inbound.until_metric("mtls_sidecar_handshake_failures_total", &["foreign_authority"], 1.0);
        });
    });
}

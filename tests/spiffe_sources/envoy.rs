//! Envoy with SPIFFE identities from our SDS, as a server and as a client of ours. All sockets are Unix
//! sockets.

use crate::load::engine;
use crate::peer::{Peer, find};
use crate::run;
use crate::support::{Folder, Kind, PATIENCE, Server, authority, eventually, follow, id};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_multibuffer::handshake::Engine;
use rustls_multibuffer::spiffe::authority::Authority;
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// `tls-in` takes mTLS and answers by itself; `plain-in` takes plain HTTP and asks `tls-out` through mTLS.
/// Peers must be `spiffe://example.org/web`. One verifies with a plain bundle, the other with Envoy's SPIFFE
/// validator.
fn bootstrap(folder: &Folder) -> String {
    let pipe = |name: &str| format!(r#"{{"pipe":{{"path":"{}"}}}}"#, folder.join(name).display());
    let sds = r#"{"resource_api_version":"V3","api_config_source":{"api_type":"GRPC","transport_api_version":"V3",
        "grpc_services":[{"envoy_grpc":{"cluster_name":"sds"}}]}}"#;
    let secret = |name: &str| format!(r#"{{"name":"{name}","sds_config":{sds}}}"#);
    let common = |roots: &str| {
        format!(
            r#""common_tls_context":{{"tls_certificate_sds_secret_configs":[{}],"combined_validation_context":{{
            "default_validation_context":{{"match_typed_subject_alt_names":[
                {{"san_type":"URI","matcher":{{"exact":"spiffe://example.org/web"}}}}]}},
            "validation_context_sds_secret_config":{}}}}}"#,
            secret("default"),
            secret(roots)
        )
    };
    let tls = |side: &str, fields: String| {
        format!(
            r#""transport_socket":{{"name":"envoy.transport_sockets.tls","typed_config":{{
            "@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext",{fields}}}}}"#
        )
    };
    let http = |action: &str| {
        format!(
            r#""filters":[{{"name":"envoy.filters.network.http_connection_manager","typed_config":{{
            "@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix":"x","http_filters":[{{"name":"envoy.filters.http.router","typed_config":{{
                "@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}}}],
            "route_config":{{"virtual_hosts":[{{"name":"x","domains":["*"],
                "routes":[{{"match":{{"prefix":"/"}},{action}}}]}}]}}}}}}]"#
        )
    };
    let cluster = |name: &str, fields: String| {
        format!(
            r#"{{"name":"{name}","type":"STATIC","connect_timeout":"60s","load_assignment":{{"cluster_name":"{name}",
            "endpoints":[{{"lb_endpoints":[{{"endpoint":{{"address":{}}}}}]}}]}},{fields}}}"#,
            pipe(name)
        )
    };
    let http2 = r#""typed_extension_protocol_options":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{
        "@type":"type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config":{"http2_protocol_options":{}}}}"#;
    let server_tls = tls("Downstream", format!(r#""require_client_certificate":true,{}"#, common("ROOTCA")));
    let client_tls = tls("Upstream", common("ALL"));
    format!(
        r#"{{"static_resources":{{"listeners":[
            {{"name":"tls-in","address":{},"filter_chains":[{{{},{server_tls}}}]}},
            {{"name":"plain-in","address":{},"filter_chains":[{{{}}}]}}],
        "clusters":[{},{}]}}}}"#,
        pipe("tls-in"),
        http(r#""direct_response":{"status":200,"body":{"inline_string":"from Envoy"}}"#),
        pipe("plain-in"),
        http(r#""route":{"cluster":"tls-out"}"#),
        cluster("sds", http2.to_owned()),
        cluster("tls-out", client_tls),
    )
}

/// One request on one connection.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    stream.flush().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The last certificate that Envoy has shown to our server.
type Shown = Arc<Mutex<Option<CertificateDer<'static>>>>;

/// Our server: it answers one request on each connection.
async fn serve(acceptor: Acceptor<Engine>, listener: UnixListener, shown: Shown) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut stream, connection) = match acceptor.accept(stream).await {
            Ok(accepted) => accepted,
            Err(why) => panic!("Envoy was refused: {why}"),
        };
        assert_eq!(connection.peer_id(), &id("envoy"));
        let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        *shown.lock().unwrap() = Some(leaf);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nfrom us";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
        // Envoy may have hung up already: it has its answer.
        drop(stream.shutdown().await);
    }
}

/// Both directions.
struct World<'a> {
    folder: &'a Folder,
    authority: &'a Authority,
    connector: Connector<Engine>,
    shown: Shown,
}

impl World<'_> {
    /// Our client asks Envoy. Returns the certificate that Envoy has shown.
    async fn ask_envoy(&self, connector: &Connector<Engine>) -> std::io::Result<CertificateDer<'static>> {
        let stream = UnixStream::connect(self.folder.join("tls-in")).await?;
        let name = ServerName::try_from("envoy.example.org").unwrap();
        let (mut stream, connection) = connector.connect(name, stream).await?;
        assert_eq!(connection.peer_id(), &id("envoy"));
        let answer = get(&mut stream).await?;
        assert!(answer.contains("200 OK") && answer.ends_with("from Envoy"), "{answer}");
        Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
    }

    /// Envoy asks our server. Returns the certificate that Envoy has shown.
    async fn be_asked(&self) -> CertificateDer<'static> {
        let answer = get(UnixStream::connect(self.folder.join("plain-in")).await.unwrap()).await.unwrap();
        assert!(answer.contains("200 OK") && answer.ends_with("from us"), "{answer}");
        self.shown.lock().unwrap().take().expect("Envoy has asked our server")
    }

    /// Asks in both directions, without a failure, until Envoy shows its newest certificate in both.
    async fn rotate(&self) {
        let newest = self.authority.material(&id("envoy")).unwrap().svid.chain[0].clone();
        let begin = std::time::Instant::now();
        loop {
            let as_server = self.ask_envoy(&self.connector).await.unwrap();
            if as_server == newest && self.be_asked().await == newest {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "Envoy does not rotate");
        }
    }
}

/// Waits until Envoy listens and has got its secrets.
async fn wait_for_envoy(folder: &Folder) {
    let is_up = async || {
        let Ok(stream) = UnixStream::connect(folder.join("plain-in")).await else { return false };
        get(stream).await.is_ok_and(|answer| answer.contains("200 OK"))
    };
    let begin = std::time::Instant::now();
    while !is_up().await {
        assert!(begin.elapsed() < PATIENCE, "Envoy does not start");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn start_envoy(envoy: &Path, folder: &Folder) -> Peer {
    let config = folder.join("envoy.json");
    std::fs::write(&config, bootstrap(folder)).unwrap();
    let config = config.to_str().unwrap();
    let args = ["-c", config, "--service-node", "n", "--service-cluster", "c"];
    let options = ["--disable-hot-restart", "--concurrency", "1", "-l", "warning"];
    Peer::start(envoy, &[&args[..], &options[..]].concat(), folder.join("envoy.log"))
}

fn client(identity: &Identity) -> Connector<Engine> {
    Connector::new(engine(), identity, Authorizer::exactly(id("envoy")))
}

#[test]
fn envoy_is_server_and_client_through_rotations() {
    let Some(envoy) = find("envoy") else { return };
    run(async {
        let (folder, authority) = (Folder::new(), authority(&["web", "envoy", "stranger"]));
        let theirs = authority.serve_sds(folder.join("sds"), [id("envoy")]).unwrap();
        let _ours = Server::start(Kind::Sds, &authority, &folder.join("ours"), &[id("web")]);
        let _stranger = Server::start(Kind::Sds, &authority, &folder.join("stranger"), &[id("stranger")]);
        let identity = follow(Kind::Sds, &folder.join("ours"));
        identity.ready().await;
        let shown = Shown::default();
        let acceptor = Acceptor::new(engine(), &identity, Authorizer::exactly(id("envoy")));
        let listener = UnixListener::bind(folder.join("tls-out")).unwrap();
        let server = tokio::spawn(serve(acceptor, listener, shown.clone()));
        let mut peer = start_envoy(&envoy, &folder);
        wait_for_envoy(&folder).await;
        let world = World { folder: &folder, authority: &authority, connector: client(&identity), shown };

        world.rotate().await;
        let accepted = theirs.answers().len();
        authority.rotate_ca().unwrap();
        // Two subscriptions to a bundle, one for each direction.
        eventually("Envoy knows the next CA", || theirs.answers().len() >= accepted + 2).await;
        let know = || identity.current().unwrap().roots(&authority.trust_domain()).count() == 2;
        eventually("we know the next CA", know).await;
        authority.use_announced_ca().unwrap();
        world.rotate().await;
        for id in ["envoy", "web"].map(id) {
            authority.rotate_svid(&id).unwrap();
        }
        world.rotate().await;

        let stranger = follow(Kind::Sds, &folder.join("stranger"));
        stranger.ready().await;
        let refused = world.ask_envoy(&client(&stranger)).await;
        assert!(refused.is_err(), "Envoy lets a stranger in");
        world.ask_envoy(&world.connector).await.unwrap();
        assert!(theirs.answers().iter().all(|answer| answer.refusal.is_none()), "{:?}", theirs.answers());
        assert!(!server.is_finished(), "our server has panicked");
        peer.assert_runs();
    });
}

#[test]
fn envoys_refusals_are_recorded() {
    use rustls_multibuffer::spiffe::authority::Defect;
    let Some(envoy) = find("envoy") else { return };
    run(async {
        let (folder, authority) = (Folder::new(), authority(&["envoy"]));
        authority.set_defect(&id("envoy"), Some(Defect::KeyMismatch)).unwrap();
        let theirs = authority.serve_sds(folder.join("sds"), [id("envoy")]).unwrap();
        let _peer = start_envoy(&envoy, &folder);
        let refused = || theirs.answers().iter().any(|answer| answer.refusal.is_some());
        eventually("Envoy refuses a key that does not match", refused).await;
    });
}

//! The proxies as processes.

use crate::pki::Folder;
use std::error::Error;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sidecar,
    Haproxy,
    Envoy,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sidecar, Self::Haproxy, Self::Envoy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "mtls-sidecar",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }
}

pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Proxy {
    /// Starts it on that CPU, with one worker, and waits until it listens.
    pub(crate) async fn start(
        kind: Kind,
        folder: &Folder,
        application: SocketAddr,
        envoy: &Path,
        cpu: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let address = free_address()?;
        let dir = folder.path().display().to_string();
        let (text, mut command): (String, Vec<String>) = match kind {
            Kind::Sidecar => {
                (sidecar(&dir, address, application), vec![env!("CARGO_BIN_EXE_mtls-sidecar").into()])
            }
            Kind::Haproxy => (haproxy(&dir, address, application), vec!["haproxy".into()]),
            Kind::Envoy => (self::envoy(&dir, address, application), vec![envoy.display().to_string()]),
        };
        let file = folder.write(&format!("{}.conf.yaml", kind.name()), &text)?.display().to_string();
        command.extend(match kind {
            Kind::Sidecar => vec!["--config".into(), file],
            Kind::Haproxy => vec!["-db".into(), "-f".into(), file],
            Kind::Envoy => {
                let words =
                    ["--concurrency", "1", "--disable-hot-restart", "-l", "warn", "-c", file.as_str()];
                words.map(String::from).to_vec()
            }
        });
        let log = File::create(folder.path().join(format!("{}.log", kind.name())))?;
        let process = Command::new("taskset")
            .args(["-c", &cpu.to_string()])
            .args(&command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", kind.name()))?;
        let mut proxy = Self { kind, address, process };
        proxy.wait_until_it_listens(folder).await?;
        Ok(proxy)
    }

    async fn wait_until_it_listens(&mut self, folder: &Folder) -> Result<(), Box<dyn Error>> {
        for _ in 0..200 {
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            if self.process.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(folder.path().join(format!("{}.log", self.kind.name())))?;
        Err(format!("{} does not listen:\n{log}", self.kind.name()).into())
    }

    /// The CPU time that its threads have used, user and system together.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The second field is the program's name in parentheses, which may hold anything.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<u64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).ok_or_else(|| io::Error::other("no such fields"))?;
        Ok(Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Whatever has ended by itself needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free now, and hopefully still in a moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn sidecar(dir: &str, address: SocketAddr, application: SocketAddr) -> String {
    format!(
        "concurrency: 1
log: {{level: warn, access: false}}
listeners:
- name: bench
  direction: inbound
  address: {address}
  target: {application}
  tls_identity:
    files: {{certificate_chain: {dir}/chain.pem, private_key: {dir}/key.pem, trusted_ca: {dir}/ca.pem}}
  peers: {{any: true}}
"
    )
}

fn haproxy(dir: &str, address: SocketAddr, application: SocketAddr) -> String {
    format!(
        "global
  nbthread 1
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend bench
  bind {address} ssl crt {dir}/both.pem ca-file {dir}/ca.pem verify required
  default_backend application
backend application
  server application {application}
"
    )
}

fn envoy(dir: &str, address: SocketAddr, application: SocketAddr) -> String {
    format!(
        "static_resources:
  listeners:
  - name: bench
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: bench
          cluster: application
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          disable_stateless_session_resumption: true
          disable_stateful_session_resumption: true
          common_tls_context:
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - {{certificate_chain: {{filename: {dir}/chain.pem}}, private_key: {{filename: {dir}/key.pem}}}}
            validation_context: {{trusted_ca: {{filename: {dir}/ca.pem}}}}
  clusters:
  - name: application
    type: STATIC
    connect_timeout: 10s
    circuit_breakers: {{thresholds: [{{max_connections: 4000, max_pending_requests: 4000}}]}}
    load_assignment:
      cluster_name: application
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {target}}}}}}}
",
        port = address.port(),
        target = application.port(),
    )
}

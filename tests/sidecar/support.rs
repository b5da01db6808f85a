//! Applications and their clients.

use crate::pki::{Authority, Issued};
use crate::process::{Home, Sidecar};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Runs a test, which must not take forever.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    run_for(Duration::from_secs(600), test)
}

/// Runs a test that may take so long.
pub(crate) fn run_for<T>(limit: Duration, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("in time") })
}

/// An application that answers every connection with `serve`, until the runtime ends.
pub(crate) async fn application<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Sends everything back, and ends when the client has.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let (mut read, mut write) = tokio::io::split(stream);
    // A client that breaks off has its reasons.
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

pub(crate) async fn echo_application() -> SocketAddr {
    application(echo).await
}

/// Sends `text`, and expects it back.
pub(crate) async fn expect_echo<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, text.as_bytes());
}

/// How a connection fails on which nothing arrives: perhaps as soon as it is made.
pub(crate) async fn failure(address: SocketAddr) -> std::io::ErrorKind {
    let read = async { TcpStream::connect(address).await?.read_u8().await };
    read.await.unwrap_err().kind()
}

pub(crate) fn kill(id: i64, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
}

/// The processes that it has started and that have not ended.
pub(crate) fn children(id: i64) -> Vec<i64> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().map(|id| id.parse().unwrap()).filter(|id| is_running(*id)).collect()
}

/// Whether a process has not ended.
pub(crate) fn is_running(id: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // Nobody may be there to wait for it.
    stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
}

/// An authority, a client's identity, and a sidecar with an inbound listener named `in`.
pub(crate) struct Inbound {
    pub(crate) authority: Authority,
    pub(crate) client: Issued,
    pub(crate) sidecar: Sidecar,
    pub(crate) address: SocketAddr,
}

/// An inbound listener; `options` are further fields of it, `rest` of the file.
pub(crate) fn inbound(target: SocketAddr, options: &str, rest: &str) -> Inbound {
    let (authority, home) = inbound_home(target, options, rest);
    let client = authority.issue("client");
    let sidecar = home.start();
    let address = sidecar.address("in");
    Inbound { authority, client, sidecar, address }
}

/// The same, not started.
pub(crate) fn inbound_home(target: SocketAddr, options: &str, rest: &str) -> (Authority, Home) {
    let authority = Authority::new();
    let home = Home::with_identity(&authority, &authority.issue("server"));
    let options = if options.is_empty() { String::new() } else { format!(", {options}") };
    home.configure(&format!(
        "listeners:
- {{name: in, direction: inbound, address: '127.0.0.1:0', target: '{target}', identity: default,
   peers: {{prefixes: ['spiffe://mesh.example/client']}}{options}}}
{rest}"
    ));
    (authority, home)
}

impl Inbound {
    /// A connection of the stock client.
    pub(crate) async fn connect(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let client = self.authority.client(Some(&self.client));
        crate::pki::connect(&client, "server", self.address).await.unwrap()
    }
}

/// An outbound sidecar to `server`, and where its application connects to.
pub(crate) fn outbound(authority: &Authority, server: SocketAddr, options: &str) -> (Sidecar, SocketAddr) {
    let home = Home::with_identity(authority, &authority.issue("client"));
    home.configure(&format!(
        "listeners:
- {{name: out, direction: outbound, address: '127.0.0.1:0', target: '{server}', identity: default,
   peers: {{ids: ['spiffe://mesh.example/server']}}, server_name: server.test{options}}}"
    ));
    let sidecar = home.start();
    let address = sidecar.address("out");
    (sidecar, address)
}

//! A server of several names. Each has a certificate of its own, and says whose client certificates it
//! demands, if any.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_multibuffer::{handshake::Engine, provider};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, LazyLock};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Default::default()).unwrap());

pub(crate) struct Host {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) clients: Option<Arc<RootCertStore>>,
}

impl Host {
    fn configure(self) -> Result<ServerConfig, Box<dyn Error + Send + Sync>> {
        let provider = Arc::new(provider::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions()?;
        let config = match self.clients {
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
                config.with_client_cert_verifier(provider::batch_verifications(verifier))
            }
            None => config.with_no_client_auth(),
        };
        Ok(config.with_single_cert(self.chain, self.key)?)
    }
}

type Configs = HashMap<String, Arc<ServerConfig>>;

pub(crate) async fn serve(
    listener: TcpListener,
    hosts: HashMap<String, Host>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut configs = Configs::new();
    for (name, host) in hosts {
        configs.insert(name, Arc::new(host.configure()?));
    }
    let configs = Arc::new(configs);
    loop {
        let (socket, _) = listener.accept().await?;
        let configs = configs.clone();
        tokio::spawn(async move {
            let stream = ENGINE.run(handshake(socket, configs)).await??;
            answer(stream).await
        });
    }
}

async fn handshake(socket: TcpStream, configs: Arc<Configs>) -> io::Result<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
    let config = start.client_hello().server_name().and_then(|name| configs.get(name).cloned());
    start.into_stream(config.ok_or(io::ErrorKind::NotFound)?).await
}

/// Tells the client how many certificates it has shown, and for which name.
async fn answer(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let connection = stream.get_ref().1;
    let shown = connection.peer_certificates().map_or(0, <[_]>::len);
    let name = connection.server_name().unwrap_or_default().to_owned();
    stream.write_all(format!("{shown} for {name}\n").as_bytes()).await?;
    stream.shutdown().await
}

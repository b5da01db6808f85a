//! One handshake, and the first bytes after it.

use super::connector::Connector;
use crate::address::Address;
use crate::ca::SERVER_NAME;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// A handshake that takes longer has failed; nothing on loopback should come near.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is said over a new connection.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Whom the server's certificate must name.
    pub(crate) name: ServerName<'static>,
    /// What the client sends.
    pub(crate) send: Vec<u8>,
    /// The byte that the answer must begin with, unless any will do.
    pub(crate) expect: Option<u8>,
}

impl Default for Exchange {
    /// With a server of this program: a byte that comes back.
    fn default() -> Self {
        let name = ServerName::try_from(SERVER_NAME).expect("the name is constant");
        Self { name, send: b"?".to_vec(), expect: Some(b'?') }
    }
}

impl Exchange {
    /// Connects and waits for the first byte. A handshake counts only then: in TLS 1.3 a client believes
    /// itself connected before the server has looked at its certificate. Tells whether the handshake resumed
    /// a session.
    pub(super) async fn run(
        &self,
        connector: &Connector,
        identity: usize,
        target: &Address,
    ) -> io::Result<bool> {
        let attempt = self.connect(connector, identity, target);
        match tokio::time::timeout(PATIENCE, attempt).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::other(format!("no answer within {PATIENCE:?}"))),
        }
    }

    async fn connect(&self, connector: &Connector, identity: usize, target: &Address) -> io::Result<bool> {
        match target {
            Address::Tcp(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                // Closes by a reset: thousands of handshakes a second would use up the ports if each stayed
                // in TIME_WAIT.
                tcp.set_zero_linger()?;
                self.exchange(connector, identity, tcp).await
            }
            Address::Unix(path) => self.exchange(connector, identity, UnixStream::connect(path).await?).await,
        }
    }

    async fn exchange<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        connector: &Connector,
        identity: usize,
        io: IO,
    ) -> io::Result<bool> {
        let mut tls = connector.connect(identity, self.name.clone(), io).await?;
        tls.write_all(&self.send).await?;
        tls.flush().await?;
        let answer = tls.read_u8().await?;
        match self.expect {
            Some(expected) if expected != answer => {
                Err(io::Error::other(format!("the server sent back {answer:#x}")))
            }
            _ => Ok(tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)),
        }
    }
}

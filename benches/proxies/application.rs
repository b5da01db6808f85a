//! The application behind the proxies, and what its clients say to it.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

/// A byte, which comes back.
pub(crate) const PING: u8 = b'p';
/// And a length of 8 bytes: so many bytes follow, and a [`PING`] comes back.
pub(crate) const UPLOAD: u8 = b'u';
/// And a length of 8 bytes: so many bytes come back.
pub(crate) const DOWNLOAD: u8 = b'd';

/// Bytes that are written or read at a time.
pub(crate) const CHUNK: usize = 256 * 1024;

pub(crate) struct Application {
    pub(crate) address: SocketAddr,
}

impl Application {
    /// Starts it on the current thread, for as long as that has a runtime.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Clients and proxies that go away show in what is measured.
                spawn_local(async move { drop(serve(stream).await) });
            }
        });
        Ok(Self { address })
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        match stream.read_u8().await? {
            UPLOAD => {
                let mut left = stream.read_u64().await?;
                let mut chunk = vec![0; CHUNK];
                while left > 0 {
                    let n = stream.read(&mut chunk).await?;
                    if n == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    left = left.saturating_sub(n as u64);
                }
                stream.write_u8(PING).await?;
            }
            DOWNLOAD => {
                let mut left = stream.read_u64().await?;
                let chunk = vec![7; CHUNK];
                while left > 0 {
                    let n = left.min(CHUNK as u64);
                    stream.write_all(&chunk[..n as usize]).await?;
                    left -= n;
                }
            }
            other => stream.write_u8(other).await?,
        }
    }
}

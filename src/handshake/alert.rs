//! The alert of a handshake that has failed: tokio-rustls tries to write it once.

use super::asked::{Asked, Counts};
use super::race::race;
use super::session::Session;
use super::supervise::supervise;
use crate::provider::answer::is_on_engine;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// How long a handshake that has failed waits for its socket to take the alert.
const LIMIT: Duration = Duration::from_secs(1);

/// Runs `handshake` on an engine; `judge` counts what it did not ask for. If it fails, the peer is told
/// why. If that cannot be written soon, the error still is what matters.
pub(super) async fn complete<S, IO, T, F>(
    session: S,
    handshake: Pin<Box<F>>,
    judge: fn(&Counts, &Asked, &T),
) -> io::Result<T>
where
    S: Session,
    IO: AsyncWrite + Unpin + Send + 'static,
    T: Send,
    F: Future<Output = Result<Box<T>, Box<Failed<IO>>>> + Send + 'static,
{
    let attempt = async {
        let Failed { error, mut io, unsent } = match session.run(handshake).await? {
            Ok(stream) => {
                // A future's own handshake inside of another one has asked as that.
                if !is_on_engine() {
                    judge(&session.gate().unaccelerated, session.asked(), &stream);
                }
                return Ok(stream);
            }
            Err(failed) => *failed,
        };
        if error.kind() == io::ErrorKind::InvalidData {
            let tell = async {
                io.write_all(&unsent).await?;
                io.flush().await
            };
            let give_up = async {
                session.pause(LIMIT).await;
                Ok(())
            };
            // In a box: few handshakes need it, and whoever spawns a handshake moves all of its future.
            let _told = Box::pin(race(tell, give_up)).await;
        }
        Err(error)
    };
    supervise(&session, attempt).await.map(|stream| *stream)
}

/// A handshake that has failed.
pub(super) struct Failed<IO> {
    error: io::Error,
    io: IO,
    /// The end of what was to be written.
    unsent: Vec<u8>,
}

/// A socket that knows what of the last write it has not taken.
pub(super) struct Watched<IO> {
    io: IO,
    unsent: Vec<u8>,
}

impl<IO> Watched<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, unsent: Vec::new() }
    }

    pub(super) fn into_inner(self) -> IO {
        self.io
    }

    pub(super) fn failed(self, error: io::Error) -> Box<Failed<IO>> {
        Box::new(Failed { error, io: self.io, unsent: self.unsent })
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        let mut taken = if let Poll::Ready(Ok(taken)) = poll { taken } else { 0 };
        self.unsent.clear();
        for buf in bufs {
            let of_this = taken.min(buf.len());
            self.unsent.extend_from_slice(&buf[of_this..]);
            taken -= of_this;
        }
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

//! The sockets that connections are made of.

use crate::config::ListenerConfig;
use crate::pending::Slot;
use crate::pool::{Bytes, SIZE};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A plain connection.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plain {
    /// Makes closing this end look like a failure until [`Self::end_on_close`]. Unix sockets know no reset.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            reset_on_close(stream);
        }
    }

    /// Both directions have ended: closing leaves what is on its way to arrive.
    pub(crate) fn end_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // Where that fails, the connection has been reset by the other end.
            let _ = SockRef::from(stream).set_linger(None);
        }
    }
}

/// Sets what every TCP connection of a listener has.
///
/// # Errors
/// The connection has gone.
pub(crate) fn prepare(stream: &TcpStream, config: &ListenerConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = config.tcp_keepalive;
    let Some(time) = keepalive.keepalive_time.0.limit() else { return Ok(()) };
    let keepalive = TcpKeepalive::new()
        .with_time(time)
        .with_interval(keepalive.keepalive_interval.0.0)
        .with_retries(keepalive.keepalive_probes);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Makes closing look like a failure, a reset, not like the end of the data.
///
/// It is set as soon as there is a socket: a connection that is cut may be dropped at any point, and runs no
/// code then.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // What cannot be reset is closed in the ordinary way, which is all that is left to do.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets hold nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Reads ahead: rustls asks for a few KiB at a time, which would be many system calls for each record.
#[derive(Debug)]
pub(crate) struct ReadAhead<T> {
    inner: T,
    ahead: Bytes,
    /// Told when the first bytes come.
    listens: Option<Weak<Slot>>,
}

impl<T> ReadAhead<T> {
    pub(crate) fn new(inner: T, listens: Option<Weak<Slot>>) -> Self {
        Self { inner, ahead: Bytes::default(), listens }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAhead<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, ahead, listens } = self.get_mut();
        if ahead.filled().is_empty() {
            if buf.remaining() >= SIZE {
                return Pin::new(inner).poll_read(cx, buf);
            }
            let mut room = ReadBuf::new(ahead.room());
            let poll = Pin::new(inner).poll_read(cx, &mut room);
            let n = room.filled().len();
            ahead.add(n);
            if !poll.is_ready() {
                ahead.release();
            }
            ready!(poll)?;
            if n > 0
                && let Some(place) = listens.take().and_then(|place| place.upgrade())
            {
                place.speaks();
            }
        }
        let n = ahead.filled().len().min(buf.remaining());
        buf.put_slice(&ahead.filled()[..n]);
        ahead.take(n);
        ahead.release();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAhead<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

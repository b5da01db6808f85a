//! Drives one handshake: the socket on the caller's task, rustls on the engine's fibers.

use super::HandshakeError;
use super::gate::Tally;
use super::session::Session;
use super::work::{Finished, Work};
use rustls::Connection;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a handshake that has failed waits for its socket to take the alert.
const ALERT_LIMIT: Duration = Duration::from_secs(1);

/// Runs a handshake under the engine's rules: in-flight limit, timeout, end of the engine, statistics.
///
/// It takes what makes the handshake's future, not the future: that one is large, and a future is kept once more in every
/// function that it is passed through.
pub(super) async fn supervise<S: Session, T, F>(session: &S, handshake: impl FnOnce() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let gate = session.gate();
    let tally = Tally::new(gate);
    let result = {
        let mut closed = pin!(gate.closed());
        let mut timeout = pin!(session.timeout());
        let mut admitted = pin!(async {
            let _inside = gate.enter().await?;
            handshake().await
        });
        poll_fn(|cx| {
            if let Poll::Ready(result) = admitted.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(HandshakeError::ShutDown.into()));
            }
            timeout.as_mut().poll(cx).map(|()| Err(HandshakeError::TimedOut.into()))
        })
        .await
    };
    tally.record(&result);
    result
}

/// Exchanges flights until `connection` has finished its handshake and everything it had to say is written.
///
/// Nothing is read beyond that; what the last read brought beyond the handshake stays in the connection.
pub(super) async fn complete<S, IO>(
    session: &S,
    mut connection: Box<Connection>,
    io: &mut IO,
) -> io::Result<Box<Connection>>
where
    S: Session,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        poll_fn(|cx| poll_write_all(&mut connection, io, cx)).await?;
        if !connection.is_handshaking() {
            return Ok(connection);
        }
        if poll_fn(|cx| poll_read(&mut connection, io, cx)).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        }
        let Finished { connection: Some(processed), error } = session.run(Work::Process(connection)).await?
        else {
            unreachable!("processing gives the connection back");
        };
        connection = processed;
        if let Some(error) = error {
            // In a box: few handshakes need it, and whoever spawns a handshake moves all of its future.
            Box::pin(write_alert(session, &mut connection, io)).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// Tells the peer why the handshake fails. If that cannot be written soon, the error still is what matters.
async fn write_alert<S, IO>(session: &S, connection: &mut Connection, io: &mut IO)
where
    S: Session,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut limit = pin!(session.pause(ALERT_LIMIT));
    poll_fn(|cx| {
        let is_over = poll_write_all(connection, io, cx).is_ready() || limit.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// One read from the socket.
fn poll_read<IO>(connection: &mut Connection, io: &mut IO, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
where
    IO: AsyncRead + Unpin,
{
    to_poll(connection.read_tls(&mut Adapter { io, cx }))
}

/// Writes and flushes all that the connection has to send.
fn poll_write_all<IO>(connection: &mut Connection, io: &mut IO, cx: &mut Context<'_>) -> Poll<io::Result<()>>
where
    IO: AsyncWrite + Unpin,
{
    while connection.wants_write() {
        match to_poll(connection.write_tls(&mut Adapter { io, cx })) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Pin::new(io).poll_flush(cx)
}

fn to_poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

fn from_poll<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// An asynchronous socket as rustls wants to see it: pending is `WouldBlock`.
struct Adapter<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
}

impl<IO: AsyncRead + Unpin> Read for Adapter<'_, '_, IO> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let poll = Pin::new(&mut *self.io).poll_read(self.cx, &mut buf);
        from_poll(poll).map(|()| buf.filled().len())
    }
}

impl<IO: AsyncWrite + Unpin> Write for Adapter<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        from_poll(Pin::new(&mut *self.io).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        from_poll(Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        from_poll(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}

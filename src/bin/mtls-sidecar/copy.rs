//! Carries bytes in both directions until both have ended.
//!
//! Each direction reads until its buffer is full or nothing more has come, writes, and only then reads again:
//! what is not written is not read, so that a slow receiver slows its sender and nobody else. One end's close
//! is passed on to the other when everything before it has been: a TLS close_notify becomes a FIN, and the
//! reverse.
//!
//! Bytes pass through memory: one end is always TLS, so `splice` has nothing to offer here.

use crate::pool::Bytes;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// The most bytes that a connection carries before the thread's others have their turn.
const TURN: usize = 1 << 20;

/// Why copying ended before both directions had.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// An end failed.
    Failed(End, io::Error),
    /// Nothing came for too long.
    Idle,
}

/// One of the two ends, in the order of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

/// Is told how much went where, as it goes.
pub(crate) trait Meter {
    /// `bytes` have come from that end.
    fn count(&self, from: End, bytes: usize);
}

/// Copies between `left` and `right`. If `takes_unclean_end`, an end without TLS's close_notify is an end
/// like any other.
///
/// # Errors
/// The first failure of either end, and the idle timeout.
pub(crate) async fn copy<L, R>(
    left: &mut L,
    right: &mut R,
    idle: Option<Duration>,
    takes_unclean_end: bool,
    meter: &impl Meter,
) -> Result<(), Interrupted>
where
    L: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + AsyncWrite + Unpin,
{
    let active = Cell::new(Instant::now());
    let (mut there, mut back) = (Flow { takes_unclean_end, ..Flow::default() }, Flow::default());
    let both = poll_fn(|cx| {
        let count = |from| {
            let active = &active;
            move |bytes| {
                active.set(Instant::now());
                meter.count(from, bytes);
            }
        };
        let there = there.poll(cx, left, right, (End::Left, End::Right), count(End::Left))?;
        let back = back.poll(cx, right, left, (End::Right, End::Left), count(End::Right))?;
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    });
    let silence = async {
        let Some(idle) = idle else { return std::future::pending().await };
        loop {
            let end = active.get() + idle;
            sleep_until(end).await;
            if active.get() + idle <= Instant::now() {
                return;
            }
        }
    };
    let (mut both, mut silence) = (pin!(both), pin!(silence));
    poll_fn(|cx| {
        if let Poll::Ready(result) = both.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        silence.as_mut().poll(cx).map(|()| Err(Interrupted::Idle))
    })
    .await
}

/// What is carried in one direction.
#[derive(Debug, Default)]
struct Flow {
    bytes: Bytes,
    has_ended: bool,
    /// Why the source failed, while what came before has not been written.
    failure: Option<io::Error>,
    must_flush: bool,
    is_done: bool,
    takes_unclean_end: bool,
}

impl Flow {
    fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        (source, sink): (End, End),
        count: impl Fn(usize),
    ) -> Poll<Result<(), Interrupted>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        let failed = |end| move |e| Interrupted::Failed(end, e);
        let mut moved = 0;
        while !self.is_done {
            let before = self.bytes.filled().len();
            let is_drained = self.fill(cx, from).map_err(failed(source))?.is_pending();
            let arrived = self.bytes.filled().len() - before;
            if arrived > 0 {
                count(arrived);
                moved += arrived;
            }
            if !self.bytes.filled().is_empty() {
                let n =
                    ready!(Pin::new(&mut *to).poll_write(cx, self.bytes.filled())).map_err(failed(sink))?;
                if n == 0 {
                    return Poll::Ready(Err(failed(sink)(io::ErrorKind::WriteZero.into())));
                }
                self.bytes.take(n);
                self.must_flush = true;
            } else {
                self.bytes.release();
                ready!(self.finish(cx, to)).map_err(failed(sink))?;
                if is_drained && !self.is_done {
                    return Poll::Pending;
                }
            }
            if moved >= TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is there. Pending: nothing more is there now; ready: the buffer is full, or the source has
    /// ended.
    fn fill<F: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, from: &mut F) -> Poll<io::Result<()>> {
        while !self.has_ended && self.failure.is_none() && !self.bytes.is_full() {
            let mut room = ReadBuf::new(self.bytes.room());
            let result = ready!(Pin::new(&mut *from).poll_read(cx, &mut room));
            let n = room.filled().len();
            self.bytes.add(n);
            self.has_ended = n == 0;
            let is_taken = |e: &io::Error| self.takes_unclean_end && e.kind() == io::ErrorKind::UnexpectedEof;
            self.failure = result.err().filter(|e| !is_taken(e));
        }
        match self.failure.take_if(|_| self.bytes.filled().is_empty()) {
            Some(e) => Poll::Ready(Err(e)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Everything is written: pushes it out, and passes the end on.
    fn finish<T: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut T) -> Poll<io::Result<()>> {
        if self.must_flush {
            ready!(Pin::new(&mut *to).poll_flush(cx))?;
            self.must_flush = false;
        }
        if self.has_ended {
            ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
            self.is_done = true;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;

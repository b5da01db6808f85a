//! A network that does what TCP allows, and worse: a relay between two sockets.
//!
//! TCP keeps order, so that pieces of a stream cannot be exchanged: what an order that was lost looks like
//! to TLS is bytes that are others than were sent, which is [`Fault::Corrupt`]. What may happen to a stream
//! unharmed is that it comes in other pieces and at other times than it was sent.

use crate::support::sockets;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

/// What happens to one direction of a connection. Positions are bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Everything comes that much later.
    Delay(Duration),
    /// Everything comes in pieces of that many bytes, each in a packet of its own.
    Split(usize),
    /// What is sent within that time comes at once.
    Coalesce(Duration),
    /// One byte, and that much time, after the other.
    Drip(Duration),
    /// The byte there has other bits.
    Corrupt(usize),
    /// From there on nothing comes any more, though the connection lives.
    Stall(usize),
    /// The sender says there that it has nothing more to say; the other direction lives.
    HalfClose(usize),
    /// The connection is reset there, for both sides.
    Reset(usize),
}

/// The ends of a connection through a relay, the server's first, and the relay.
pub(crate) async fn relayed(to_server: Fault, to_client: Fault) -> (TcpStream, TcpStream, JoinHandle<()>) {
    let (near_server, server) = sockets().await;
    let (near_client, client) = sockets().await;
    for socket in [&near_server, &near_client] {
        socket.set_nodelay(true).unwrap();
    }
    let relay = tokio::task::spawn_local(async move {
        let (from_server, into_server) = near_server.into_split();
        let (from_client, into_client) = near_client.into_split();
        let (mut up, mut down) = (
            Box::pin(carry(from_client, into_server, to_server)),
            Box::pin(carry(from_server, into_client, to_client)),
        );
        // A reset ends both directions, everything else one.
        tokio::select! {
            end = &mut up => if !end.is_reset { down.await; },
            end = &mut down => if !end.is_reset { up.await; },
        }
    });
    (server, client, relay)
}

/// How a direction ended. The halves are kept until the other one has ended.
struct End {
    is_reset: bool,
    _halves: (OwnedReadHalf, OwnedWriteHalf),
}

async fn carry(mut from: OwnedReadHalf, mut into: OwnedWriteHalf, fault: Fault) -> End {
    let (mut position, mut buffer) = (0, vec![0; 1 << 16]);
    let mut is_reset = false;
    while let Some(len) = receive(&mut from, &mut buffer, fault).await {
        let bytes = &mut buffer[..len];
        let until = |end: usize| end.saturating_sub(position).min(len);
        let keeps_on = match fault {
            Fault::Corrupt(at) if (position..position + len).contains(&at) => {
                bytes[at - position] ^= 0x55;
                into.write_all(bytes).await.is_ok()
            }
            Fault::Stall(end) => into.write_all(&bytes[..until(end)]).await.is_ok(),
            Fault::HalfClose(end) | Fault::Reset(end) if position + len >= end => {
                let _written = into.write_all(&bytes[..until(end)]).await;
                is_reset = matches!(fault, Fault::Reset(_));
                false
            }
            Fault::Split(size) => in_pieces(&mut into, bytes, size, Duration::ZERO).await,
            Fault::Drip(pause) => in_pieces(&mut into, bytes, 1, pause).await,
            _ => into.write_all(bytes).await.is_ok(),
        };
        if !keeps_on {
            break;
        }
        position += len;
    }
    if is_reset {
        // What was sent before is to arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
        for socket in [from.as_ref(), into.as_ref()] {
            socket.set_zero_linger().unwrap();
        }
    } else {
        // Whoever has gone need not hear it.
        let _told = into.shutdown().await;
    }
    End { is_reset, _halves: (from, into) }
}

/// The next bytes; `None` at the end.
async fn receive(from: &mut OwnedReadHalf, buffer: &mut [u8], fault: Fault) -> Option<usize> {
    let mut len = from.read(buffer).await.ok().filter(|len| *len > 0)?;
    match fault {
        Fault::Delay(time) => tokio::time::sleep(time).await,
        Fault::Coalesce(time) => {
            let more = async {
                while let Ok(more @ 1..) = from.read(&mut buffer[len..]).await {
                    len += more;
                }
            };
            let _out_of_time = tokio::time::timeout(time, more).await;
        }
        _ => {}
    }
    Some(len)
}

async fn in_pieces(into: &mut OwnedWriteHalf, bytes: &[u8], size: usize, pause: Duration) -> bool {
    for piece in bytes.chunks(size) {
        if into.write_all(piece).await.is_err() {
            return false;
        }
        // The receiver may look before the next one comes.
        match pause {
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
    true
}

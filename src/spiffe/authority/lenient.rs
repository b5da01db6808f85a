//! Connections from gRPC's C core, which py-spiffe and others are made of.
//!
//! Since version 1.57 it calls a server on a Unix socket by the percent-encoded path of the socket, in the
//! pseudo-header `:authority` (grpc/grpc#38142). RFC 9113 §8.3.1 does not allow that, and the HTTP/2
//! implementation below tonic resets such requests. So percent signs in an authority are replaced by hyphens
//! on their way in. As many bytes stay as there were, so that frames and HPACK's dynamic tables keep their
//! sizes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// How the C core begins the field: a literal that is to be indexed, with a literal name (RFC 7541 §6.2.1).
/// The value's length follows.
const FIELD: &[u8] = b"\x40\x0a:authority";

/// Set in the first byte of a length if the value is Huffman-coded (RFC 7541 §5.2). The C core does not do
/// that.
const HUFFMAN: u8 = 0x80;

/// A length that does not fit into the seven bits of its first byte goes on in others (RFC 7541 §5.1).
const LONG: u8 = 0x7f;

/// Where in the bytes we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scanner {
    /// This many bytes of [`FIELD`] have been seen.
    Field(usize),
    /// The value's length begins.
    Length,
    /// The value's length goes on: what it is so far, and by how much the next seven bits are shifted.
    LongLength(usize, u32),
    /// This many bytes of the value remain.
    Value(usize),
}

impl Scanner {
    /// Goes over one byte, and tells what it is to be.
    fn step(&mut self, byte: u8) -> u8 {
        *self = match *self {
            Self::Field(seen) if byte == FIELD[seen] && seen + 1 == FIELD.len() => Self::Length,
            Self::Field(seen) if byte == FIELD[seen] => Self::Field(seen + 1),
            // Its first byte stands nowhere else in it, so that this byte is at best the first.
            Self::Field(_) => Self::Field(usize::from(byte == FIELD[0])),
            Self::Length if byte & HUFFMAN != 0 => Self::Field(0),
            Self::Length if byte == LONG => Self::LongLength(usize::from(LONG), 0),
            Self::Length => Self::value(usize::from(byte)),
            // Longer than any path.
            Self::LongLength(_, 14..) => Self::Field(0),
            Self::LongLength(length, shift) => {
                let length = length + (usize::from(byte & LONG) << shift);
                match byte & !LONG {
                    0 => Self::value(length),
                    _ => Self::LongLength(length, shift + 7),
                }
            }
            Self::Value(remaining) => {
                *self = Self::value(remaining - 1);
                return if byte == b'%' { b'-' } else { byte };
            }
        };
        byte
    }

    fn value(remaining: usize) -> Self {
        if remaining == 0 { Self::Field(0) } else { Self::Value(remaining) }
    }
}

/// A connection whose authorities are made valid.
pub(super) struct Lenient {
    stream: UnixStream,
    scanner: Scanner,
}

impl Lenient {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, scanner: Scanner::Field(0) }
    }
}

impl AsyncRead for Lenient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let old = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        for byte in &mut buf.filled_mut()[old..] {
            *byte = self.scanner.step(*byte);
        }
        result
    }
}

impl AsyncWrite for Lenient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Lenient {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(bytes: &[u8]) -> Vec<u8> {
        let mut scanner = Scanner::Field(0);
        bytes.iter().map(|byte| scanner.step(*byte)).collect()
    }

    /// A field with this value, and something before and after it.
    fn request(length: &[u8], value: &str) -> Vec<u8> {
        [b"%@@\x0a:authorit@", FIELD, length, value.as_bytes(), b"\x83%"].concat()
    }

    #[test]
    fn percent_signs_in_authorities_become_hyphens() {
        let before = request(b"\x0d", "%2Ftmp%2Fsock");
        let after = request(b"\x0d", "-2Ftmp-2Fsock");
        assert_eq!(scanned(&before), after);
        // A second request on the same connection.
        assert_eq!(scanned(&[before.clone(), before].concat()), [after.clone(), after].concat());
    }

    #[test]
    fn long_paths_are_read_to_their_end() {
        let value = "%2F".repeat(100);
        let length = [0x7f, 0x80 | (300 - 127 - 128) as u8, 1];
        assert_eq!(scanned(&request(&length, &value)), request(&length, &value.replace('%', "-")));
    }

    #[test]
    fn nothing_else_changes() {
        let others =
            [&b"%2F"[..], b"\x40\x0a:authority\x83%%%", b"\x40\x0a:authority\x00%", b"\x40\x05:path\x03%2F"];
        for bytes in others {
            assert_eq!(scanned(bytes), bytes);
        }
        let endless = [FIELD, &[0x7f, 0xff, 0xff, 0xff, 0xff], b"%"].concat();
        assert_eq!(scanned(&endless), endless);
    }
}

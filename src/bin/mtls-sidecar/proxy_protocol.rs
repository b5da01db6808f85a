//! The PROXY protocol, version 2: who the client was, in front of what it sends.

use proxy_header::{Error, ParseConfig, ProxiedAddress, ProxyHeader};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The signature, version, family, and length.
const FIXED: usize = 16;

/// The longest header that is taken: addresses, and extensions that are not looked at.
const LONGEST: usize = 4096;

/// Reads a header, and nothing behind it. `None`: whoever is connected speaks for itself, as health checks
/// do.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for anything else than a header.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<ProxiedAddress>> {
    let mut header = vec![0; FIXED];
    stream.read_exact(&mut header).await?;
    let length = FIXED + usize::from(u16::from_be_bytes([header[14], header[15]]));
    // What cannot be a header is refused before it is waited for.
    let config = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };
    let is_possible = !matches!(ProxyHeader::parse(&header, config), Err(Error::Invalid));
    if !is_possible || length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a PROXY protocol header"));
    }
    header.resize(length, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "invalid PROXY protocol header");
    let (header, _) = ProxyHeader::parse(&header, config).map_err(invalid)?;
    Ok(header.proxied_address().cloned())
}

/// Writes a header that says that `client` had connected to `destination`.
///
/// # Errors
/// The stream's.
pub(crate) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    client: SocketAddr,
    destination: SocketAddr,
) -> io::Result<()> {
    // Both addresses of a header are of one family.
    let (client, destination) = match (client, destination) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => (client, destination),
        _ => (to_v6(client), to_v6(destination)),
    };
    let mut bytes = Vec::with_capacity(64);
    let header = ProxyHeader::with_address(ProxiedAddress::stream(client, destination));
    header.encode_v2(&mut bytes).map_err(|e| io::Error::other(format!("{e:?}")))?;
    stream.write_all(&bytes).await
}

fn to_v6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_from(bytes: &[u8]) -> (io::Result<Option<ProxiedAddress>>, Vec<u8>) {
        let mut rest = bytes;
        (read(&mut rest).await, rest.to_vec())
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_nothing_behind_it() {
        for (client, destination) in [
            ("192.0.2.1:1234", "192.0.2.2:443"),
            ("[2001:db8::1]:1", "[2001:db8::2]:2"),
            ("192.0.2.1:9", "[::1]:2"),
        ] {
            let (client, destination) = (client.parse().unwrap(), destination.parse().unwrap());
            let mut bytes = Vec::new();
            write(&mut bytes, client, destination).await.unwrap();
            bytes.extend(b"rest");
            let (header, rest) = read_from(&bytes).await;
            let header = header.unwrap().unwrap();
            assert_eq!(header.source.ip().to_canonical(), client.ip());
            assert_eq!(header.source.port(), client.port());
            assert_eq!(rest, b"rest");
        }
    }

    #[tokio::test]
    async fn a_local_header_says_nothing_about_a_client() {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec();
        bytes.extend(b"rest");
        let (header, rest) = read_from(&bytes).await;
        assert_eq!((header.unwrap(), &rest[..]), (None, &b"rest"[..]));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x01\x00",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0",
        ] {
            assert_eq!(read_from(bytes).await.0.unwrap_err().kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        assert_eq!(read_from(b"\r\n\r\n").await.0.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

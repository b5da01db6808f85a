//! A pair of sidecars, application to application, while their identities rotate, while nobody is there to
//! rotate them, and while processes follow each other. The full sizes take minutes, and are run by
//!
//! ```text
//! cargo test --release --all-features --test sidecar -- --ignored --test-threads 1 endurance
//! ```

use crate::mesh::{Mesh, Source};
use crate::process::Sidecar;
use crate::support::{application, echo, run_for};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, block_in_place};

/// What is carried, and what happens meanwhile.
#[derive(Clone, Copy)]
struct Size {
    short: usize,
    long: usize,
    long_bytes: usize,
    rotations: usize,
}

const SMALL: Size = Size { short: 300, long: 4, long_bytes: 5_000_000, rotations: 5 };
const FULL: Size = Size { short: 10_000, long: 100, long_bytes: 100_000_000, rotations: 100 };

/// Short connections at a time.
const CLIENTS: usize = 16;

/// What long connections carry, over and over; its length divides no record or buffer.
fn pattern() -> Vec<u8> {
    (0..100_003u32).map(|i| (i % 251) as u8).collect()
}

/// Echoes short connections. Long ones begin with an L: all they send must be the pattern, and how much it
/// was is the answer.
async fn serve(mut stream: TcpStream) {
    let mut first = [0];
    if stream.read_exact(&mut first).await.is_err() {
        return;
    }
    if first[0] != b'L' {
        return echo(stream).await;
    }
    let (pattern, mut total) = (pattern(), 0);
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = stream.read(&mut chunk).await.expect("a long connection is not cut");
        if n == 0 {
            break;
        }
        for byte in &chunk[..n] {
            assert_eq!(*byte, pattern[total % pattern.len()], "byte {total}");
            total += 1;
        }
    }
    stream.write_u64(total as u64).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn long_connection(address: SocketAddr, bytes: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"L").await.unwrap();
    let (pattern, mut left) = (pattern(), bytes);
    while left > 0 {
        let n = left.min(pattern.len());
        stream.write_all(&pattern[..n]).await.unwrap();
        left -= n;
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_u64().await.unwrap(), bytes as u64);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "and the end");
}

async fn short_connection(address: SocketAddr, i: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("s{i}");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, text[1..]);
}

/// Makes at least `size.short` connections, and goes on until `is_over`; how many there were.
async fn short_connections(address: SocketAddr, size: Size, is_over: Arc<AtomicBool>) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (count, is_over) = (count.clone(), is_over.clone());
        clients.spawn(async move {
            loop {
                let i = count.fetch_add(1, Relaxed);
                if i >= size.short && is_over.load(Relaxed) {
                    count.fetch_sub(1, Relaxed);
                    return;
                }
                short_connection(address, i).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no short connection fails");
    }
    count.load(Relaxed)
}

/// Carries everything, while `meanwhile` runs; how many connections there were.
async fn carry(address: SocketAddr, size: Size, meanwhile: impl Future<Output = ()>) -> usize {
    let began = Instant::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let short = tokio::spawn(short_connections(address, size, is_over.clone()));
    let mut long = JoinSet::new();
    for _ in 0..size.long {
        long.spawn(long_connection(address, size.long_bytes));
    }
    meanwhile.await;
    while let Some(connection) = long.join_next().await {
        connection.expect("no long connection fails");
    }
    is_over.store(true, Relaxed);
    let short = short.await.unwrap();
    println!("{short} short and {} long connections in {:.1} s", size.long, began.elapsed().as_secs_f64());
    short + size.long
}

/// Every connection ended well, on both sides.
fn check(sidecars: [&Sidecar; 2], connections: usize) {
    for sidecar in sidecars {
        let wanted = connections as f64;
        sidecar.until_metric("mtls_sidecar_connections_ended_total", &["closed"], wanted);
        for name in ["connections_ended_total", "connections_total", "handshakes_total"] {
            assert_eq!(sidecar.metric(&format!("mtls_sidecar_{name}"), &[]), wanted, "{name}");
        }
        for name in ["handshake_failures_total", "overflows_total", "accept_errors_total"] {
            assert_eq!(sidecar.metric(&format!("mtls_sidecar_{name}"), &[]), 0.0, "{name}");
        }
    }
}

/// The server's identity comes from files and the client's from SDS, or the reverse; both rotate.
fn rotating(size: Size, [server, client]: [Source; 2]) {
    run_for(Duration::from_secs(1800), async {
        let mesh = Mesh::start().await;
        let peers = "peers: {trust_domains: [mesh.example]}";
        let inbound = mesh.inbound(server, application(serve).await, peers);
        let outbound = mesh.outbound(client, inbound.address("in"), peers);
        let meanwhile = async {
            for rotation in 1..=size.rotations {
                for (name, source) in [("server", server), ("client", client)] {
                    mesh.rotate(name);
                    if source == Source::Files {
                        mesh.write_files(name);
                    }
                }
                block_in_place(|| {
                    let generation = rotation as f64 + 1.0;
                    for sidecar in [&inbound, &outbound] {
                        sidecar.until_metric("spiffe_generation", &[], generation);
                    }
                });
            }
        };
        let connections = carry(outbound.address("out"), size, meanwhile).await;
        block_in_place(|| {
            check([&inbound, &outbound], connections);
            for sidecar in [&inbound, &outbound] {
                let updates = sidecar.metric("spiffe_updates_total", &[]);
                assert_eq!(sidecar.metric("spiffe_updates_total", &["\"ok\""]), updates, "none is refused");
            }
        });
    });
}

/// The authority is gone before the first connection.
fn without_a_control_plane(size: Size) {
    run_for(Duration::from_secs(1800), async {
        let mesh = Mesh::start().await;
        let peers = "peers: {trust_domains: [mesh.example]}";
        let inbound = mesh.inbound(Source::WorkloadApi, application(serve).await, peers);
        let outbound = mesh.outbound(Source::Sds, inbound.address("in"), peers);
        mesh.stop_serving().await;
        let connections = carry(outbound.address("out"), size, async {}).await;
        block_in_place(|| {
            check([&inbound, &outbound], connections);
            for sidecar in [&inbound, &outbound] {
                assert_eq!(sidecar.metric("spiffe_source_connected", &[]), 0.0);
                assert_eq!(sidecar.metric("spiffe_generation", &[]), 1.0);
            }
        });
    });
}

#[test]
fn a_pair_carries_everything_while_identities_rotate() {
    rotating(SMALL, [Source::Files, Source::Sds]);
}

#[test]
fn a_pair_carries_everything_without_a_control_plane() {
    without_a_control_plane(SMALL);
}

#[test]
#[ignore = "minutes; see the module"]
fn ten_thousand_and_a_hundred_connections_while_identities_rotate() {
    rotating(FULL, [Source::Files, Source::Sds]);
}

#[test]
#[ignore = "minutes; see the module"]
fn the_same_with_the_sources_exchanged() {
    rotating(FULL, [Source::Sds, Source::Files]);
}

#[test]
#[ignore = "minutes; see the module"]
fn ten_thousand_and_a_hundred_connections_without_a_control_plane() {
    without_a_control_plane(FULL);
}

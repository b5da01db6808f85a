//! Bytes, ends, and who is at the other end.

use crate::pki::{Authority, connect};
use crate::process::Home;
use crate::support::{application, echo, echo_application, expect_echo, inbound, outbound, run};
use rustix::process::Signal;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

#[test]
fn a_pair_carries_connections_and_says_so() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let (out, address) = outbound(&inbound.authority, inbound.address, "");
        let mut tasks = Vec::new();
        for i in 0..50 {
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let text = format!("{i} ").repeat(1000 * (i % 7 + 1));
                expect_echo(&mut stream, &text).await;
                // A half-close passes through both sidecars, and comes back.
                stream.write_all(b"the end").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "the end");
                text.len() + rest.len()
            }));
        }
        let mut bytes = 0;
        for task in tasks {
            bytes += task.await.unwrap();
        }
        for (sidecar, listener, peer) in [
            (&inbound.sidecar, "in", "spiffe://mesh.example/client"),
            (&out, "out", "spiffe://mesh.example/server"),
        ] {
            let line = sidecar.until_logged(|line| line["target"] == *"access");
            assert_eq!(line["listener"], listener, "{line}");
            assert_eq!((&line["peer"], &line["result"]), (&peer.into(), &"closed".into()), "{line}");
            sidecar.until_metric("mtls_sidecar_connections_ended_total", &["closed"], 50.0);
            assert_eq!(sidecar.metric("mtls_sidecar_connections_total", &[]), 50.0);
            assert_eq!(sidecar.metric("mtls_sidecar_connections_active", &[]), 0.0);
            assert_eq!(sidecar.metric("mtls_sidecar_connections_pending", &[]), 0.0);
            for name in ["received", "sent"] {
                let name = format!("mtls_sidecar_{name}_bytes_total");
                assert_eq!(sidecar.metric(&name, &[]), bytes as f64, "{name}");
            }
            assert_eq!(sidecar.metric("mtls_sidecar_handshake_seconds_count", &[]), 50.0);
            assert_eq!(sidecar.metric("mtls_sidecar_engine_handshakes_total", &["succeeded"]), 50.0);
        }
    });
}

/// Whoever drains then waits for what has connected, whichever worker it came to.
#[test]
fn handshakes_have_threads_of_their_own_if_told_so() {
    run(async {
        let rest = "concurrency: 2\ntls_acceleration: {handshake_threads: 2, latency_budget: 2ms}";
        let inbound = inbound(echo_application().await, "", rest);
        let home = Home::with_identity(&inbound.authority, &inbound.authority.issue("client"));
        home.configure(&format!(
            "listeners:
- {{name: out, direction: outbound, address: '127.0.0.1:0', target: '{}', identity: default,
   peers: {{ids: ['spiffe://mesh.example/server']}}, server_name: server.test}}
{rest}",
            inbound.address
        ));
        let out = home.start();
        let address = out.address("out");
        let mut open = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            expect_echo(&mut stream, "hello").await;
            open.push(stream);
        }
        for sidecar in [&inbound.sidecar, &out] {
            let id = sidecar.id();
            let tasks =
                std::fs::read_dir(format!("/proc/{id}/task")).unwrap().map(|task| task.unwrap().path());
            let names = tasks.map(|task| std::fs::read_to_string(task.join("comm")).unwrap_or_default());
            assert_eq!(names.filter(|name| name.starts_with("tls-batch-")).count(), 2);
            // Of one engine, however many workers there are.
            sidecar.until_metric("mtls_sidecar_engine_handshakes_total", &["succeeded"], 20.0);
            sidecar.signal(Signal::TERM);
        }
        for stream in &mut open {
            expect_echo(stream, "still there").await;
        }
        drop(open);
        assert!(out.wait().success() && inbound.sidecar.wait().success());
    });
}

#[test]
fn large_transfers_arrive_whole_in_both_directions() {
    const SIZE: usize = 20_000_000;
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let (_out, address) = outbound(&inbound.authority, inbound.address, "");
        let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
        let send = tokio::spawn(async move {
            let chunk: Vec<u8> = (0..100_003u32).map(|i| (i % 251) as u8).collect();
            let mut sent = 0;
            while sent < SIZE {
                write.write_all(&chunk).await.unwrap();
                sent += chunk.len();
            }
            write.shutdown().await.unwrap();
            sent
        });
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), send.await.unwrap());
        assert!(received.iter().enumerate().all(|(i, byte)| usize::from(*byte) == i % 100_003 % 251));
    });
}

#[test]
fn a_receiver_that_does_not_read_holds_nobody_else_up() {
    run(async {
        let inbound = inbound(echo_application().await, "", "concurrency: 1");
        let (_out, address) = outbound(&inbound.authority, inbound.address, "");
        let mut stuck = TcpStream::connect(address).await.unwrap();
        let chunk = vec![0; 1 << 16];
        // Everything on the way is full when nothing more is taken for a while.
        while tokio::time::timeout(std::time::Duration::from_millis(300), stuck.write_all(&chunk))
            .await
            .is_ok()
        {}
        for _ in 0..5 {
            expect_echo(&mut TcpStream::connect(address).await.unwrap(), "not held up").await;
        }
        drop(stuck);
    });
}

#[test]
fn stock_servers_and_unix_sockets_are_targets() {
    run(async {
        let authority = Authority::new();
        let acceptor = authority.server(&authority.issue("server"));
        let server = application(move |stream| {
            let acceptor = acceptor.clone();
            async move { echo(acceptor.accept(stream).await.unwrap()).await }
        })
        .await;
        let (_out, address) = outbound(&authority, server, "");
        expect_echo(&mut TcpStream::connect(address).await.unwrap(), "to a stock server").await;

        let home = Home::with_identity(&authority, &authority.issue("server"));
        let path = home.dir.join("app.sock");
        let application = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move { echo(application.accept().await.unwrap().0).await });
        home.configure(&format!(
            "listeners:
- {{name: in, direction: inbound, address: '127.0.0.1:0', target: 'unix:{}', identity: default,
   peers: {{any: true}}}}",
            path.display()
        ));
        let sidecar = home.start();
        let client = authority.client(Some(&authority.issue("client")));
        let mut stream = connect(&client, "server", sidecar.address("in")).await.unwrap();
        expect_echo(&mut stream, "to a Unix socket").await;
    });
}

#[test]
fn openssl_is_a_client() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let dir = &inbound.sidecar.home.dir;
        std::fs::write(dir.join("c.pem"), &inbound.client.chain_pem).unwrap();
        std::fs::write(dir.join("k.pem"), &inbound.client.key_pem).unwrap();
        for version in ["-tls1_3", "-tls1_2"] {
            let mut client = tokio::process::Command::new("openssl")
                .args(["s_client", "-quiet", version, "-servername", "server.test", "-verify_return_error"])
                .args(["-connect", &inbound.address.to_string(), "-CAfile", "bundle.pem"])
                .args(["-cert", "c.pem", "-key", "k.pem"])
                .current_dir(dir)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            client.stdin.as_mut().unwrap().write_all(b"from openssl\n").await.unwrap();
            let mut answer = [0; 13];
            client.stdout.as_mut().unwrap().read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"from openssl\n", "{version}");
            client.kill().await.unwrap();
        }
    });
}

#[test]
fn proxy_headers_pass_the_clients_address_on() {
    run(async {
        // What the application is sent in front of everything else.
        let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = "proxy_protocol: {accept: v2, send: v2}";
        let inbound = inbound(application.local_addr().unwrap(), options, "");
        // Between the sidecars there is no balancer: the first one's header is what the second takes.
        let (out, address) = outbound(&inbound.authority, inbound.address, ", proxy_protocol: {send: v2}");
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut served, _) = application.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut received = [0; 16 + 12 + 5];
        served.read_exact(&mut received).await.unwrap();
        assert!(
            received.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01")
        );
        let port = |at: usize| u16::from_be_bytes([received[at], received[at + 1]]);
        let client_address = client.local_addr().unwrap();
        assert_eq!((port(24), port(26)), (client_address.port(), address.port()));
        assert!(received.ends_with(b"hello"));
        drop((client, served));
        for sidecar in [&inbound.sidecar, &out] {
            let line = sidecar.until_logged(|line| line["message"] == *"connection");
            assert_eq!(line["client"], client_address.to_string(), "{line}");
        }
        // Whoever comes without a header is not let in.
        let stranger = inbound.authority.client(Some(&inbound.client));
        assert!(connect(&stranger, "server", inbound.address).await.is_err());
        inbound.sidecar.until_metric("mtls_sidecar_connections_ended_total", &["proxy_header"], 1.0);
    });
}

#[test]
fn who_is_refused_is_named() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let other = inbound.authority.client(Some(&inbound.authority.issue("other")));
        if let Ok(mut stream) = connect(&other, "server", inbound.address).await {
            assert!(stream.read_u8().await.is_err());
        }
        let line = inbound.sidecar.until_logged(|line| line["target"] == *"access");
        let id = "spiffe://mesh.example/other";
        assert_eq!((&line["peer"], &line["result"]), (&id.into(), &"handshake_failed".into()), "{line}");
        assert_eq!(line["detail"], format!("not_authorized: {id} is not authorized"));
    });
}

#[test]
fn a_health_check_is_no_news_and_has_one_name() {
    run(async {
        let inbound = inbound(echo_application().await, "", "log: {level: debug}");
        let sidecar = &inbound.sidecar;
        drop(TcpStream::connect(inbound.address).await.unwrap());
        for name in ["mtls_sidecar_handshake_failures_total", "spiffe_handshake_failures_total"] {
            sidecar.until_metric(name, &["reason=\"closed\""], 1.0);
            assert_eq!(sidecar.metric(name, &[]), 1.0, "{name} has no other reason");
        }
        let line = sidecar.until_logged(|line| line["target"] == *"access");
        assert_eq!(
            (&line["level"], &line["result"]),
            (&"debug".into(), &"handshake_failed".into()),
            "{line}"
        );
        // Balancers reset the connection.
        let stream = TcpStream::connect(inbound.address).await.unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(stream);
        for name in ["mtls_sidecar_handshake_failures_total", "spiffe_handshake_failures_total"] {
            sidecar.until_metric(name, &[], 2.0);
        }
        // Who says something and goes is not a check.
        let mut stream = TcpStream::connect(inbound.address).await.unwrap();
        stream.write_all(&[22, 3]).await.unwrap();
        let stream_port = stream.local_addr().unwrap().port();
        drop(stream);
        let port = stream_port.to_string();
        let line = sidecar.until_logged(|line| line["target"] == *"access" && line["level"] == *"info");
        assert!(line["client"].as_str().unwrap().ends_with(&port), "{line}");
        // The application's side of an outbound listener, too.
        let (out, address) = outbound(&inbound.authority, inbound.address, "");
        drop(TcpStream::connect(address).await.unwrap());
        out.until_metric("mtls_sidecar_connections_ended_total", &[], 1.0);
        expect_echo(&mut TcpStream::connect(address).await.unwrap(), "news").await;
        let line = out.until_logged(|line| line["target"] == *"access");
        assert_eq!(line["received_bytes"], 4, "the check has no line: {line}");
    });
}

#[test]
fn both_ends_are_asked_whether_they_are_still_there() {
    run(async {
        let target = echo_application().await;
        let inbound = inbound(target, "tcp_keepalive: {keepalive_time: 30, keepalive_interval: 5s}", "");
        expect_echo(&mut inbound.connect().await, "hello").await;
        let never = crate::support::inbound(target, "tcp_keepalive: {keepalive_time: 0s}", "");
        let (mut kept, mut left) = (inbound.connect().await, never.connect().await);
        expect_echo(&mut kept, "kept").await;
        expect_echo(&mut left, "left").await;
        for (sidecar, address, expected) in
            [(&inbound.sidecar, inbound.address, true), (&never.sidecar, never.address, false)]
        {
            let timers = || keepalive_timers(sidecar.id(), address.port(), target.port());
            sidecar.until("nothing is under way", || timers() == [expected; 2]);
        }
    });
}

/// Whether the process's connections from clients and to the target have a keep-alive timer.
fn keepalive_timers(process: i64, port: u16, target: u16) -> Vec<bool> {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let mine: Vec<_> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_str()?.to_owned()))
        .collect();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let hex = |port: u16| format!(":{port:04X}");
    // Established, with the listener's port here or the target's there; the inode is among the process's.
    rows.filter(|row| row.get(3) == Some(&"01") && mine.contains(&format!("socket:[{}]", row[9])))
        .filter(|row| row[1].ends_with(&hex(port)) || row[2].ends_with(&hex(target)))
        .map(|row| row[5].starts_with("02:"))
        .collect()
}

#[test]
fn an_unclean_close_may_be_an_end() {
    run(async {
        let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inbound = inbound(application.local_addr().unwrap(), "unclean_close: end", "");
        let mut client = inbound.connect().await;
        client.write_all(b"all of it").await.unwrap();
        client.flush().await.unwrap();
        let (mut served, _) = application.accept().await.unwrap();
        // No close_notify: the socket closes by itself.
        drop(client.into_inner().0);
        let mut all = String::new();
        served.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "all of it");
        drop(served);
        inbound.sidecar.until_metric("mtls_sidecar_connections_ended_total", &["closed"], 1.0);
    });
}

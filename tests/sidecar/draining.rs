//! SIGTERM, and what is in flight then.

use crate::pki::handshake;
use crate::support::{Inbound, application, echo, echo_application, expect_echo, inbound, outbound, run};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A request to an application that takes its time: it answers when it is told to.
struct SlowRequest {
    inbound: Inbound,
    answer: Arc<Notify>,
    request: JoinHandle<std::io::Result<String>>,
}

async fn slow_request(drain: &str) -> SlowRequest {
    let answer = Arc::new(Notify::new());
    let told = answer.clone();
    let target = application(move |mut stream| {
        let told = told.clone();
        async move {
            let _ = stream.read_u8().await;
            told.notified().await;
            let _ = stream.write_all(b"answer").await;
        }
    })
    .await;
    let inbound = inbound(target, "", &format!("drain: {{{drain}}}"));
    let mut stream = inbound.connect().await;
    let request = tokio::spawn(async move {
        stream.write_all(b"q").await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    });
    inbound.sidecar.until_metric("mtls_sidecar_received_bytes_total", &[], 1.0);
    SlowRequest { inbound, answer, request }
}

#[test]
fn what_takes_longer_than_the_drain_is_cut() {
    run(async {
        let SlowRequest { inbound, request, .. } = slow_request("termination_drain_duration: 500ms").await;
        let began = Instant::now();
        inbound.sidecar.signal(Signal::TERM);
        assert!(inbound.sidecar.wait().success());
        assert!(began.elapsed() >= Duration::from_millis(500));
        request.await.unwrap().expect_err("it was cut");
        inbound.sidecar.until_logged(|line| line["result"] == *"shutdown");
    });
}

#[test]
fn with_a_pre_stop_hook_that_waits_a_long_request_succeeds() {
    run(async {
        let SlowRequest { inbound, answer, request } =
            slow_request("termination_drain_duration: 1000s").await;
        let sidecar = &inbound.sidecar;
        // The hook: no more new connections, and wait for those that are there, but not forever.
        sidecar.http("POST", "/drain_listeners?inboundonly");
        // The workers close their listeners a moment after the answer; then nothing new is accepted.
        while TcpStream::connect(inbound.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(sidecar.metric("mtls_sidecar_connections_active", &[]), 1.0);
        sidecar.signal(Signal::TERM);
        sidecar.until_logged(|line| line["message"] == *"draining");
        answer.notify_one();
        assert_eq!(request.await.unwrap().unwrap(), "answer");
        assert!(sidecar.wait().success());
        sidecar.until_logged(|line| line["sent_bytes"] == 6);
    });
}

#[test]
fn with_exit_on_zero_it_ends_when_the_last_connection_has() {
    run(async {
        let drain = "exit_on_zero_active_connections: true, minimum_drain_duration: 200ms,
                     termination_drain_duration: 300ms";
        let SlowRequest { inbound, answer, request } = slow_request(drain).await;
        inbound.sidecar.signal(Signal::TERM);
        inbound.sidecar.until_logged(|line| line["message"] == *"draining");
        // Longer than the drain duration.
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert!(inbound.sidecar.is_running());
        answer.notify_one();
        assert_eq!(request.await.unwrap().unwrap(), "answer");
        assert!(inbound.sidecar.wait().success());
    });
}

#[test]
fn a_second_decision_ends_at_once() {
    run(async {
        let drain = "drain: {termination_drain_duration: 100s}";
        let inbound = inbound(echo_application().await, "", drain);
        let mut long = inbound.connect().await;
        expect_echo(&mut long, "for long").await;
        assert!(inbound.sidecar.insist(Signal::TERM).success());
        long.read_u8().await.expect_err("it was cut");
    });
}

#[test]
fn what_the_end_cuts_is_reset_and_what_has_ended_before_arrives_whole() {
    /// Less than what sockets hold on the way.
    const ANSWER: usize = 100_000;
    run(async {
        let target = application(|mut stream| async move {
            if stream.read_u8().await.is_ok_and(|byte| byte == b'q') {
                stream.write_all(&[7; ANSWER]).await.unwrap();
            } else {
                echo(stream).await;
            }
        })
        .await;
        let inbound = inbound(target, "", "");
        let (out, address) = outbound(&inbound.authority, inbound.address, "");
        let mut cut = TcpStream::connect(address).await.unwrap();
        cut.write_u8(b'e').await.unwrap();
        expect_echo(&mut cut, "half of it").await;
        let mut whole = TcpStream::connect(address).await.unwrap();
        whole.write_u8(b'q').await.unwrap();
        whole.shutdown().await.unwrap();
        out.until_metric("mtls_sidecar_connections_ended_total", &["closed"], 1.0);
        assert!(out.insist(Signal::TERM).success());
        assert_eq!(cut.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut answer = Vec::new();
        whole.read_to_end(&mut answer).await.unwrap();
        assert!(answer == [7; ANSWER]);
    });
}

#[test]
fn handshakes_that_have_been_accepted_are_finished_and_queued_connections_taken() {
    run(async {
        let rest = "concurrency: 1\ntls_acceleration: {poll_delay: 1s}
drain: {termination_drain_duration: 1000s}";
        let inbound = inbound(echo_application().await, "", rest);
        // Operations wait for company for a second, unless the process drains.
        let mut handshakes = Vec::new();
        let client = inbound.authority.client(Some(&inbound.client));
        for _ in 0..3 {
            let (client, address) = (client.clone(), inbound.address);
            handshakes
                .push(tokio::spawn(async move { crate::pki::connect(&client, "server", address).await }));
        }
        inbound.sidecar.until_metric("mtls_sidecar_connections_total", &[], 3.0);
        inbound.sidecar.signal(Signal::TERM);
        let mut streams = Vec::new();
        for handshake in handshakes {
            streams.push(handshake.await.unwrap().unwrap());
        }
        for stream in &mut streams {
            expect_echo(stream, "finished").await;
        }
        drop(streams);
        assert!(inbound.sidecar.wait().success());
    });
}

#[test]
fn as_many_as_have_connected_before_the_signal_are_served() {
    /// More than a runtime takes in one turn of a task, several times.
    const WAITING: usize = 400;
    run(async {
        let rest = "concurrency: 1\ndrain: {termination_drain_duration: 1000s}";
        let inbound = inbound(echo_application().await, "timeouts: {handshake: 500s}", rest);
        // It does not get to accept before it sees the signal.
        inbound.sidecar.signal(Signal::STOP);
        let mut sockets = Vec::new();
        for _ in 0..WAITING {
            sockets.push(TcpStream::connect(inbound.address).await.unwrap());
        }
        inbound.sidecar.signal(Signal::TERM);
        inbound.sidecar.signal(Signal::CONT);
        let client = inbound.authority.client(Some(&inbound.client));
        let mut served = Vec::new();
        for socket in sockets {
            let client = client.clone();
            served.push(tokio::spawn(async move {
                let mut stream = handshake(&client, "server", socket).await.unwrap();
                expect_echo(&mut stream, "taken from the queue").await;
            }));
        }
        for served in served {
            served.await.unwrap();
        }
        assert!(tokio::task::block_in_place(|| inbound.sidecar.wait()).success());
    });
}

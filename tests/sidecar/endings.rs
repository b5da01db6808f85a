//! Connections that do not end well, and peers that are not let in.

use crate::pki::{Authority, connect};
use crate::support::{application, echo_application, expect_echo, failure, inbound, outbound, run};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[test]
fn who_is_not_authorized_or_has_no_certificate_is_not_let_in() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let authority = &inbound.authority;
        let (other, stranger) = (authority.issue("other"), Authority::new().issue("client"));
        for (issued, reason) in
            [(Some(&other), "not_authorized"), (None, "no_certificate"), (Some(&stranger), "not_in_bundle")]
        {
            let client = authority.client(issued);
            // In TLS 1.3 the client's handshake is complete before the server has seen its certificate.
            if let Ok(mut stream) = connect(&client, "server", inbound.address).await {
                let error = stream.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData, "an alert: {error}");
            }
            let reason = format!("reason=\"{reason}\"");
            inbound.sidecar.until_metric("mtls_sidecar_handshake_failures_total", &[&reason], 1.0);
        }
        expect_echo(&mut inbound.connect().await, "still there").await;
    });
}

#[test]
fn garbage_is_answered_with_an_alert_and_counted() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let mut stream = TcpStream::connect(inbound.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // The end may be a reset, because not everything that was sent was read.
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer.first(), Some(&21), "a record of type alert: {answer:?}");
        inbound.sidecar.until_metric("mtls_sidecar_handshake_failures_total", &["garbage"], 1.0);
        expect_echo(&mut inbound.connect().await, "still there").await;
    });
}

#[test]
fn an_application_that_is_down_is_a_counted_reason() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = gone.local_addr().unwrap();
        drop(gone);
        let inbound = inbound(target, "", "");
        for n in 1..=3 {
            let mut stream = inbound.connect().await;
            // No close_notify: it must not look like an empty answer.
            assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            inbound.sidecar.until_metric(
                "mtls_sidecar_connections_ended_total",
                &["connect_refused"],
                f64::from(n),
            );
        }
        let back = TcpListener::bind(target).await.unwrap();
        let mut stream = inbound.connect().await;
        let (mut served, _) = back.accept().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(served.read_u8().await.unwrap(), b'x');
    });
}

#[test]
fn what_is_cut_does_not_look_complete() {
    run(async {
        let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inbound = inbound(application.local_addr().unwrap(), "", "");

        // The TLS client goes away without saying goodbye: what came before arrives, and then a reset.
        let mut client = inbound.connect().await;
        client.write_all(b"half of it").await.unwrap();
        client.flush().await.unwrap();
        let (mut served, _) = application.accept().await.unwrap();
        let mut half = [0; 10];
        served.read_exact(&mut half).await.unwrap();
        let (socket, _) = client.into_inner();
        drop(socket);
        assert_eq!(served.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        inbound.sidecar.until_metric("mtls_sidecar_connections_ended_total", &["tls_end_failed"], 1.0);

        // The application resets: the client is not told that it was the end.
        let mut client = inbound.connect().await;
        let (mut served, _) = application.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(served.read_u8().await.unwrap(), b'x');
        socket2::SockRef::from(&served).set_linger(Some(Duration::ZERO)).unwrap();
        drop(served);
        assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        inbound.sidecar.until_metric("mtls_sidecar_connections_ended_total", &["plain_end_failed"], 1.0);

        // The application ends properly: so does the client's connection.
        let mut client = inbound.connect().await;
        let (mut served, _) = application.accept().await.unwrap();
        served.write_all(b"all").await.unwrap();
        drop(served);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "all");
    });
}

#[test]
fn what_never_reached_its_target_does_not_look_empty() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = gone.local_addr().unwrap();
        drop(gone);
        let authority = Authority::new();
        let (_out, address) = outbound(&authority, target, "");
        assert_eq!(failure(address).await, ErrorKind::ConnectionReset);
        // Whoever listens there speaks no TLS.
        let (_out, address) = outbound(&authority, echo_application().await, "");
        assert_eq!(failure(address).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn silence_ends_a_connection() {
    run(async {
        let target = application(|mut stream| async move {
            let _ = stream.read_u8().await;
        })
        .await;
        let inbound = inbound(target, "timeouts: {idle: 300ms}", "");
        let mut client = inbound.connect().await;
        assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        inbound.sidecar.until_metric("mtls_sidecar_connections_ended_total", &["idle"], 1.0);
    });
}

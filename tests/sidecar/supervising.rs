//! A process that starts the sidecar again.

use crate::pki::connect;
use crate::process::Sidecar;
use crate::support::{children, echo_application, expect_echo, inbound_home, is_running, kill, run};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A supervised sidecar with an inbound listener at a port that those which are started again listen on, too.
pub(crate) struct Supervised {
    pub(crate) sidecar: Sidecar,
    client: TlsConnector,
    address: SocketAddr,
}

impl Supervised {
    /// The file that runs is a copy in its home.
    pub(crate) async fn start() -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (authority, home) =
            inbound_home(echo_application().await, "", "drain: {termination_drain_duration: 100s}");
        let file = home.dir.join("config.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:0", &address.to_string())).unwrap();
        let copy = home.dir.join("sidecar");
        std::fs::copy(env!("CARGO_BIN_EXE_mtls-sidecar"), &copy).unwrap();
        let instead = format!("shift; exec {} \"$@\"", copy.display());
        let sidecar = home.launch_with(&["sh", "-c", &instead, "sh"], &["--supervise"]);
        let client = authority.client(Some(&authority.issue("client")));
        Self { sidecar, client, address }
    }

    pub(crate) fn info(&self) -> Option<Value> {
        let answer = self.sidecar.try_http("GET", "/server_info")?.1;
        serde_json::from_str(&answer).ok()
    }

    /// The process that serves after that one.
    #[track_caller]
    pub(crate) fn after(&self, other: i64) -> i64 {
        let is_new = || self.info().is_some_and(|info| info["pid"] != other && info["state"] == "LIVE");
        tokio::task::block_in_place(|| self.sidecar.until("a process serves", is_new));
        self.info().unwrap()["pid"].as_i64().unwrap()
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        connect(&self.client, "server", self.address).await.unwrap()
    }

    fn end(&self) {
        self.sidecar.signal(Signal::TERM);
        assert!(tokio::task::block_in_place(|| self.sidecar.wait()).success());
    }
}

#[test]
fn what_fails_is_started_again_and_what_is_asked_to_end_is_not() {
    run(async {
        let supervised = Supervised::start().await;
        let first = supervised.after(0);
        kill(first, Signal::KILL);
        let second = supervised.after(first);
        expect_echo(&mut supervised.connect().await, "after a crash").await;

        // A hot restart is followed: the process that takes over is started again, too.
        supervised.sidecar.signal(Signal::HUP);
        let third = supervised.after(second);
        assert_eq!(supervised.info().unwrap()["restart_epoch"], 1);
        kill(third, Signal::KILL);
        let fourth = supervised.after(third);
        expect_echo(&mut supervised.connect().await, "after another").await;
        let failed = |line: &Value| line["message"] == *"the sidecar has failed" && line["status"] == 137;
        supervised.sidecar.until_logged(failed);

        supervised.end();
        assert!(!is_running(fourth), "none is left");
    });
}

#[test]
fn a_successor_that_fails_is_followed_while_the_one_before_goes_on() {
    run(async {
        let supervised = Supervised::start().await;
        let first = supervised.after(0);
        let mut long = supervised.connect().await;
        expect_echo(&mut long, "before").await;
        supervised.sidecar.signal(Signal::HUP);
        let second = supervised.after(first);
        kill(second, Signal::KILL);
        let third = supervised.after(second);
        assert_ne!(third, first);
        expect_echo(&mut supervised.connect().await, "to the third").await;
        expect_echo(&mut long, "still carried by the first").await;
        assert!(is_running(first));

        // The third is followed as the first was.
        supervised.sidecar.signal(Signal::HUP);
        let fourth = supervised.after(third);
        assert_eq!(supervised.info().unwrap()["restart_epoch"], 1);
        expect_echo(&mut long, "still").await;
        drop(long);
        supervised.sidecar.until("the first ends", || !is_running(first));
        expect_echo(&mut supervised.connect().await, "to the fourth").await;
        supervised.end();
        assert!(!is_running(fourth), "none is left");
    });
}

#[test]
fn a_successor_whose_parent_fails_while_it_starts_is_not_replaced() {
    run(async {
        let supervised = Supervised::start().await;
        let first = supervised.after(0);
        let chain = supervised.sidecar.home.dir.join("chain.pem");
        std::fs::rename(&chain, chain.with_extension("aside")).unwrap();
        supervised.sidecar.signal(Signal::HUP);
        supervised.sidecar.until("another starts", || !children(first).is_empty());
        let successor = children(first)[0];
        kill(first, Signal::KILL);
        let alone =
            |line: &Value| line["message"].as_str().is_some_and(|text| text.ends_with("goes on alone"));
        supervised.sidecar.until_logged(alone);
        std::fs::rename(chain.with_extension("aside"), &chain).unwrap();
        assert_eq!(supervised.after(first), successor);
        expect_echo(&mut supervised.connect().await, "by the successor").await;
        assert!(!supervised.sidecar.log().contains("the sidecar has failed\""));
        supervised.sidecar.signal(Signal::HUP);
        let third = supervised.after(successor);
        supervised.end();
        assert!(!is_running(third), "none is left");
    });
}

#[test]
fn a_hangup_during_a_hot_restart_is_followed_by_another() {
    run(async {
        let supervised = Supervised::start().await;
        let first = supervised.after(0);
        supervised.sidecar.signal(Signal::HUP);
        supervised.sidecar.until("another starts", || !children(first).is_empty());
        supervised.sidecar.signal(Signal::HUP);
        let is_second =
            || supervised.info().is_some_and(|info| info["restart_epoch"] == 2 && info["state"] == "LIVE");
        supervised.sidecar.until("it has restarted twice", is_second);
        supervised.end();
    });
}

#[test]
fn the_next_start_finds_a_replaced_program_and_no_old_hangups() {
    run(async {
        let supervised = Supervised::start().await;
        let first = supervised.after(0);
        let copy = supervised.sidecar.home.dir.join("sidecar");
        std::fs::copy(&copy, copy.with_extension("new")).unwrap();
        std::fs::rename(copy.with_extension("new"), &copy).unwrap();
        kill(first, Signal::KILL);
        supervised.sidecar.until_logged(|line| line["message"] == *"the sidecar has failed");
        supervised.sidecar.signal(Signal::HUP);
        supervised.after(first);
        expect_echo(&mut supervised.connect().await, "by the new file").await;
        assert!(!supervised.sidecar.log().contains("\"status\":129"), "{}", supervised.sidecar.log());
        supervised.end();
    });
}

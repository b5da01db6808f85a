//! A process that starts the sidecar again.

use crate::pki::connect;
use crate::support::{echo_application, expect_echo, inbound_home, run};
use rustix::process::{Pid, Signal, kill_process};

fn kill(id: i64, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn what_fails_is_started_again_and_what_is_asked_to_end_is_not() {
    run(async {
        // Restarts listen on the same port.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (authority, home) = inbound_home(echo_application().await, "", "");
        let file = home.dir.join("config.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:0", &free.to_string())).unwrap();
        let sidecar = home.launch_with(&[], &["--supervise"]);
        let client = authority.client(Some(&authority.issue("client")));
        let info = || {
            let answer = sidecar.try_http("GET", "/server_info")?.1;
            serde_json::from_str::<serde_json::Value>(&answer).ok()
        };
        let serving = |other_than: i64| {
            let is_new = || info().is_some_and(|info| info["pid"] != other_than && info["state"] == "LIVE");
            sidecar.until("a process serves", is_new);
            info().unwrap()["pid"].as_i64().unwrap()
        };
        let first = serving(0);
        kill(first, Signal::KILL);
        let second = serving(first);
        expect_echo(&mut connect(&client, "server", free).await.unwrap(), "after a crash").await;

        // A hot restart is followed: the process that takes over is started again, too.
        sidecar.signal(Signal::HUP);
        let third = serving(second);
        assert_eq!(info().unwrap()["restart_epoch"], 1);
        kill(third, Signal::KILL);
        let fourth = serving(third);
        expect_echo(&mut connect(&client, "server", free).await.unwrap(), "after another").await;
        sidecar.until_logged(|line| line["message"] == *"the sidecar has failed" && line["status"] == 137);

        sidecar.signal(Signal::TERM);
        assert!(sidecar.wait().success());
        assert!(
            kill_process(Pid::from_raw(i32::try_from(fourth).unwrap()).unwrap(), Signal::TERM).is_err(),
            "none is left"
        );
    });
}

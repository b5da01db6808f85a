//! Hot restarts under a stream of new connections.

use crate::pki::connect;
use crate::support::{
    Inbound, children, echo_application, expect_echo, inbound, is_running, kill, run, run_for,
};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

/// Sends SIGHUP to the process that serves now, and waits for its successor.
pub(crate) fn restart(inbound: &Inbound) {
    let info = inbound.sidecar.json("/server_info");
    let (id, epoch) = (info["pid"].as_i64().unwrap(), info["restart_epoch"].as_u64().unwrap());
    kill(id, Signal::HUP);
    let now = || {
        let answer = inbound.sidecar.try_http("GET", "/server_info")?.1;
        serde_json::from_str::<serde_json::Value>(&answer).ok()
    };
    inbound.sidecar.until("the next process serves", || {
        now().is_some_and(|info| info["restart_epoch"] == epoch + 1 && info["state"] == "LIVE")
    });
    let successor = now().unwrap()["pid"].as_i64().unwrap();
    assert_ne!(successor, id);
    inbound.sidecar.adopt(i32::try_from(successor).unwrap());
}

#[test]
fn no_connection_fails_while_processes_follow_each_other() {
    follow_each_other(4, 20);
}

/// In full: `cargo test --release --all-features --test sidecar -- --ignored --test-threads 1 restarting`.
#[test]
#[ignore = "a minute"]
fn no_connection_fails_in_twenty_hot_restarts() {
    follow_each_other(20, 100);
}

/// So many hot restarts under up to 200 new connections a second, so many of them after each.
fn follow_each_other(restarts: usize, connections: usize) {
    run_for(Duration::from_secs(1200), async {
        let patient = "timeouts: {connect: 100s, handshake: 100s}";
        let inbound = inbound(echo_application().await, patient, "drain: {parent_shutdown_time: 1000s}");
        let client = inbound.authority.client(Some(&inbound.client));
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        // A connection every 5 ms, unless a busy machine leaves too many of them behind.
        let room = Arc::new(Semaphore::new(100));
        let stream = tokio::spawn({
            let (stop, done, address) = (stop.clone(), done.clone(), inbound.address);
            async move {
                let mut clients = Vec::new();
                let mut ticks = tokio::time::interval(Duration::from_millis(5));
                while !stop.load(Relaxed) {
                    ticks.tick().await;
                    let under_way = room.clone().acquire_owned().await.unwrap();
                    let (client, done) = (client.clone(), done.clone());
                    clients.push(tokio::spawn(async move {
                        let mut stream = connect(&client, "server", address).await.unwrap();
                        expect_echo(&mut stream, "during a restart").await;
                        stream.shutdown().await.unwrap();
                        done.fetch_add(1, Relaxed);
                        drop(under_way);
                    }));
                }
                let count = clients.len();
                for client in clients {
                    client.await.expect("no connection fails");
                }
                count
            }
        });
        let mut long = inbound.connect().await;
        for _ in 0..restarts {
            let before = done.load(Relaxed);
            tokio::task::block_in_place(|| {
                restart(&inbound);
                inbound.sidecar.until("connections go on", || done.load(Relaxed) > before + connections);
            });
        }
        stop.store(true, Relaxed);
        let count = stream.await.unwrap();
        assert_eq!(done.load(Relaxed), count);
        // The first process still carries what it began with, and its successors are alive meanwhile.
        expect_echo(&mut long, "from the first process").await;
        assert!(inbound.sidecar.is_running());
        long.shutdown().await.unwrap();
        drop(long);
        assert!(tokio::task::block_in_place(|| inbound.sidecar.wait()).success());
        println!("{count} connections, up to 200 a second, over {restarts} restarts");
        // Every process has told its successor what it counted.
        let wanted = count as f64 + 1.0;
        inbound.sidecar.until_metric("mtls_sidecar_connections_total", &[], wanted);
        assert_eq!(inbound.sidecar.metric("mtls_sidecar_connections_total", &[]), wanted);
        assert_eq!(inbound.sidecar.metric("mtls_sidecar_handshake_failures_total", &[]), 0.0);
        assert_eq!(inbound.sidecar.metric("mtls_sidecar_engine_handshakes_total", &["succeeded"]), wanted);
    });
}

#[test]
fn a_restart_with_a_bad_configuration_changes_nothing() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let file = inbound.sidecar.home.dir.join("config.yaml");
        let good = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, good.replace("direction: inbound", "direction: upwards")).unwrap();
        let id = inbound.sidecar.json("/server_info")["pid"].as_i64().unwrap();
        kill(id, Signal::HUP);
        inbound.sidecar.until_metric("mtls_sidecar_hot_restart_failures_total", &[], 1.0);
        let failed = inbound.sidecar.until_logged(|line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("the hot restart failed"))
        });
        assert!(
            failed["message"].as_str().unwrap().contains("listeners[0].direction"),
            "the reason: {failed}"
        );
        let log = inbound.sidecar.log();
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(log.lines().all(is_json), "every line of both processes is an object: {log}");
        expect_echo(&mut inbound.connect().await, "the old one serves").await;
        assert_eq!(inbound.sidecar.json("/server_info")["pid"], id);
        std::fs::write(&file, good.replace("concurrency: 2", "concurrency: 3")).unwrap();
        tokio::task::block_in_place(|| restart(&inbound));
        expect_echo(&mut inbound.connect().await, "the new one serves").await;
        assert!(inbound.sidecar.wait().success(), "the old one had nothing left to do");
    });
}

#[test]
fn what_is_to_end_does_not_wait_for_its_successor() {
    type Order = (fn(&Inbound), bool);
    let orders: [Order; 3] = [
        (|inbound| inbound.sidecar.signal(Signal::TERM), true),
        (|inbound| drop(inbound.sidecar.http("POST", "/quitquitquit")), true),
        (|inbound| drop(inbound.sidecar.http("POST", "/drain_listeners")), false),
    ];
    run(async {
        for (order, is_to_end) in orders {
            let inbound = inbound(echo_application().await, "", "");
            let file = inbound.sidecar.home.dir.join("config.yaml");
            let good = std::fs::read_to_string(&file).unwrap();
            // The next process waits for a certificate that never comes.
            std::fs::write(&file, good.replace("chain.pem", "nowhere.pem")).unwrap();
            let id = inbound.sidecar.json("/server_info")["pid"].as_i64().unwrap();
            inbound.sidecar.signal(Signal::HUP);
            inbound.sidecar.until("another process starts", || !children(id).is_empty());
            let half_started = children(id)[0];
            order(&inbound);
            inbound.sidecar.until("it is ended", || !is_running(half_started));
            if !is_to_end {
                assert!(inbound.sidecar.is_running());
                inbound.sidecar.signal(Signal::TERM);
            }
            assert!(inbound.sidecar.wait().success());
        }
    });
}

#[test]
fn connections_that_are_cut_count_and_a_process_that_has_ended_carries_none() {
    run(async {
        for ends in [Signal::TERM, Signal::KILL] {
            let inbound = inbound(echo_application().await, "", "");
            let sidecar = &inbound.sidecar;
            let mut long = inbound.connect().await;
            expect_echo(&mut long, "for long").await;
            tokio::task::block_in_place(|| restart(&inbound));
            sidecar.until_metric("mtls_sidecar_parent_connections_active", &[], 1.0);
            let status = tokio::task::block_in_place(|| sidecar.insist(ends));
            assert_eq!(status.success(), ends == Signal::TERM);
            let active = || sidecar.metric("mtls_sidecar_parent_connections_active", &[]);
            sidecar.until("it carries none", || active() == 0.0);
            if ends == Signal::TERM {
                sidecar.until_metric("mtls_sidecar_connections_ended_total", &["shutdown"], 1.0);
            }
        }
    });
}

#[test]
fn when_the_successor_fails_and_nobody_supervises_the_drain_is_short() {
    run(async {
        let drain = "drain: {exit_on_zero_active_connections: true, termination_drain_duration: 500ms}";
        let inbound = inbound(echo_application().await, "", drain);
        let mut long = inbound.connect().await;
        expect_echo(&mut long, "for long").await;
        tokio::task::block_in_place(|| restart(&inbound));
        kill(inbound.sidecar.json("/server_info")["pid"].as_i64().unwrap(), Signal::KILL);
        let status = tokio::task::block_in_place(|| inbound.sidecar.wait());
        assert_eq!(status.code(), Some(1));
        long.read_u8().await.expect_err("it was cut");
    });
}

#[test]
fn a_successor_whose_parent_dies_while_it_starts_goes_on_alone() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let chain = inbound.sidecar.home.dir.join("chain.pem");
        let aside = chain.with_extension("aside");
        // The next process waits for its identity.
        std::fs::rename(&chain, &aside).unwrap();
        let id = inbound.sidecar.id();
        inbound.sidecar.signal(Signal::HUP);
        inbound.sidecar.until("another process starts", || !children(id).is_empty());
        let successor = children(id)[0];
        inbound.sidecar.adopt(i32::try_from(successor).unwrap());
        let sockets = || inherits_sockets(successor, inbound.address.port());
        inbound.sidecar.until("it has the sockets", sockets);
        inbound.sidecar.signal(Signal::KILL);
        tokio::task::block_in_place(|| inbound.sidecar.wait());
        // It waits in the queue of a socket that nobody else has.
        let waiting = tokio::net::TcpStream::connect(inbound.address).await.unwrap();
        std::fs::rename(&aside, &chain).unwrap();
        let client = inbound.authority.client(Some(&inbound.client));
        let mut stream = crate::pki::handshake(&client, "server", waiting).await.unwrap();
        expect_echo(&mut stream, "by the successor").await;
        inbound.sidecar.wait_until_ready();
        assert_eq!(inbound.sidecar.json("/server_info")["pid"], successor);
        tokio::task::block_in_place(|| restart(&inbound));
        expect_echo(&mut inbound.connect().await, "by the next one").await;
    });
}

/// Whether a process has sockets that listen on that port.
fn inherits_sockets(id: i64, port: u16) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap_or_default();
    let of_port =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&format!(":{port:04X}")));
    let inodes: Vec<_> =
        table.lines().filter(of_port).filter_map(|line| line.split_whitespace().nth(9)).collect();
    let links = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let mut links = links.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.any(|link| inodes.iter().any(|inode| link.to_string_lossy() == format!("socket:[{inode}]")))
}

#[test]
fn what_was_set_through_the_admin_endpoint_outlives_a_hot_restart() {
    run(async {
        let inbound = inbound(echo_application().await, "", "log: {level: info}");
        let sidecar = &inbound.sidecar;
        let epoch = || sidecar.try_http("GET", "/server_info").map(|answer| answer.1).unwrap_or_default();
        sidecar.http("POST", "/healthcheck/fail");
        sidecar.http("POST", "/logging?level=debug");
        for n in 1..=2 {
            let id = sidecar.json("/server_info")["pid"].as_i64().unwrap();
            kill(id, Signal::HUP);
            sidecar.until("the next one serves", || epoch().contains(&format!("\"restart_epoch\": {n}")));
            sidecar.adopt(i32::try_from(sidecar.json("/server_info")["pid"].as_i64().unwrap()).unwrap());
            assert_eq!(sidecar.http("GET", "/ready"), (503, "FAILED\n".to_owned()), "epoch {n}");
            // It says so at this level alone.
            let id = sidecar.json("/server_info")["pid"].as_i64().unwrap();
            let before = sidecar.log().matches("\"signal\":10").count();
            kill(id, Signal::USR1);
            sidecar.until("it logs at its level", || sidecar.log().matches("\"signal\":10").count() > before);
        }
        sidecar.http("POST", "/healthcheck/ok");
        sidecar.wait_until_ready();
        tokio::task::block_in_place(|| restart(&inbound));
    });
}

#[test]
fn the_program_is_the_one_that_was_asked_for() {
    run(async {
        let (_authority, home) = crate::support::inbound_home(echo_application().await, "", "");
        let dir = home.dir.clone();
        for version in ["v1", "v2"] {
            std::fs::create_dir(dir.join(version)).unwrap();
            std::fs::copy(env!("CARGO_BIN_EXE_mtls-sidecar"), dir.join(version).join("sidecar")).unwrap();
        }
        std::os::unix::fs::symlink("v1", dir.join("current")).unwrap();
        let asked = dir.join("current/sidecar");
        let instead = format!("shift; exec {} \"$@\"", asked.display());
        let sidecar = home.launch(&["sh", "-c", &instead, "sh"]);
        sidecar.wait_until_ready();
        std::os::unix::fs::symlink("v2", dir.join("next")).unwrap();
        std::fs::rename(dir.join("next"), dir.join("current")).unwrap();
        for n in 1..=2 {
            kill(sidecar.json("/server_info")["pid"].as_i64().unwrap(), Signal::HUP);
            let info = || sidecar.try_http("GET", "/server_info").map(|answer| answer.1).unwrap_or_default();
            sidecar.until("the next serves", || {
                info().contains(&format!("\"restart_epoch\": {n}")) && info().contains("LIVE")
            });
            let id = sidecar.json("/server_info")["pid"].as_i64().unwrap();
            sidecar.adopt(i32::try_from(id).unwrap());
            assert_eq!(std::fs::read_link(format!("/proc/{id}/exe")).unwrap(), dir.join("v2/sidecar"));
            // The old version is deleted, and then the new one replaced in its place.
            let _ = std::fs::remove_dir_all(dir.join("v1"));
            std::fs::copy(dir.join("v2/sidecar"), dir.join("v2/new")).unwrap();
            std::fs::rename(dir.join("v2/new"), dir.join("v2/sidecar")).unwrap();
        }
    });
}

#[test]
fn a_second_start_on_the_same_address_is_refused() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let (_authority, home) = crate::support::inbound_home(echo_application().await, "", "");
        let file = home.dir.join("config.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:0", &inbound.address.to_string())).unwrap();
        let second = home.launch(&[]);
        assert_eq!(tokio::task::block_in_place(|| second.wait()).code(), Some(1));
        let why = second.until_logged(|line| line["level"] == *"error");
        assert!(why["message"].as_str().unwrap().contains("listener in: cannot listen on"), "{why}");
        expect_echo(&mut inbound.connect().await, "by the first").await;
        tokio::task::block_in_place(|| restart(&inbound));
    });
}

#[test]
fn systemd_is_told_who_serves() {
    run(async {
        let (_authority, home) = crate::support::inbound_home(echo_application().await, "", "");
        let path = home.dir.join("notify");
        let systemd = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        systemd.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
        let told = || {
            let mut message = [0; 256];
            let n = systemd.recv(&mut message).unwrap();
            String::from_utf8(message[..n].to_vec()).unwrap()
        };
        let sidecar = home.launch(&["env", &format!("NOTIFY_SOCKET={}", path.display())]);
        assert_eq!(told(), "READY=1");
        sidecar.signal(Signal::HUP);
        assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        let handed_over = told();
        let successor: i32 = handed_over.strip_prefix("READY=1\nMAINPID=").unwrap().parse().unwrap();
        sidecar.adopt(successor);
        assert!(tokio::task::block_in_place(|| sidecar.wait()).success());
        std::fs::write(sidecar.home.dir.join("config.yaml"), "nonsense").unwrap();
        kill(successor.into(), Signal::HUP);
        assert!(told().starts_with("RELOADING=1\n"));
        assert_eq!(told(), "READY=1", "the old one goes on");
        kill(successor.into(), Signal::TERM);
        assert_eq!(told(), "STOPPING=1");
    });
}

#[test]
fn workers_may_become_fewer_or_more() {
    run(async {
        let inbound = inbound(echo_application().await, "", "concurrency: 3");
        let file = inbound.sidecar.home.dir.join("config.yaml");
        let three = std::fs::read_to_string(&file).unwrap();
        for concurrency in [1, 4] {
            std::fs::write(&file, three.replace("concurrency: 3", &format!("concurrency: {concurrency}")))
                .unwrap();
            tokio::task::block_in_place(|| restart(&inbound));
            assert_eq!(inbound.sidecar.json("/server_info")["concurrency"], concurrency);
            for _ in 0..20 {
                expect_echo(&mut inbound.connect().await, "to whichever socket").await;
            }
        }
    });
}

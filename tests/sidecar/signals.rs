//! Every signal in every state of every process: a module for each row of the table in `docs/sidecar.md`, a
//! test for each of its cells, and what signals do that all processes get at once.

use crate::process::Sidecar;
use crate::restarting::restart;
use crate::supervising::Supervised;
use crate::support::{
    Inbound, children, echo_application, expect_echo, inbound, inbound_home, is_running, kill, run,
};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

type Connection = TlsStream<TcpStream>;

/// All that ask for an end.
const ENDS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// Some of those that ask for nothing.
const OTHERS: [Signal; 7] =
    [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::PIPE, Signal::PROF, Signal::XCPU, Signal::POWER];

/// A sidecar with a connection.
async fn serving() -> (Inbound, Connection) {
    let inbound = inbound(echo_application().await, "", "drain: {termination_drain_duration: 100s}");
    let mut long = inbound.connect().await;
    expect_echo(&mut long, "for long").await;
    (inbound, long)
}

/// The same, and its successor, which waits for an identity.
async fn restarting() -> (Inbound, Connection, i64) {
    let (inbound, long) = serving().await;
    let chain = inbound.sidecar.home.dir.join("chain.pem");
    fs::rename(&chain, chain.with_extension("aside")).unwrap();
    let id = inbound.sidecar.id();
    inbound.sidecar.signal(Signal::HUP);
    inbound.sidecar.until("another starts", || children(id).first().is_some_and(|id| listens(*id)));
    let successor = children(id)[0];
    inbound.sidecar.adopt(i32::try_from(successor).unwrap());
    (inbound, long, successor)
}

/// Gives the successor its identity, and waits until it serves.
fn let_start(inbound: &Inbound, epoch: u64) {
    let chain = inbound.sidecar.home.dir.join("chain.pem");
    fs::rename(chain.with_extension("aside"), &chain).unwrap();
    until_epoch(&inbound.sidecar, epoch);
}

/// A sidecar with a connection that has handed over, and its successor.
async fn handed_over() -> (Inbound, Connection, i64) {
    let (inbound, long) = serving().await;
    tokio::task::block_in_place(|| restart(&inbound));
    let successor = inbound.sidecar.json("/server_info")["pid"].as_i64().unwrap();
    (inbound, long, successor)
}

async fn supervised() -> (Supervised, Connection, i64) {
    let supervised = Supervised::start().await;
    let sidecar = supervised.after(0);
    let mut long = supervised.connect().await;
    expect_echo(&mut long, "for long").await;
    (supervised, long, sidecar)
}

/// A supervisor whose sidecar has failed several times, and that waits before it starts it again.
async fn waiting() -> (Supervised, String) {
    let (supervised, long, sidecar) = supervised().await;
    drop(long);
    let file = supervised.sidecar.home.dir.join("config.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "nonsense").unwrap();
    kill(sidecar, Signal::KILL);
    let waits = |line: &Value| line["delay"].as_f64().is_some_and(|delay| delay > 1.0);
    supervised.sidecar.until_logged(waits);
    (supervised, good)
}

/// Whether a process takes SIGHUP, SIGINT, SIGQUIT and SIGTERM itself. One that is about to execute the
/// program has the handlers of its parent for a moment, with all signals blocked.
fn listens(id: i64) -> bool {
    const ALL: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14;
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let signals = |name: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(set.trim(), 16).ok()
    };
    signals("SigCgt:").is_some_and(|caught| caught & ALL == ALL)
        && signals("SigBlk:").is_some_and(|blocked| blocked & ALL == 0)
}

fn until_epoch(sidecar: &Sidecar, epoch: u64) {
    sidecar.until(&format!("epoch {epoch} is there"), || {
        let info = sidecar.try_http("GET", "/server_info").map(|answer| answer.1).unwrap_or_default();
        serde_json::from_str::<Value>(&info)
            .is_ok_and(|info| info["restart_epoch"] == epoch && info["state"] == "LIVE")
    });
    let id = sidecar.json("/server_info")["pid"].as_i64().unwrap();
    sidecar.adopt(i32::try_from(id).unwrap());
}

/// A connection goes on during the drain of these processes, which end when it does, and none of them cut
/// anything.
async fn drain(sidecar: &Sidecar, mut long: Connection, processes: &[i64]) {
    sidecar.until_logged(|line| line["message"] == *"draining");
    for _ in 0..20 {
        expect_echo(&mut long, "during the drain").await;
    }
    drop(long);
    sidecar.until("all end", || !processes.iter().any(|id| is_running(*id)));
    assert!(!sidecar.log().contains("ending at once"), "{}", sidecar.log());
}

/// A connection goes on, and others are made.
async fn nothing_changes(inbound: &Inbound, mut long: Connection) {
    expect_echo(&mut long, "still").await;
    expect_echo(&mut inbound.connect().await, "another").await;
}

mod starting {
    use super::*;

    /// Sends a signal to a process that is about to listen, as soon as it takes signals.
    async fn signalled(signal: Signal) -> Sidecar {
        let (_, home) = inbound_home(echo_application().await, "", "");
        // To bind the admin endpoint's socket it waits for this.
        let directory = fs::File::open(&home.dir).unwrap();
        directory.lock().unwrap();
        let sidecar = home.launch(&[]);
        sidecar.until("it takes signals", || listens(sidecar.id()));
        sidecar.signal(signal);
        directory.unlock().unwrap();
        sidecar
    }

    #[test]
    fn an_end_is_not_lost() {
        run(async {
            for signal in ENDS {
                assert!(signalled(signal).await.wait().success());
            }
        });
    }

    #[test]
    fn another_end_cuts() {
        run(async { assert!(signalled(Signal::TERM).await.insist(Signal::TERM).success()) });
    }

    #[test]
    fn a_hangup_is_not_lost() {
        run(async { until_epoch(&signalled(Signal::HUP).await, 1) });
    }

    #[test]
    fn others_change_nothing() {
        run(async { signalled(Signal::USR1).await.wait_until_ready() });
    }
}

mod serving {
    use super::*;

    #[test]
    fn an_end_drains() {
        run(async {
            for signal in ENDS {
                let (inbound, long) = serving().await;
                inbound.sidecar.signal(signal);
                drain(&inbound.sidecar, long, &[inbound.sidecar.id()]).await;
                assert!(inbound.sidecar.wait().success());
            }
        });
    }

    #[test]
    fn a_hangup_restarts() {
        run(async {
            let (inbound, long) = serving().await;
            inbound.sidecar.signal(Signal::HUP);
            until_epoch(&inbound.sidecar, 1);
            nothing_changes(&inbound, long).await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (inbound, long) = serving().await;
            OTHERS.into_iter().for_each(|signal| inbound.sidecar.signal(signal));
            (34..=64).for_each(|number| real_time(inbound.sidecar.id(), number));
            nothing_changes(&inbound, long).await;
            assert!(inbound.sidecar.is_running());
        });
    }

    fn real_time(id: i64, number: i32) {
        let words = [format!("-{number}"), id.to_string()];
        assert!(std::process::Command::new("kill").args(words).status().unwrap().success());
    }
}

mod restarting_as_parent {
    use super::*;

    #[test]
    fn an_end_drains_and_ends_the_successor() {
        run(async {
            let (inbound, long, successor) = restarting().await;
            inbound.sidecar.signal(Signal::TERM);
            inbound.sidecar.until("the successor ends", || !is_running(successor));
            drain(&inbound.sidecar, long, &[inbound.sidecar.id()]).await;
            assert!(inbound.sidecar.wait().success());
        });
    }

    #[test]
    fn another_end_cuts() {
        run(async {
            let (inbound, mut long, successor) = restarting().await;
            assert!(inbound.sidecar.insist(Signal::TERM).success());
            long.read_u8().await.expect_err("it was cut");
            inbound.sidecar.until("the successor ends", || !is_running(successor));
        });
    }

    #[test]
    fn a_hangup_is_passed_on_later() {
        run(async {
            let (inbound, long, _) = restarting().await;
            inbound.sidecar.signal(Signal::HUP);
            let_start(&inbound, 2);
            nothing_changes(&inbound, long).await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (inbound, long, _) = restarting().await;
            OTHERS.into_iter().for_each(|signal| inbound.sidecar.signal(signal));
            let_start(&inbound, 1);
            nothing_changes(&inbound, long).await;
        });
    }
}

mod starting_as_successor {
    use super::*;

    #[test]
    fn an_end_ends_it_and_its_parent_goes_on() {
        run(async {
            for signal in ENDS {
                let (inbound, long, successor) = restarting().await;
                kill(successor, signal);
                inbound.sidecar.until_metric("mtls_sidecar_hot_restart_failures_total", &[], 1.0);
                assert!(!is_running(successor));
                nothing_changes(&inbound, long).await;
                assert!(inbound.sidecar.log().contains("it ended: exit status: 0"));
            }
        });
    }

    #[test]
    fn a_hangup_restarts_later() {
        run(async {
            let (inbound, long, successor) = restarting().await;
            kill(successor, Signal::HUP);
            let_start(&inbound, 2);
            nothing_changes(&inbound, long).await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (inbound, long, successor) = restarting().await;
            OTHERS.into_iter().for_each(|signal| kill(successor, signal));
            let_start(&inbound, 1);
            nothing_changes(&inbound, long).await;
        });
    }
}

mod handed_over {
    use super::*;

    #[test]
    fn an_end_shortens_the_drain_and_the_successor_goes_on() {
        run(async {
            let (inbound, mut long, successor) = handed_over().await;
            inbound.sidecar.signal(Signal::TERM);
            expect_echo(&mut long, "still").await;
            drop(long);
            assert!(inbound.sidecar.wait().success());
            assert!(is_running(successor) && !inbound.sidecar.log().contains("ending at once"));
            expect_echo(&mut inbound.connect().await, "by the successor").await;
        });
    }

    #[test]
    fn another_end_cuts() {
        run(async {
            let (inbound, mut long, successor) = handed_over().await;
            assert!(inbound.sidecar.insist(Signal::TERM).success());
            long.read_u8().await.expect_err("it was cut");
            assert!(is_running(successor));
        });
    }

    #[test]
    fn a_hangup_is_passed_on() {
        run(async {
            let (inbound, long, _) = handed_over().await;
            inbound.sidecar.signal(Signal::HUP);
            until_epoch(&inbound.sidecar, 2);
            nothing_changes(&inbound, long).await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (inbound, long, _) = handed_over().await;
            OTHERS.into_iter().for_each(|signal| inbound.sidecar.signal(signal));
            nothing_changes(&inbound, long).await;
            assert!(inbound.sidecar.wait().success());
        });
    }
}

mod draining {
    use super::*;

    async fn draining() -> (Inbound, Connection) {
        let (inbound, long) = serving().await;
        inbound.sidecar.signal(Signal::TERM);
        inbound.sidecar.until_logged(|line| line["message"] == *"draining");
        (inbound, long)
    }

    #[test]
    fn an_end_of_the_same_decision_changes_nothing() {
        run(async {
            let (inbound, long) = draining().await;
            ENDS.into_iter().for_each(|signal| inbound.sidecar.signal(signal));
            drain(&inbound.sidecar, long, &[inbound.sidecar.id()]).await;
            assert!(inbound.sidecar.wait().success());
        });
    }

    #[test]
    fn another_end_cuts() {
        run(async {
            for signal in ENDS {
                let (inbound, mut long) = draining().await;
                assert!(inbound.sidecar.insist(signal).success());
                long.read_u8().await.expect_err("it was cut");
            }
        });
    }

    #[test]
    fn a_hangup_changes_nothing() {
        run(async {
            let (inbound, long) = draining().await;
            inbound.sidecar.signal(Signal::HUP);
            inbound.sidecar.until_logged(|line| line["message"] == *"no hot restart while draining");
            drain(&inbound.sidecar, long, &[inbound.sidecar.id()]).await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (inbound, long) = draining().await;
            OTHERS.into_iter().for_each(|signal| inbound.sidecar.signal(signal));
            drain(&inbound.sidecar, long, &[inbound.sidecar.id()]).await;
        });
    }
}

mod supervising {
    use super::*;

    #[test]
    fn an_end_drains() {
        run(async {
            for signal in ENDS {
                let (supervised, long, sidecar) = supervised().await;
                supervised.sidecar.signal(signal);
                drain(&supervised.sidecar, long, &[sidecar, supervised.sidecar.id()]).await;
                assert!(supervised.sidecar.wait().success());
            }
        });
    }

    #[test]
    fn another_end_cuts() {
        run(async {
            let (supervised, mut long, sidecar) = supervised().await;
            assert!(supervised.sidecar.insist(Signal::TERM).success());
            long.read_u8().await.expect_err("it was cut");
            assert!(!is_running(sidecar));
        });
    }

    #[test]
    fn a_hangup_restarts() {
        run(async {
            let (supervised, mut long, _) = supervised().await;
            supervised.sidecar.signal(Signal::HUP);
            until_epoch(&supervised.sidecar, 1);
            expect_echo(&mut long, "still").await;
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (supervised, mut long, sidecar) = supervised().await;
            OTHERS.into_iter().for_each(|signal| supervised.sidecar.signal(signal));
            expect_echo(&mut long, "still").await;
            assert!(supervised.sidecar.is_running() && is_running(sidecar));
        });
    }

    #[test]
    fn a_supervisor_that_dies_lets_its_sidecar_drain() {
        run(async {
            let (supervised, long, sidecar) = supervised().await;
            supervised.sidecar.signal(Signal::KILL);
            drain(&supervised.sidecar, long, &[sidecar]).await;
        });
    }

    #[test]
    fn a_supervisor_that_dies_during_a_hot_restart_leaves_nobody() {
        run(async {
            let (supervised, long, sidecar) = supervised().await;
            let chain = supervised.sidecar.home.dir.join("chain.pem");
            fs::rename(&chain, chain.with_extension("aside")).unwrap();
            supervised.sidecar.signal(Signal::HUP);
            supervised.sidecar.until("another starts", || !children(sidecar).is_empty());
            let successor = children(sidecar)[0];
            supervised.sidecar.signal(Signal::KILL);
            drain(&supervised.sidecar, long, &[sidecar, successor]).await;
        });
    }
}

mod supervising_nobody {
    use super::*;

    #[test]
    fn an_end_ends_it() {
        run(async {
            let (supervised, _) = waiting().await;
            supervised.sidecar.signal(Signal::TERM);
            assert!(supervised.sidecar.wait().success());
        });
    }

    #[test]
    fn a_hangup_changes_nothing() {
        run(async {
            let (supervised, good) = waiting().await;
            supervised.sidecar.signal(Signal::HUP);
            fs::write(supervised.sidecar.home.dir.join("config.yaml"), good).unwrap();
            until_epoch(&supervised.sidecar, 0);
        });
    }

    #[test]
    fn others_change_nothing() {
        run(async {
            let (supervised, good) = waiting().await;
            OTHERS.into_iter().for_each(|signal| supervised.sidecar.signal(signal));
            fs::write(supervised.sidecar.home.dir.join("config.yaml"), good).unwrap();
            until_epoch(&supervised.sidecar, 0);
        });
    }
}

/// One decision, however many processes are told, and how often.
mod all_at_once {
    use super::*;

    fn twice(processes: &[i64]) {
        for signal in [Signal::TERM, Signal::INT] {
            processes.iter().filter(|id| is_running(**id)).for_each(|id| kill(*id, signal));
        }
    }

    #[test]
    fn one_process() {
        run(async {
            let (inbound, long) = serving().await;
            let all = [inbound.sidecar.id()];
            twice(&all);
            drain(&inbound.sidecar, long, &all).await;
            assert!(inbound.sidecar.wait().success());
        });
    }

    #[test]
    fn parent_and_starting_successor() {
        run(async {
            let (inbound, long, successor) = restarting().await;
            let all = [inbound.sidecar.id(), successor];
            twice(&all);
            drain(&inbound.sidecar, long, &all).await;
            assert!(inbound.sidecar.wait().success());
        });
    }

    #[test]
    fn parent_and_successor() {
        run(async {
            let (inbound, mut first, successor) = handed_over().await;
            let mut second = inbound.connect().await;
            expect_echo(&mut second, "by the successor").await;
            let all = [inbound.sidecar.id(), successor];
            twice(&all);
            expect_echo(&mut first, "still").await;
            drop(first);
            drain(&inbound.sidecar, second, &all).await;
            assert!(inbound.sidecar.wait().success());
        });
    }

    #[test]
    fn supervisor_and_sidecar() {
        run(async {
            let (supervised, long, sidecar) = supervised().await;
            let all = [supervised.sidecar.id(), sidecar];
            twice(&all);
            drain(&supervised.sidecar, long, &all).await;
            assert!(supervised.sidecar.wait().success());
        });
    }

    #[test]
    fn a_supervisor_that_is_late() {
        run(async {
            let (supervised, mut long, sidecar) = supervised().await;
            supervised.sidecar.signal(Signal::STOP);
            kill(sidecar, Signal::TERM);
            supervised.sidecar.signal(Signal::TERM);
            supervised.sidecar.until_logged(|line| line["message"] == *"draining");
            // Longer than what makes two decisions of two signals.
            let end = std::time::Instant::now() + std::time::Duration::from_millis(1500);
            while std::time::Instant::now() < end {
                expect_echo(&mut long, "while it is stopped").await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            supervised.sidecar.signal(Signal::CONT);
            drain(&supervised.sidecar, long, &[sidecar, supervised.sidecar.id()]).await;
            assert!(supervised.sidecar.wait().success());
        });
    }

    #[test]
    fn supervisor_parent_and_successor() {
        run(async {
            let (supervised, mut first, sidecar) = supervised().await;
            supervised.sidecar.signal(Signal::HUP);
            until_epoch(&supervised.sidecar, 1);
            let successor = supervised.info().unwrap()["pid"].as_i64().unwrap();
            let mut second = supervised.connect().await;
            expect_echo(&mut second, "by the successor").await;
            let all = [supervised.sidecar.id(), sidecar, successor];
            twice(&all);
            expect_echo(&mut first, "still").await;
            drop(first);
            drain(&supervised.sidecar, second, &all).await;
            assert!(supervised.sidecar.wait().success());
        });
    }
}

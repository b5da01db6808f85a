//! What happens when the process has no file descriptors left.
//!
//! The limit belongs to a process, so each test runs once more in a process of its own, which has a low one.

use crate::pki::Setup;
use crate::support::{
    TestEngine, acceptor_and_client, assert_all_returned, assert_serves, config, echo, localhost, run, until,
};
use rustls_multibuffer::handshake::{Engine, LocalEngine};
use std::fs::File;
use std::process::Command;
use tokio::net::{TcpListener, TcpStream};

/// Set in the process with the low limit.
const LIMITED: &str = "HANDSHAKE_TEST_LIMITED";
/// Handshakes that have begun before the descriptors are used up.
const RUNNING: usize = 8;
/// "Too many open files".
const EMFILE: i32 = 24;

#[test]
fn on_local_engine() {
    with_low_limit("descriptors::on_local_engine", || run(exhaust::<LocalEngine>()));
}

#[test]
fn on_engine() {
    with_low_limit("descriptors::on_engine", || run(exhaust::<Engine>()));
}

/// Runs `test`, the body of the test of that name, in a process that may open 128 files.
fn with_low_limit(name: &str, test: impl FnOnce()) {
    if std::env::var_os(LIMITED).is_some() {
        return test();
    }
    let limited = Command::new("sh")
        .args(["-c", "ulimit -n 128 && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let [out, err] = [&limited.stdout, &limited.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(limited.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

async fn exhaust<E: TestEngine>() {
    let engine = E::start(config());
    // Whatever is opened once and kept is open now.
    assert_serves(&engine).await;
    let open_before = open_descriptors();
    let (acceptor, connector) = acceptor_and_client(&engine, Setup::MTLS13);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut running = Vec::new();
    for _ in 0..RUNNING {
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        running.push((tokio::task::spawn_local(acceptor.accept(server)), client));
    }
    until(&engine, |stats| stats.in_flight == RUNNING).await;

    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    assert!(hoard.len() > RUNNING, "the limit was reached by other means");
    // One descriptor for a client that comes now, none for the server's end.
    hoard.pop();
    let newcomer = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(EMFILE));
    }

    let mut finished = Vec::new();
    for (server, client) in running {
        let mut client = connector.connect(localhost(), client).await.unwrap();
        let mut server = server.await.unwrap().unwrap();
        echo(&mut client, &mut server).await;
        finished.push((server, client));
    }
    assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(EMFILE), "there still is none left");

    drop((hoard, finished));
    let (server, _) = listener.accept().await.unwrap();
    let (server, client) = tokio::join!(acceptor.accept(server), connector.connect(localhost(), newcomer));
    echo(&mut client.unwrap(), &mut server.unwrap()).await;
    assert_serves(&engine).await;
    assert_all_returned(&engine).await;
    assert_eq!((engine.stats().succeeded, engine.stats().failed), (RUNNING as u64 + 3, 0));
    drop(listener);
    until(&engine, |_| open_descriptors() <= open_before).await;
}

/// The directory that is listed included.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

//! An engine in a process that is forked.

use crate::pki::{Keys, Setup};
use crate::support::{TestEngine, assert_serves, config, given_up, localhost, run};
use rustls_multibuffer::handshake::{Engine, HandshakeError, TlsAcceptor, TlsConnector};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The output of `future`, which is ready at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not at once"),
    }
}

/// What the child does: nothing of the engine hangs, and another one works.
fn in_child(engine: Engine, acceptor: &TlsAcceptor<Engine>, connector: &TlsConnector<Engine>) {
    let (server, client) = tokio::io::duplex(4096);
    assert_eq!(given_up(at_once(acceptor.accept(server))), HandshakeError::Forked);
    assert_eq!(given_up(at_once(connector.connect(localhost(), client))), HandshakeError::Forked);
    assert_eq!(at_once(engine.run(async {})), Err(HandshakeError::Forked));
    at_once(engine.drain());
    engine.shutdown();
    drop(engine);
    let another = Engine::start(config().threads(1));
    let mut running = pin!(another.run(async { 7 }));
    while running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        std::thread::yield_now();
    }
}

/// Runs `child` in a forked process and says how that ended.
#[expect(unsafe_code, reason = "nothing safe forks")]
fn forked(child: impl FnOnce() + std::panic::UnwindSafe) -> i32 {
    // SAFETY: the child calls no code that another thread of the parent may have left locked but the
    // allocator, which is unlocked in the child, and ends without running what the parent has registered.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        let code = i32::from(std::panic::catch_unwind(child).is_err());
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) }
    }
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let mut status = 0;
        // SAFETY: a child of this process that nobody else waits for, and a place for its status.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == pid {
            return status;
        }
        if Instant::now() > give_up {
            // SAFETY: the child has not been waited for, so that the number is still its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn in_a_forked_child_an_engine_fails_at_once() {
    let engine = Engine::start(config().threads(1));
    run(assert_serves(&engine));
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::TLS13.server(Keys::Ours)));
    let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::TLS13.client(Keys::Ours)));
    let child = std::panic::AssertUnwindSafe(|| in_child(engine.clone(), &acceptor, &connector));
    assert_eq!(forked(child), 0, "the child's status");
    run(assert_serves(&engine));
}

//! Calls into rustls, as the thread sees them that makes them.

use crate::fiber::contained;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A call that holds its thread for longer than this holds up every other handshake of the thread.
const LONG: Duration = Duration::from_millis(10);

/// What the calls of one thread were like.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Verifications that were answered without parking.
    pub(super) at_once: AtomicU64,
    /// Calls that were [`LONG`].
    pub(super) long: AtomicU64,
}

impl Calls {
    /// Runs a fiber until it parks or ends; tells what came of it, and when.
    pub(super) fn watch<T>(&self, run: impl FnOnce() -> T) -> (T, Instant) {
        static WARNED: Once = Once::new();
        let began = Instant::now();
        let step = run();
        let ended = Instant::now();
        let held = ended.saturating_duration_since(began);
        if held > LONG {
            self.long.fetch_add(1, Relaxed);
            WARNED.call_once(|| warn(held));
        }
        (step, ended)
    }
}

fn warn(held: Duration) {
    let warn = || {
        log::warn!(
            "a call into rustls has held its thread for {} ms, and with it all handshakes of the thread: a \
             certificate resolver, verifier or signer that blocks, or a busy machine (told once)",
            held.as_millis()
        );
    };
    // The logger is anybody's, and the fiber is not to be lost.
    let _told = contained(warn);
}

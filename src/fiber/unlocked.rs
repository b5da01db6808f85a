//! Whether the code above a park may be left waiting.
//!
//! Whoever parks keeps what the frames above it hold. If that is a lock, and the next fiber of the thread
//! waits for it, the thread blocks, and with it whatever would answer the first. Nobody can see from below
//! whether a lock is held above, so the callers must say: code that holds nothing calls down through
//! [`unlocked`]. What was said belongs to the fiber that said it, and is set aside while another one runs.

use std::cell::Cell;

thread_local! {
    static UNLOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`. The caller says that nobody above it holds anything that another fiber of the thread may wait
/// for.
pub(crate) fn unlocked<R>(body: impl FnOnce() -> R) -> R {
    with(true, body)
}

/// Whether the caller was called through [`unlocked`].
pub(crate) fn is_unlocked() -> bool {
    UNLOCKED.get()
}

/// Runs `switch`, which leaves this stack and returns to it.
pub(super) fn set_aside<R>(switch: impl FnOnce() -> R) -> R {
    with(false, switch)
}

fn with<R>(value: bool, body: impl FnOnce() -> R) -> R {
    let _before = Before(UNLOCKED.replace(value));
    body()
}

/// Restores what was before, also when it ends by unwinding.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        UNLOCKED.set(self.0);
    }
}

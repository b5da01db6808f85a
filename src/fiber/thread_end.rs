//! When a thread's fibers must not run any more.
//!
//! A fiber may be suspended inside of `LocalKey::with`. Thread-locals are destroyed in the reverse order of
//! their first use, so that one of our own, first used when a fiber parks, is destroyed before any that the
//! fiber was in the middle of using. From then on nothing is resumed: safe code would find destroyed values.
//! Who is suspended stays so, as a thread that sleeps for ever would.

use std::cell::Cell;

thread_local! {
    static SENTINEL: Sentinel = const { Sentinel };
    /// It has no destructor, and can be read to the very end.
    static HAS_COME: Cell<bool> = const { Cell::new(false) };
}

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        HAS_COME.set(true);
    }
}

/// Has the end of this thread noticed: to be called before a fiber is suspended.
pub(super) fn watch() {
    if SENTINEL.try_with(|_| ()).is_err() {
        HAS_COME.set(true);
    }
}

/// Whether the thread's thread-locals are being destroyed.
pub(super) fn has_come() -> bool {
    HAS_COME.get()
}

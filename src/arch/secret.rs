//! Secret buffers that wipe themselves.

use std::fmt;
use zeroize::Zeroize;

/// A heap buffer of secret words: wiped when dropped, never printed, never cloned.
///
/// This is the one wiping point for key material and kernel scratch: whatever holds a secret holds it in
/// here. The buffer has a fixed length, so that no reallocation can leave a copy behind.
pub struct Secret<T: Zeroize>(Box<[T]>);

impl<T: Zeroize + Clone + Default> Secret<T> {
    /// `len` words of zero.
    pub fn zeroed(len: usize) -> Self {
        Self(vec![T::default(); len].into_boxed_slice())
    }
}

impl<T: Zeroize + Copy> Secret<T> {
    /// A copy of `words`. The caller's copy stays the caller's to wipe.
    pub fn copied_from(words: &[T]) -> Self {
        Self(words.into())
    }
}

impl<T: Zeroize> Secret<T> {
    /// The words, for the computation that needs them.
    pub fn expose(&self) -> &[T] {
        &self.0
    }

    /// The words, for writing.
    pub fn expose_mut(&mut self) -> &mut [T] {
        &mut self.0
    }

    /// Wipes the words, which become zero, before the buffer is dropped.
    pub fn wipe(&mut self) {
        self.0.zeroize();
    }
}

/// Bytes of the stack that [`wiping_stack`] wipes: a half more than aws-lc uses of it (18 KiB for a signature
/// with P-384), or four lanes.
pub(crate) const WIPED: usize = 24 * 1024;

/// Bytes of the stack that [`wiping_deep_stack`] wipes: a quarter more than eight lanes use (31 KiB for a
/// signature with P-384).
pub(crate) const DEEPLY_WIPED: usize = 40 * 1024;

/// Runs `body` in a frame of its own, and wipes the [`WIPED`] bytes of the calling thread's stack that lie
/// below the caller's frame, also when `body` panics.
///
/// What holds a secret on purpose is in a [`Secret`] or wiped by its owner. This is for what the compiler
/// puts on the stack by itself: results that functions return by value, and registers that it spills. What
/// `body` returns is the caller's: no secret by value.
pub(crate) fn wiping_stack<R>(body: impl FnOnce() -> R) -> R {
    wiping::<WIPED, R>(body)
}

/// The same for a batch in eight lanes, whose vectors take more of the stack: wipes [`DEEPLY_WIPED`] bytes.
pub(crate) fn wiping_deep_stack<R>(body: impl FnOnce() -> R) -> R {
    wiping::<DEEPLY_WIPED, R>(body)
}

fn wiping<const BYTES: usize, R>(body: impl FnOnce() -> R) -> R {
    struct Wipe<const BYTES: usize>;

    impl<const BYTES: usize> Drop for Wipe<BYTES> {
        fn drop(&mut self) {
            wipe_stack::<BYTES>();
        }
    }

    let _wipe = Wipe::<BYTES>;
    apart(body)
}

#[inline(never)]
fn apart<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[inline(never)]
fn wipe_stack<const BYTES: usize>() {
    let bytes = [0u8; BYTES];
    // Whoever may look at the bytes must find them written.
    std::hint::black_box(&bytes);
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} words)", self.0.len())
    }
}

//! The floating-point environment: MXCSR, which a thread inherits and any library may have changed.
//!
//! Kernels need the environment that Rust itself assumes. A library built with `-ffast-math` changes it for
//! the process that loads it; other code changes the rounding, or asks for a signal when a result is inexact,
//! as our products are.

/// Runs `body` in the default environment: to nearest, all exceptions masked, denormals as they are. The
/// thread's own is there again afterwards, its flags included, also when `body` panics.
pub(crate) fn in_default_environment<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(lanes)]
    let _restored = x86_64::Changed::to_default();
    body()
}

#[cfg(lanes)]
pub(super) use x86_64::assert_default;

#[cfg(all(test, lanes))]
pub(crate) use x86_64::{CONTROL, DEFAULT, changed, current};

#[cfg(lanes)]
mod x86_64 {
    use std::arch::asm;

    /// Flush-to-zero, rounding control, exception masks, denormals-are-zero; the rest are sticky flags.
    pub(crate) const CONTROL: u32 = 0b1111_1111_1100_0000;
    /// All exceptions masked.
    pub(crate) const DEFAULT: u32 = 0b0001_1111_1000_0000;

    /// The word that it found, which it loads again when dropped.
    pub(super) struct Changed(u32);

    impl Changed {
        /// Does nothing but look where the environment is the default one: loading costs more than a
        /// multiplication.
        pub(super) fn to_default() -> Option<Self> {
            let found = current();
            (found & CONTROL != DEFAULT).then(|| {
                load(DEFAULT);
                Self(found)
            })
        }
    }

    impl Drop for Changed {
        fn drop(&mut self) {
            load(self.0);
        }
    }

    /// Panics unless the environment is the default one.
    pub(crate) fn assert_default() {
        assert_eq!(current() & CONTROL, DEFAULT, "the floating-point environment was changed");
    }

    pub(crate) fn current() -> u32 {
        let mut mxcsr = 0u32;
        // SAFETY: stores 4 bytes to a local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack, preserves_flags)) };
        mxcsr
    }

    fn load(mxcsr: u32) {
        // SAFETY: the word is the default one, or one that `current` read: no reserved bit is set. It changes
        // how floating-point instructions work, to what Rust assumes or to what the thread's owner chose.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &mxcsr, options(nostack, preserves_flags, readonly)) };
    }

    /// Runs `body` with these control bits, as if another library had set them. It must not compute with
    /// floating-point numbers outside of [`in_default_environment`](super::in_default_environment).
    #[cfg(test)]
    pub(crate) fn changed<R>(control: u32, body: impl FnOnce() -> R) -> R {
        let _restored = Changed(current());
        load(control & CONTROL);
        body()
    }
}

#[cfg(all(test, lanes))]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn any_environment_is_replaced_and_restored() {
        for control in (0..1 << 10).map(|bits: u32| bits << 6) {
            let (inside, after, after_a_panic) = changed(control, || {
                let inside = in_default_environment(current);
                let after = current();
                let panicked =
                    catch_unwind(|| in_default_environment(|| std::panic::resume_unwind(Box::new(()))));
                assert!(panicked.is_err());
                (inside, after, current())
            });
            assert_eq!(inside & CONTROL, DEFAULT, "{control:x}");
            assert_eq!([after & CONTROL, after_a_panic & CONTROL], [control; 2]);
        }
        assert_default();
    }
}

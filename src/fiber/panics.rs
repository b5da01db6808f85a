//! Panics that end where they are.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`, and makes a value of its panic. Nothing that `f` or its panic brings can panic any further.
pub(crate) fn contained<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)
}

/// What a panic said.
pub(crate) struct Panic(String);

impl Panic {
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let panic = Self::of(message.unwrap_or("a panic without a message"));
        // A payload is anybody's type: its destructor may panic, and so may that of the panic's payload.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
        panic
    }

    pub(super) fn of(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped, as often as it can.
    struct Again(u32);

    impl Drop for Again {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_that_panics_goes_no_further() {
        assert_eq!(contained(|| 7).unwrap(), 7);
        assert_eq!(contained(|| panic!("number {}", 7)).unwrap_err().to_string(), "number 7");
        let endless = contained(|| std::panic::panic_any(Again(3))).unwrap_err();
        assert_eq!(endless.to_string(), "a panic without a message");
    }
}

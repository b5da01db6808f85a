//! A thread's current loan: how code deep inside a call reaches a reference that the outermost caller holds.
//!
//! rustls calls our signer without any context of ours, so the fiber that it runs on has to be found through
//! a thread-local. What is found is a reference with a lifetime; this module makes that sound for *every*
//! caller, whatever stacks are switched meanwhile:
//!
//! * [`lend`] makes one [`Loan`] token (it can be neither copied nor made elsewhere) and puts it into the
//!   thread's slot. It returns, or unwinds, only after it has taken exactly that token out of the slot again.
//! * [`with_aside`] takes the token **out** of the slot, uses the reference, and puts the token back.
//!
//! So a reference is used only while its token is out of the slot; while the token is out, `lend` cannot
//! return; and while `lend` has not returned, the borrow that it was given is alive. A program that breaks
//! the nesting (which only switching stacks could do) does not get a dangling reference: it is aborted.

use std::any::TypeId;
use std::cell::Cell;
use std::ptr::NonNull;

/// The right to use one lent reference. Deliberately neither `Clone` nor `Copy`.
struct Loan {
    value: NonNull<()>,
    kind: TypeId,
}

thread_local! {
    static CURRENT: Cell<Option<Loan>> = const { Cell::new(None) };
}

/// Runs `body`, during which [`with_aside`] on this thread finds `value`.
///
/// Aborts the process when another loan is already in the slot; its holder must have set it aside.
pub(crate) fn lend<T: 'static, R>(value: &T, body: impl FnOnce() -> R) -> R {
    put(Loan { value: NonNull::from(value).cast(), kind: TypeId::of::<T>() });
    let _end = End { value: NonNull::from(value).cast(), kind: TypeId::of::<T>() };
    body()
}

/// Runs `f` with the reference lent on this thread, if there is one and it is a `T`, while the slot is
/// **empty**: whoever else runs on this thread before `f` returns finds no loan, and may lend.
pub(crate) fn with_aside<T: 'static, R>(f: impl FnOnce(Option<&T>) -> R) -> R {
    let aside = Aside(CURRENT.take());
    let value = match &aside.0 {
        Some(loan) if loan.kind == TypeId::of::<T>() => {
            // SAFETY: `lend` made the pointer from a `&T` (the kind says so) and has not returned: it cannot
            // before it finds this token in the slot, and `aside` holds the token until `f` is done.
            Some(unsafe { loan.value.cast::<T>().as_ref() })
        }
        _ => None,
    };
    f(value)
}

/// Whether a `T` is lent on this thread.
pub(crate) fn is_lent<T: 'static>() -> bool {
    with_aside(|value: Option<&T>| value.is_some())
}

/// Takes the token back when the borrow ends, also when it ends by unwinding.
struct End {
    value: NonNull<()>,
    kind: TypeId,
}

impl Drop for End {
    fn drop(&mut self) {
        let is_ours = |loan: &Loan| loan.value == self.value && loan.kind == self.kind;
        if !CURRENT.take().as_ref().is_some_and(is_ours) {
            broken("a loan ended while it was in use");
        }
    }
}

/// Puts a token back when `with_aside` is done.
struct Aside(Option<Loan>);

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(loan) = self.0.take() {
            put(loan);
        }
    }
}

fn put(loan: Loan) {
    if CURRENT.replace(Some(loan)).is_some() {
        broken("two loans at a time");
    }
}

#[cold]
fn broken(what: &str) -> ! {
    eprintln!("rustls-multibuffer: {what}: stack switching broke the nesting of calls");
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn current() -> Option<u32> {
        with_aside(|value: Option<&u32>| value.copied())
    }

    #[test]
    fn a_loan_is_seen_only_while_it_lasts() {
        assert_eq!(current(), None);
        lend(&7_u32, || {
            assert_eq!(current(), Some(7));
            assert!(is_lent::<u32>());
            assert!(!is_lent::<i32>(), "another type is not found");
            assert_eq!(current(), Some(7), "looking does not take");
        });
        assert_eq!(current(), None);
    }

    #[test]
    fn set_aside_hides_the_loan_and_allows_another() {
        lend(&1_u32, || {
            with_aside(|outer: Option<&u32>| {
                assert_eq!(current(), None);
                assert_eq!(lend(&2_u32, current), Some(2));
                assert_eq!(outer, Some(&1));
            });
            assert_eq!(current(), Some(1));
        });
    }

    #[test]
    fn unwinding_ends_a_loan_and_restores_one_set_aside() {
        lend(&1_u32, || {
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                with_aside(|_: Option<&u32>| lend(&2_u32, || panic!("on purpose")))
            }));
            assert!(unwound.is_err());
            assert_eq!(current(), Some(1));
        });
        assert_eq!(current(), None);
    }
}

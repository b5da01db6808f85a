//! Faults for tests: what a failing multiplier or memory cell would do.

use std::cell::RefCell;

/// Changes the two CRT halves of a result before they are recombined.
type Fault = Box<dyn FnMut(&mut [u64], &mut [u64])>;

thread_local! {
    pub(crate) static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

pub(super) fn inject(m1: &mut [u64], m2: &mut [u64]) {
    FAULT.with_borrow_mut(|fault| {
        if let Some(fault) = fault {
            fault(m1, m2);
        }
    });
}

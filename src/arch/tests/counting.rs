//! Instruction counts and trace hashes from the emulator that runs the AVX-512 tests.
//!
//! The emulator offers three system calls that no Linux has: elsewhere they fail, and nothing is counted.

use std::arch::asm;
use std::ffi::CStr;

/// Runs `f` and has the emulator print, under `label`, what it executed: instructions, loads, stores, and
/// hashes of the instruction and data address traces.
pub(crate) fn counted<R>(label: &CStr, f: impl FnOnce() -> R) -> R {
    system_call(9000, 0);
    let result = f();
    system_call(9001, label.as_ptr() as usize);
    result
}

/// One of the emulator's calls.
fn system_call(number: usize, argument: usize) {
    // SAFETY: numbers from 9000 on are the emulator's, which reads a C string at the argument at most; the
    // kernel answers ENOSYS. The instruction clobbers rax, rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") number => _, in("rdi") argument, lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
}

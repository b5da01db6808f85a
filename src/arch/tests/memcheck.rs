//! Valgrind's memcheck as a check of constant time: it follows undefined bits and reports every branch and
//! every address that depends on one. Whatever is marked secret here is undefined to it.
//!
//! Tests only. Outside valgrind the requests do nothing.

use std::cell::Cell;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// `VG_USERREQ_TOOL_BASE('M', 'C')` of `valgrind.h`.
const MEMCHECK: u64 = ((b'M' as u64) << 24) | ((b'C' as u64) << 16);
const RUNNING_ON_VALGRIND: u64 = 0x1001;
const COUNT_ERRORS: u64 = 0x1201;
const STACK_REGISTER: u64 = 0x1501;
const STACK_DEREGISTER: u64 = 0x1502;

/// aws-lc as if the CPU had neither SHA nor VAES nor VPCLMULQDQ instructions, which valgrind does not know.
const WITHOUT_UNKNOWN: (&str, &str) = ("OPENSSL_ia32cap", "~0x0:~0x0000060020000000");

/// Whether the process runs in valgrind.
pub(crate) fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, [0; 3]) != 0
}

/// Makes `values` secret from here on, and whatever is computed from them.
pub(crate) fn mark_secret<T>(values: &[T]) {
    // VALGRIND_MAKE_MEM_UNDEFINED
    request(MEMCHECK + 1, [values.as_ptr() as u64, size_of_val(values) as u64, 0]);
}

/// Makes a prime secret, but for what everybody knows: that it is odd, and its length.
pub(crate) fn mark_secret_prime(limbs: &[u64]) {
    mark_secret(&limbs[..limbs.len() - 1]);
    let undefined = 0xfe_u8;
    // VALGRIND_SET_VBITS of the lowest byte.
    request(MEMCHECK + 9, [limbs.as_ptr() as u64, &raw const undefined as u64, 1]);
}

/// The same value, which is no secret any more.
pub(crate) fn public<T: Copy>(value: T) -> T {
    let value = black_box(value);
    // VALGRIND_MAKE_MEM_DEFINED
    request(MEMCHECK + 2, [&raw const value as u64, size_of::<T>() as u64, 0]);
    // Whatever the compiler knew of the value, it reads it again.
    *black_box(&value)
}

static RANDOM_IS_SECRET: AtomicBool = AtomicBool::new(false);

/// Makes random numbers secret from now on, all over the process.
pub(crate) fn mark_random_numbers() {
    RANDOM_IS_SECRET.store(true, Relaxed);
}

/// Called with every random number that is drawn.
pub(crate) fn drawn(random: &[u8]) {
    if RANDOM_IS_SECRET.load(Relaxed) {
        mark_secret(random);
    }
}

/// Runs `test` of this program, the caller, in valgrind with `options`, and nothing else; it must succeed
/// there.
pub(crate) fn run(test: &str, options: &[&str]) {
    let mut command = Command::new("valgrind");
    command.arg("-q").args(options).arg(std::env::current_exe().expect("this program"));
    command.args([test, "--exact", "--ignored", "--test-threads=1", "--nocapture"]);
    let output = command.env(WITHOUT_UNKNOWN.0, WITHOUT_UNKNOWN.1).output().expect("valgrind starts");
    let report = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && report[0].contains("1 passed"), "{}\n{}", report[0], report[1]);
}

/// Errors that memcheck has reported so far.
pub(crate) fn errors() -> u64 {
    request(COUNT_ERRORS, [0; 3])
}

/// Asserts that no branch and no address in `work` depends on a secret. What it gives, which is to be secret,
/// then becomes an address: that leak must be found, or the check is blind.
pub(crate) fn assert_constant_time(what: &str, work: impl FnOnce() -> u64) {
    let before = errors();
    let secret = work();
    assert_eq!(errors(), before, "{what}: a branch or an address depends on a secret, see above");
    // An address, because a branch could become a conditional move.
    black_box(black_box([0u8; 8])[(secret & 7) as usize]);
    assert!(errors() > before, "{what}: the planted leak is not found");
}

/// Reads what may not be read, and asserts that memcheck says so.
pub(crate) fn assert_finds_bad_access() {
    let (before, forbidden) = (errors(), vec![1u8; 64]);
    // VALGRIND_MAKE_MEM_NOACCESS: as if it were free already.
    request(MEMCHECK, [forbidden.as_ptr() as u64, 64, 0]);
    black_box(black_box(&forbidden)[10]);
    assert!(errors() > before, "the planted access is not found");
    // VALGRIND_MAKE_MEM_DEFINED
    request(MEMCHECK + 2, [forbidden.as_ptr() as u64, 64, 0]);
}

/// Makes a stack's memory, which valgrind forgets when a call returns, known again: it is about to be looked
/// at and wiped.
pub(crate) fn mark_readable<T>(memory: &[T]) {
    // VALGRIND_MAKE_MEM_DEFINED
    request(MEMCHECK + 2, [memory.as_ptr() as u64, size_of_val(memory) as u64, 0]);
}

thread_local! {
    static THREAD_IS_KNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Tells valgrind, once, of the stack of the calling thread, to which its fibers return.
pub(crate) fn register_thread() {
    /// Less than is left of any thread's stack.
    const BELOW: u64 = 1 << 20;
    if !THREAD_IS_KNOWN.replace(true) {
        let marker = 0u8;
        let here = black_box(&raw const marker) as u64;
        // What called this lies above.
        register_stack(here - BELOW, here + 64 * 1024);
    }
}

/// Tells valgrind of a stack, so that going over to it is no enormous frame.
pub(crate) fn register_stack(lowest: u64, end: u64) -> u64 {
    request(STACK_REGISTER, [lowest, end, 0])
}

pub(crate) fn deregister_stack(id: u64) {
    request(STACK_DEREGISTER, [id, 0, 0]);
}

fn request(code: u64, [first, second, third]: [u64; 3]) -> u64 {
    let request = [code, first, second, third, 0, 0];
    let mut answer = 0u64;
    #[cfg(lanes)]
    // SAFETY: the rotations of rdi add up to 128 bits and the exchange is one of rbx with itself: nothing
    // changes but the flags. Valgrind recognizes the sequence, reads the request that rax points to, changes
    // nothing in the memory that this names but its own notes, and puts its answer into rdx.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") answer, options(nostack)
        );
    }
    answer
}

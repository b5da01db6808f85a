//! Valgrind's memcheck as a check of constant time: it follows undefined bits and reports every branch and every
//! address that depends on one. Whatever is marked secret here is undefined to it.
//!
//! Tests only. Outside valgrind the requests do nothing.

/// `VG_USERREQ_TOOL_BASE('M', 'C')` of `valgrind.h`.
const MEMCHECK: u64 = ((b'M' as u64) << 24) | ((b'C' as u64) << 16);
const RUNNING_ON_VALGRIND: u64 = 0x1001;

/// Whether the process runs in valgrind.
pub(crate) fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, &[]) != 0
}

/// Makes `words` secret from here on, and whatever is computed from them.
pub(crate) fn mark_secret(words: &mut [u64]) {
    // VALGRIND_MAKE_MEM_UNDEFINED
    request(MEMCHECK + 1, words);
}

fn request(code: u64, words: &[u64]) -> u64 {
    let request = [code, words.as_ptr() as u64, size_of_val(words) as u64, 0, 0, 0];
    let mut answer = 0u64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the rotations of rdi add up to 128 bits and the exchange is one of rbx with itself: nothing
    // changes but the flags. Valgrind recognizes the sequence, reads the request that rax points to, which
    // names memory of `words`, changes nothing there but its own notes, and puts its answer into rdx.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") answer, options(nostack)
        );
    }
    answer
}

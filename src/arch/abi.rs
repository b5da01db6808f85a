//! Whether assembly functions keep to the calling convention. For tests.

super::asm::assembly!(include_str!("../../asm/abi_check.S"));

unsafe extern "sysv64" {
    /// asm/abi_check.S
    #[link_name = "rustls_multibuffer_abi_check"]
    fn abi_check(function: *const (), arguments: *const usize, report: *mut u64);

    /// asm/abi_check.S
    #[link_name = "rustls_multibuffer_abi_breaker"]
    fn abi_breaker();
}

/// What the registers to be preserved hold before the call.
const PATTERN: [u64; 6] = [
    0x0123_4567_89ab_cdef,
    0x1032_5476_98ba_dcfe,
    0x2301_6745_ab89_efcd,
    0x3210_7654_ba98_fedc,
    0x4567_0123_cdef_89ab,
    0x5476_1032_dcfe_98ba,
];

/// Calls `function` and names the rules of the System V calling convention that it broke, and `dirty vectors`
/// where it left the upper halves of vector registers to slow down whatever runs next.
///
/// # Safety
/// This machine has AVX2 and what the function needs; the function may be called with these arguments.
pub(super) unsafe fn violations(function: *const (), arguments: [usize; 6]) -> Vec<&'static str> {
    let mut report = [0; 10];
    report[..6].copy_from_slice(&PATTERN);
    // SAFETY: six arguments to read, ten words to write; for the function the caller vouches.
    unsafe { abi_check(function, arguments.as_ptr(), report.as_mut_ptr()) };
    let saved = ["rbx", "rbp", "r12", "r13", "r14", "r15"].into_iter().zip(report.iter().zip(PATTERN));
    let mut broken: Vec<_> =
        saved.filter(|(_, (after, before))| **after != *before).map(|(r, _)| r).collect();
    assert_eq!(report[6], report[7], "the stack pointer");
    if report[8] & (1 << 10) != 0 {
        broken.push("direction flag");
    }
    if report[9] != 0 {
        broken.push("dirty vectors");
    }
    broken
}

#[test]
fn violations_are_found() {
    super::testing::with_tier(super::TierKind::Avx2Fma, super::Avx2Fma::detect(), |_| {
        // SAFETY: the tier has AVX2. The function takes no arguments, and abi_check puts right what it breaks.
        let found = unsafe { violations(abi_breaker as *const (), [0; 6]) };
        assert_eq!(found, ["rbx", "rbp", "r12", "r13", "r14", "r15", "direction flag", "dirty vectors"]);
    });
}

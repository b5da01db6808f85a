//! Whether assembly functions keep to the calling convention. For tests.

std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/abi_check.S")), options(raw));

unsafe extern "sysv64" {
    /// asm/abi_check.S
    #[link_name = "rustls_multibuffer_abi_check"]
    fn abi_check(function: *const (), arguments: *const usize, report: *mut u64, lower: usize);

    /// asm/abi_check.S
    #[link_name = "rustls_multibuffer_abi_breaker"]
    fn abi_breaker();

    /// asm/abi_check.S
    #[link_name = "rustls_multibuffer_abi_misaligner"]
    pub(super) fn abi_misaligner();
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

/// The control bits of MXCSR; the rest are sticky flags, which anybody may set.
const MXCSR_CONTROL: u64 = 0xffc0;

/// The x87 control word with which Linux starts processes.
const X87_CONTROL: u64 = 0x037f;

/// Calls `function` with the stack at each alignment that the convention allows, and names the rules of the
/// System V calling convention that it broke, and `dirty vectors` where it left the upper halves of vector
/// registers to slow down whatever runs next.
///
/// # Safety
/// This machine has AVX2 and what the function needs; the function may be called with these arguments.
pub(super) unsafe fn violations(function: *const (), arguments: [usize; 7]) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for lower in [0, 16, 32, 48] {
        // SAFETY: the caller's promises.
        broken.extend(unsafe { violations_at(function, arguments, lower) });
    }
    broken.dedup();
    broken
}

/// The same with the stack lowered by `lower` bytes, a multiple of 16.
///
/// # Safety
/// That of [`violations`].
unsafe fn violations_at(function: *const (), arguments: [usize; 7], lower: usize) -> Vec<&'static str> {
    let mut report = [0; 16];
    report[..6].copy_from_slice(&PATTERN);
    // SAFETY: seven arguments to read, sixteen words to write; for the function the caller vouches.
    unsafe { abi_check(function, arguments.as_ptr(), report.as_mut_ptr(), lower) };
    let saved = ["rbx", "rbp", "r12", "r13", "r14", "r15"].into_iter().zip(report.iter().zip(PATTERN));
    let mut broken: Vec<_> =
        saved.filter(|(_, (after, before))| **after != *before).map(|(r, _)| r).collect();
    let [before, after] = [report[10], report[10] >> 32].map(|mxcsr| mxcsr & MXCSR_CONTROL);
    let rules = [
        ("stack pointer", report[6] == report[7]),
        ("direction flag", report[8] & (1 << 10) == 0),
        ("dirty vectors", report[9] == 0),
        ("MXCSR", before == after),
        ("caller's frame", report[11] == 0),
        ("x87 control word", report[12] & 0xffff == X87_CONTROL),
        ("x87 registers in use", report[13] & 0xffff == 0xffff),
    ];
    broken.extend(rules.into_iter().filter(|(_, kept)| !kept).map(|(rule, _)| rule));
    broken
}

#[test]
fn violations_are_found() {
    super::testing::with_tier(crate::arch::TierKind::Avx2Fma, crate::arch::Avx2Fma::detect(), |_| {
        // SAFETY: the tier has AVX2. The function takes no arguments, and abi_check puts right what it
        // breaks.
        let found = unsafe { violations_at(abi_breaker as *const (), [0; 7], 0) };
        let registers = ["rbx", "rbp", "r12", "r13", "r14", "r15"];
        let others = ["direction flag", "dirty vectors", "MXCSR", "caller's frame", "x87 control word"];
        assert_eq!(found, [&registers[..], &others, &["x87 registers in use"]].concat());
    });
}

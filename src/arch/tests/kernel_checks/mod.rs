//! What is checked of every assembly kernel, whatever it computes: that it keeps to the calling convention,
//! and that it reads and writes nothing but its arguments.
//!
//! Each tier lists [`Call`]s of its kernels. A kernel of `asm/` that nobody lists fails
//! `no_kernel_is_forgotten`.

#[cfg(target_os = "linux")]
mod guarded;

use super::abi;
use super::calls::{Argument, Call};
use super::testing::with_tier;
use crate::arch::ifma::montgomery::calls as ifma;
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, TierKind, fma};

/// Contents aligned for vectors.
#[derive(Clone)]
#[repr(C, align(64))]
struct Aligned([u64; 8]);

fn assert_calling_convention(calls: Vec<Call>) {
    for call in calls {
        let mut memories = Vec::new();
        let words = call.words(|argument| {
            let words = argument.contents();
            let mut memory = vec![Aligned([0; 8]); words.len().div_ceil(8)];
            memory.iter_mut().flat_map(|a| &mut a.0).zip(words).for_each(|(to, word)| *to = *word);
            memories.push(memory);
            memories.last_mut().expect("just pushed").as_mut_ptr() as usize
        });
        // SAFETY: the tier was detected; a call lists what its kernel may be called with.
        let violations = unsafe { abi::violations(call.function, words) };
        assert!(violations.is_empty(), "{}: {violations:?}", call.name);
    }
}

#[test]
fn calling_convention_avx2_fma() {
    let calls = fma::kernel_calls;
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |_| assert_calling_convention(calls()));
}

#[test]
fn calling_convention_avx_ifma() {
    let calls = ifma::avx;
    with_tier(TierKind::AvxIfma, AvxIfma::detect(), |_| assert_calling_convention(calls()));
}

#[test]
fn calling_convention_avx512_ifma() {
    let calls = ifma::avx512;
    with_tier(TierKind::Avx512Ifma, Avx512Ifma::detect(), |_| assert_calling_convention(calls()));
}

/// The functions of `asm/`, by their names without the crate's prefix.
const KERNELS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// The kernels that no call names.
fn unlisted(calls: &[Call]) -> Vec<&'static str> {
    let is_listed = |kernel: &&str| calls.iter().any(|call| call.name == *kernel);
    KERNELS.iter().copied().filter(|kernel| !is_listed(kernel)).collect()
}

/// Only lists the calls, so it needs no tier.
#[test]
fn no_kernel_is_forgotten() {
    let lists = [fma::kernel_calls, ifma::avx, ifma::avx512];
    let mut calls: Vec<_> = lists.into_iter().flat_map(|list| list()).collect();
    assert!(calls.iter().all(|call| KERNELS.contains(&call.name)));
    assert_eq!(unlisted(&calls), <[&str; 0]>::default());
    let forgotten = calls.swap_remove(0).name;
    calls.retain(|call| call.name != forgotten);
    assert_eq!(unlisted(&calls), [forgotten], "a forgotten kernel is found");
}

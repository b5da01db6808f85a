//! What is checked of every assembly kernel, whatever it computes: that it keeps to the calling convention, and that it
//! reads and writes nothing but its arguments.
//!
//! Each tier lists [`Call`]s of its kernels. A kernel that Rust declares and nobody lists fails `no_kernel_is_forgotten`.

#[cfg(target_os = "linux")]
mod guarded;

use super::calls::{Argument, Call};
use super::testing::with_tier;
use super::{Avx2Fma, Avx512Ifma, AvxIfma, TierKind, abi};

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
        assert!(violations.is_empty(), "{}: {violations:?}", call.symbol);
    }
}

#[test]
fn calling_convention_avx2_fma() {
    let calls = super::avx2fma::kernel_calls;
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |_| assert_calling_convention(calls()));
}

#[test]
fn calling_convention_avx_ifma() {
    let calls = super::avxifma::kernel_calls;
    with_tier(TierKind::AvxIfma, AvxIfma::detect(), |_| assert_calling_convention(calls()));
}

#[test]
fn calling_convention_avx512_ifma() {
    let calls = super::avx512ifma::kernel_calls;
    with_tier(TierKind::Avx512Ifma, Avx512Ifma::detect(), |_| assert_calling_convention(calls()));
}

/// The symbols that Rust sources declare: whatever they name that begins like a symbol of `asm/`.
fn declared(directory: &std::path::Path, symbols: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            declared(&path, symbols);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let prefix = concat!("rustls_multi", "buffer_");
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let names = text.split(prefix).skip(1);
            let names = names.map(|rest| rest.split(|c| !is_name(c)).next().expect("a first part"));
            symbols.extend(
                names
                    .filter(|name| !name.is_empty() && !name.ends_with('_'))
                    .map(|name| format!("{prefix}{name}")),
            );
        }
    }
}

/// The declared symbols that no call names.
fn unlisted(declared: &[String], calls: &[Call]) -> Vec<String> {
    let is_listed = |symbol: &&String| calls.iter().any(|call| call.symbol == *symbol);
    let own = |symbol: &&String| symbol.contains("_abi_");
    declared.iter().filter(|symbol| !own(symbol) && !is_listed(symbol)).cloned().collect()
}

/// Only lists the calls, so it needs no tier.
#[test]
fn no_kernel_is_forgotten() {
    let mut symbols = Vec::new();
    declared(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arch"), &mut symbols);
    let lists = [super::avx2fma::kernel_calls, super::avxifma::kernel_calls, super::avx512ifma::kernel_calls];
    let mut calls: Vec<_> = lists.into_iter().flat_map(|list| list()).collect();
    assert_eq!(unlisted(&symbols, &calls), <[String; 0]>::default());
    let forgotten = calls.swap_remove(0).symbol;
    calls.retain(|call| call.symbol != forgotten);
    assert!(unlisted(&symbols, &calls).iter().all(|symbol| symbol == forgotten));
    assert!(!unlisted(&symbols, &calls).is_empty(), "a forgotten kernel is found");
}

//! AVX2 and FMA: four lanes of numbers whose signed digits are held exactly in doubles.
//!
//! # The picture
//!
//! AVX2 has no wide integer multiplier, but two FMA pipes. A double holds any integer up to 2^53; an FMA of
//! two 49-bit integers rounds their 98-bit product only once. Choose the addend so that the rounding happens
//! at a known bit, subtract what was rounded off, and a second FMA gives the rest *exactly*: two halves of a
//! product, each in a double, no integer instruction involved (`asm/avx2fma_columns.S` has the formula).
//!
//! Every number here is an exact integer. No denormal, infinity or NaN can occur: unused lanes hold zero, and
//! the range proofs keep every sum below 2^53 units. The rounding mode must be the default one, to nearest,
//! with exceptions masked: a batch sets that (`arch/mxcsr.rs`), and it is asserted once a batch.

mod doubles;
mod field25519;
mod lookup;
mod montgomery;
mod prime;

std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/avx2fma.S")), options(raw));

/// Every kernel once, for the tests of what all kernels have to keep to.
#[cfg(test)]
pub(super) fn kernel_calls() -> Vec<super::tests::calls::Call> {
    let fields = field25519::kernel_calls().into_iter().chain(prime::kernel_calls());
    montgomery::kernel_calls().into_iter().chain(fields).collect()
}

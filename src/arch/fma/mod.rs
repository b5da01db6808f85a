//! AVX2 and FMA: four lanes of signed digits, held exactly in doubles.

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

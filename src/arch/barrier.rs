//! Keeps the optimizer from turning masks back into branches.

/// `word`, as a value about which the compiler knows nothing.
///
/// Constant-time code computes both outcomes and picks one with a mask of all zeros or all ones. A compiler
/// that sees where such a mask comes from may replace the pick by a jump. Behind this barrier it cannot see
/// that. Unlike [`core::hint::black_box`] the word stays in a register, so inner loops can afford it.
#[inline(always)]
pub(crate) fn value_barrier(word: u64) -> u64 {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    {
        let mut word = word;
        // SAFETY: the template is an assembler comment: no instruction runs, no memory, stack or flag is
        // touched, and the register keeps its value.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        word
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    {
        core::hint::black_box(word)
    }
}

#[cfg(test)]
mod tests {
    use super::value_barrier;

    #[test]
    fn the_word_is_unchanged() {
        for word in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(value_barrier(word), word);
        }
    }
}

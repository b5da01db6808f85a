//! Calls of kernels, as data: every tier lists those of its assembly functions, for tests of what all of them
//! have to keep to.

use super::testing::Random;
use crate::arch::lanes::LaneVec;
use std::{ptr, slice};

/// An argument of a kernel. Memory is given as its contents.
pub(in crate::arch) enum Argument {
    /// What the kernel reads only.
    In(Vec<u64>),
    /// What it may write, and perhaps reads.
    Out(Vec<u64>),
    /// Where it may leave anything, even addresses.
    Scratch(Vec<u64>),
    Number(usize),
}

/// A call of a kernel.
pub(in crate::arch) struct Call {
    /// The function's name in `asm/`.
    pub(in crate::arch) name: &'static str,
    pub(in crate::arch) function: *const (),
    pub(in crate::arch) arguments: Vec<Argument>,
}

/// `words` random words below 2^52.
pub(in crate::arch) fn random(seed: u64, words: usize) -> Vec<u64> {
    let mut random = Random(seed);
    (0..words).map(|_| random.word() >> 12).collect()
}

/// The same number of words, as doubles: integers of at most `bits` bits in absolute value.
pub(in crate::arch) fn random_doubles(seed: u64, words: usize, bits: u32) -> Vec<u64> {
    let integers = random(seed, words).into_iter().map(|word| word as i64 % (1 << bits));
    integers.enumerate().map(|(i, x)| (if i % 3 == 0 { -x } else { x } as f64).to_bits()).collect()
}

/// The words of constants that a kernel reads.
///
/// # Safety
/// The type has no padding.
pub(in crate::arch) unsafe fn words_of<T>(constants: &T) -> Vec<u64> {
    assert!(align_of::<T>() >= align_of::<u64>() && size_of::<T>().is_multiple_of(8));
    let words = ptr::from_ref(constants).cast::<u64>();
    // SAFETY: the alignment and the length have been checked; the caller vouches that no byte is padding.
    unsafe { slice::from_raw_parts(words, size_of::<T>() / 8).to_vec() }
}

/// Words of a vector.
pub(in crate::arch) fn lanes<V: LaneVec>() -> usize {
    V::default().as_ref().len()
}

impl Argument {
    /// The contents of a memory.
    pub(in crate::arch) fn contents(&self) -> &[u64] {
        match self {
            Self::In(words) | Self::Out(words) | Self::Scratch(words) => words,
            Self::Number(_) => unreachable!("no memory"),
        }
    }
}

impl Call {
    /// The arguments, of which registers hold six and the stack the seventh, `place` giving each memory an
    /// address.
    pub(in crate::arch) fn words<'a>(&'a self, mut place: impl FnMut(&'a Argument) -> usize) -> [usize; 7] {
        let mut words = [0; 7];
        for (word, argument) in words.iter_mut().zip(&self.arguments) {
            *word = match argument {
                Argument::Number(number) => *number,
                memory => place(memory),
            };
        }
        words
    }
}

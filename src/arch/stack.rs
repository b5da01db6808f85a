//! Stacks for fibers: guard-paged, and wiped before they are used again.

use corosensei::stack::{DefaultStack, Stack, StackPointer};
use std::hint::black_box;
use std::{io, ptr, slice};

#[cfg(not(unix))]
compile_error!(
    "fiber stacks are mapped with mmap: on this system they would have to be committed and wiped differently"
);

/// Sizes are multiples of this: the largest page size of the supported systems, so that the usable bytes are
/// exactly the `size` bytes below the base, whatever the page size is.
const GRANULE: usize = 64 * 1024;

/// What is examined at once when looking for the deepest byte used: 512 bytes.
type Block = [u64; 64];

/// A stack with a guard page below it.
///
/// All of it is zero when it is new and after [`FiberStack::wipe`].
pub struct FiberStack {
    inner: DefaultStack,
    size: usize,
}

impl FiberStack {
    /// A stack of at least `size` usable bytes, rounded up to a multiple of 64 KiB. Memory is committed by the
    /// operating system page by page, as far down as the stack is used.
    ///
    /// # Errors
    /// The operating system's, when it grants no memory or no more mappings.
    pub fn new(size: usize) -> io::Result<Self> {
        let size = size.max(1).next_multiple_of(GRANULE);
        Ok(Self { inner: DefaultStack::new(size)?, size })
    }

    /// The usable bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Zeroes whatever was written on the stack and returns how many bytes were in use at the deepest point,
    /// rounded up to 512.
    ///
    /// Frames leave holes, so the depth cannot be found from above. It is found from below instead: the stack was
    /// zero before it was used, hence everything under the lowest byte that is not zero now was never written
    /// (or written with zeros), and everything above it is zeroed. Looking is a pass over memory that mostly is
    /// the kernel's shared zero page: about a microsecond for 128 KiB.
    pub fn wipe(&mut self) -> usize {
        let first = ptr::with_exposed_provenance_mut::<Block>(self.inner.base().get() - self.size);
        // SAFETY: `DefaultStack::new(size)`, with a `size` that is a multiple of the page size, maps one guard
        // page and, from `base - size` to `base`, readable and writable memory, page-aligned, alive as long as
        // `inner`. `&mut self` proves that nothing runs on the stack: a coroutine owns its stack and gives it
        // back only when it is done. Any bit pattern is a valid `Block`.
        let blocks = unsafe { slice::from_raw_parts_mut(first, self.size / size_of::<Block>()) };
        let is_used = |block: &Block| block.iter().fold(0, |any, word| any | word) != 0;
        let untouched = blocks.iter().position(is_used).unwrap_or(blocks.len());
        let used = &mut blocks[untouched..];
        used.fill([0; 64]);
        // The zeros are to be really there, although nothing in this program reads them as such.
        black_box(&mut *used);
        size_of_val(used)
    }
}

// SAFETY: the bounds are those of the `DefaultStack` that `self` owns and never replaces; it has the guard page and
// at least the 4096 usable bytes that the trait asks for.
unsafe impl Stack for FiberStack {
    fn base(&self) -> StackPointer {
        self.inner.base()
    }

    fn limit(&self) -> StackPointer {
        self.inner.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes through the same bounds that [`FiberStack::wipe`] uses.
    fn bytes(stack: &mut FiberStack) -> &mut [u8] {
        let first = ptr::with_exposed_provenance_mut::<u8>(stack.inner.base().get() - stack.size);
        // SAFETY: as in `wipe`.
        unsafe { slice::from_raw_parts_mut(first, stack.size) }
    }

    #[test]
    fn wipes_everything_from_the_deepest_byte_up() {
        let mut stack = FiberStack::new(100_000).unwrap();
        assert_eq!(stack.size(), 128 * 1024);
        assert_eq!(stack.wipe(), 0, "a new stack is unused");
        for depth in [1, 512, 513, 4096, 70_000, 128 * 1024] {
            let size = stack.size();
            bytes(&mut stack)[size - depth] = 0xAA;
            bytes(&mut stack)[size - 1] = 0x55;
            assert_eq!(stack.wipe(), depth.next_multiple_of(512), "depth {depth}");
            assert!(bytes(&mut stack).iter().all(|b| *b == 0), "depth {depth}");
        }
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(FiberStack::new(0).unwrap().size(), GRANULE);
        assert_eq!(FiberStack::new(GRANULE + 1).unwrap().size(), 2 * GRANULE);
    }
}

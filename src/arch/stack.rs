//! Stacks for fibers: guarded, and wiped before they are used again.

use corosensei::stack::{Stack, StackPointer};
use std::hint::black_box;
use std::ptr::NonNull;
use std::{io, ptr, slice};

#[cfg(not(unix))]
compile_error!(
    "fiber stacks are mapped with mmap: on this system they would have to be committed and wiped differently"
);

/// Sizes are multiples of this: the largest page size of the supported systems, so that the usable bytes are
/// exactly the `size` bytes below the base, whatever the page size is.
const GRANULE: usize = 64 * 1024;

/// Address space below each stack that ends the process when it is touched. Compiled Rust touches every page
/// of a large frame in order, so that one page would do; C need not, and aws-lc has frames of up to 109 KiB
/// (ML-DSA). It costs no memory.
const GUARD: usize = 256 * 1024;

/// What is examined at once when looking for the deepest byte used: 512 bytes.
type Block = [u64; 64];

/// The part below the base that every [`FiberStack::wipe`] examines. Handshakes with RSA, ECDSA, EdDSA,
/// X25519 and ML-KEM use about 30 KiB (60 KiB without optimisation).
const SHALLOW: usize = GRANULE;

/// Use of the lowest part of [`SHALLOW`], this many bytes, makes one expect use below it.
const BRINK: usize = 16 * 1024;

/// The part below [`SHALLOW`] is examined without any sign of use once in this many times.
const THOROUGH_EVERY: u32 = 16;

/// A stack with `GUARD` bytes below it that nobody can touch.
///
/// All of it is zero when it is new.
pub struct FiberStack {
    mapping: Mapping,
    size: usize,
    wipes: u32,
    #[cfg(test)]
    _in_valgrind: Registered,
}

/// What valgrind knows of a stack.
#[cfg(test)]
struct Registered(u64);

#[cfg(test)]
impl Registered {
    fn new(mapping: &Mapping) -> Self {
        super::memcheck::register_thread();
        let [lowest, end] = [GUARD, mapping.len].map(|at| (mapping.start.addr().get() + at) as u64);
        Self(super::memcheck::register_stack(lowest, end))
    }
}

#[cfg(test)]
impl Drop for Registered {
    fn drop(&mut self) {
        super::memcheck::deregister_stack(self.0);
    }
}

/// A guard, and above it memory that can be read and written.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// `size` is a multiple of [`GRANULE`].
    fn new(size: usize) -> io::Result<Self> {
        let len = GUARD.checked_add(size).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the system's choice, so that no other memory is touched.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, len };
        // SAFETY: from `GUARD` to `len`, inside of the mapping that was just made and that nobody else knows.
        let usable = unsafe { mapping.start.add(GUARD) };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: as above; the address is page-aligned because `GUARD` is a multiple of `GRANULE`.
        if unsafe { libc::mprotect(usable.as_ptr().cast(), size, access) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: all of the mapping that `new` made; whoever owns it is done with it.
        let unmapped = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, 0);
    }
}

impl FiberStack {
    /// A stack of at least `size` usable bytes, rounded up to a multiple of 64 KiB. Memory is committed by
    /// the operating system page by page, as far down as the stack is used.
    ///
    /// # Errors
    /// The operating system's, when it grants no memory or no more mappings.
    pub fn new(size: usize) -> io::Result<Self> {
        let size = size.max(1).checked_next_multiple_of(GRANULE).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping::new(size)?;
        Ok(Self {
            #[cfg(test)]
            _in_valgrind: Registered::new(&mapping),
            mapping,
            size,
            wipes: 0,
        })
    }

    /// The usable bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Zeroes what was written on the stack and returns how many bytes were found in use at the deepest
    /// point, rounded up to 512.
    ///
    /// Frames leave holes, so the depth cannot be found from above. It is found from below: memory was zero
    /// before it was used, hence everything under the lowest byte that is not zero now is clean, and
    /// everything above it is zeroed. Looking costs 12 ns/KiB, which for a whole stack of 256 KiB would be 1
    /// % of a handshake. So the uppermost 64 KiB are cleaned every time, and what lies below
    ///
    /// * at once, if the lowest 16 KiB of these were in use: nothing less can be under a call that went
    ///   deeper, except a frame that leaves all these 16 KiB unwritten;
    /// * otherwise at every 16th wipe, so that even under such a frame nothing stays for long.
    pub fn wipe(&mut self) -> usize {
        self.wipes = self.wipes.wrapping_add(1);
        let is_thorough = self.wipes.is_multiple_of(THOROUGH_EVERY);
        let below_shallow = (self.size - SHALLOW) / size_of::<Block>();
        #[cfg(test)]
        super::memcheck::mark_readable(self.blocks());
        let (deep, shallow) = self.blocks().split_at_mut(below_shallow);
        let used = zero_used(shallow);
        if used <= SHALLOW - BRINK && !is_thorough {
            return used;
        }
        match zero_used(deep) {
            0 => used,
            below => SHALLOW + below,
        }
    }

    /// Whether nothing was written between 4 and 12 KiB below the base, which costs 0.1 µs to tell. No
    /// cryptography ran on such a stack: it goes deeper, and does not leave 8 KiB unwritten. A poll that
    /// finds its socket not ready does not go as deep.
    pub fn is_shallow(&mut self) -> bool {
        const BAND: [usize; 2] = [12 * 1024 / size_of::<Block>(), 4 * 1024 / size_of::<Block>()];
        #[cfg(test)]
        super::memcheck::mark_readable(self.blocks());
        let blocks = self.blocks();
        let [from, to] = BAND.map(|below| blocks.len() - below);
        !blocks[from..to].iter().any(is_used)
    }

    fn blocks(&mut self) -> &mut [Block] {
        // SAFETY: from `GUARD` up, `Mapping::new` has made `size` bytes readable and writable, page-aligned,
        // and they are so as long as `self.mapping` lives. `&mut self` proves that nothing runs on the stack:
        // a coroutine owns its stack and gives it back only when it is done. Any bit pattern is a valid
        // `Block`.
        unsafe {
            let first = self.mapping.start.add(GUARD).cast();
            slice::from_raw_parts_mut(first.as_ptr(), self.size / size_of::<Block>())
        }
    }
}

fn is_used(block: &Block) -> bool {
    block.iter().fold(0, |any, word| any | word) != 0
}

/// Zeroes everything from the first block that is not zero, and returns how many bytes that were.
fn zero_used(blocks: &mut [Block]) -> usize {
    let untouched = blocks.iter().position(is_used).unwrap_or(blocks.len());
    let used = &mut blocks[untouched..];
    used.fill([0; 64]);
    // The zeros are to be really there, although nothing in this program reads them as such.
    black_box(&mut *used);
    size_of_val(used)
}

// SAFETY: the bounds are those of the mapping that `self` owns and never replaces: it has the guard, and at
// least the 4096 usable bytes that the trait asks for; both ends are page-aligned.
unsafe impl Stack for FiberStack {
    fn base(&self) -> StackPointer {
        self.mapping.start.addr().checked_add(self.mapping.len).expect("mappings do not wrap around")
    }

    fn limit(&self) -> StackPointer {
        self.mapping.start.addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn write_at_depth(stack: &mut FiberStack, depth: usize) {
        let at = stack.size - depth;
        stack.blocks()[at / 512][at % 512 / 8] |= 0xAA << (at % 8 * 8);
    }

    fn is_clean(stack: &mut FiberStack) -> bool {
        stack.blocks().iter().flatten().all(|word| *word == 0)
    }

    #[test]
    fn wipes_everything_from_the_deepest_byte_up() {
        let mut stack = FiberStack::new(100_000).unwrap();
        assert_eq!(stack.size(), 128 * KIB);
        assert_eq!(stack.wipe(), 0, "a new stack is unused");
        for depth in [1, 512, 513, 4 * KIB, 64 * KIB] {
            write_at_depth(&mut stack, depth);
            write_at_depth(&mut stack, 1);
            assert_eq!(stack.wipe(), depth.next_multiple_of(512), "depth {depth}");
            assert!(is_clean(&mut stack), "depth {depth}");
        }
    }

    #[test]
    fn tells_a_shallow_use_from_a_deep_one() {
        let mut stack = FiberStack::new(64 * KIB).unwrap();
        for (depth, shallow) in [(1, true), (4 * KIB, true), (4 * KIB + 1, false), (12 * KIB, false)] {
            write_at_depth(&mut stack, depth);
            assert_eq!(stack.is_shallow(), shallow, "depth {depth}");
            stack.wipe();
        }
    }

    #[test]
    fn follows_a_call_that_went_deep() {
        let mut stack = FiberStack::new(256 * KIB).unwrap();
        for depth in [64 * KIB + 1, 100 * KIB, 256 * KIB] {
            write_at_depth(&mut stack, depth);
            write_at_depth(&mut stack, 50 * KIB);
            assert_eq!(stack.wipe(), depth.next_multiple_of(512), "depth {depth}");
            assert!(is_clean(&mut stack), "depth {depth}");
        }
    }

    #[test]
    fn finds_what_lies_under_a_huge_hole_before_long() {
        let mut stack = FiberStack::new(256 * KIB).unwrap();
        write_at_depth(&mut stack, 200 * KIB);
        write_at_depth(&mut stack, 10 * KIB);
        let found = (0..THOROUGH_EVERY).filter(|_| stack.wipe() > SHALLOW).count();
        assert_eq!(found, 1);
        assert!(is_clean(&mut stack));
    }

    /// By the system's own list: below each stack nothing that could be read or written, far enough.
    #[cfg(target_os = "linux")]
    #[test]
    fn other_stacks_are_out_of_reach() {
        let stacks: Vec<_> = (0..20).map(|_| FiberStack::new(GRANULE).unwrap()).collect();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let in_hex = |text| usize::from_str_radix(text, 16).unwrap();
        let areas = maps.lines().filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            rest.starts_with("---p").then(|| in_hex(start)..in_hex(end))
        });
        let areas: Vec<_> = areas.collect();
        for stack in &stacks {
            let lowest = stack.base().get() - stack.size();
            let is_guard = |area: &&std::ops::Range<usize>| area.end == lowest && area.len() >= 256 * KIB;
            assert!(areas.iter().any(|area| is_guard(&area)), "{lowest:x}:\n{maps}");
        }
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(FiberStack::new(0).unwrap().size(), GRANULE);
        assert_eq!(FiberStack::new(GRANULE + 1).unwrap().size(), 2 * GRANULE);
    }
}

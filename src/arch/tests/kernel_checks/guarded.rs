//! Kernels with every argument between two pages that may not be touched, at the one page's edge and at the
//! other's; what is only read is in a page that may only be read. A kernel that goes astray ends the process
//! with SIGSEGV.
//!
//! The emulator in which the IFMA tiers are tested maps everything. There, and here as well, the surroundings
//! of each argument are filled, with other words in another round: they must stay, and results must not
//! depend on them.

use super::{Argument, Avx2Fma, Avx512Ifma, AvxIfma, Call, TierKind, abi, fma, ifma, with_tier};
use std::process::Command;
use std::{ptr, slice};

const PAGE: usize = 4096;

/// Whole pages between two guards. The words lie at the end or at the start; the rest is `filler`.
struct Guarded {
    base: *mut u8,
    pages: usize,
    words: usize,
    start: usize,
}

#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

impl Guarded {
    fn new(words: &[u64], edge: Edge, filler: u64) -> Self {
        let pages = size_of_val(words).div_ceil(PAGE);
        // SAFETY: a new anonymous mapping touches no other memory.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(ptr::null_mut(), (pages + 2) * PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(base, libc::MAP_FAILED);
        let start = match edge {
            Edge::Start => 0,
            Edge::End => pages * PAGE / 8 - words.len(),
        };
        let mut this = Self { base: base.cast(), pages, words: words.len(), start };
        this.all().fill(filler);
        this.all()[start..start + words.len()].copy_from_slice(words);
        this.protect(0, 1, libc::PROT_NONE);
        this.protect(pages + 1, 1, libc::PROT_NONE);
        this
    }

    fn protect(&self, first: usize, count: usize, protection: i32) {
        // SAFETY: pages of this mapping, to which no reference is alive: those of `all` end in the functions
        // that take them.
        let status = unsafe { libc::mprotect(self.base.add(first * PAGE).cast(), count * PAGE, protection) };
        assert_eq!(status, 0);
    }

    fn make_read_only(&self) {
        self.protect(1, self.pages, libc::PROT_READ);
    }

    /// Everything between the guards.
    fn all(&mut self) -> &mut [u64] {
        // SAFETY: these pages are mapped, readable, written as zero by the system, page-aligned, and `self`
        // is borrowed as long as the slice. Callers write before `make_read_only` only.
        unsafe { slice::from_raw_parts_mut(self.base.add(PAGE).cast(), self.pages * PAGE / 8) }
    }

    fn address(&self) -> usize {
        self.base as usize + PAGE + 8 * self.start
    }

    fn contents(&mut self) -> &[u64] {
        let (start, words) = (self.start, self.words);
        &self.all()[start..start + words]
    }

    /// Whether nobody wrote beside the contents.
    fn surroundings_hold(&mut self, filler: u64) -> bool {
        let (start, end) = (self.start, self.start + self.words);
        let all = self.all();
        all[..start].iter().chain(&all[end..]).all(|word| *word == filler)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing refers to it any more.
        let status = unsafe { libc::munmap(self.base.cast(), (self.pages + 2) * PAGE) };
        assert_eq!(status, 0);
    }
}

/// Calls a kernel with its arguments at these edges, and gives what they hold afterwards, scratch excepted.
fn run(call: &Call, edge: Edge, filler: u64) -> Vec<Vec<u64>> {
    let mut memories = Vec::new();
    let words = call.words(|argument| {
        let memory = Guarded::new(argument.contents(), edge, filler);
        if matches!(argument, Argument::In(_)) {
            memory.make_read_only();
        }
        memories.push((memory, argument));
        memories.last().expect("just pushed").0.address()
    });
    // SAFETY: the tier was detected; a call lists what its kernel may be called with.
    // Whether it keeps to the calling convention is another test.
    unsafe { abi::violations(call.function, words) };
    let results = memories.iter_mut().map(|(memory, argument)| {
        assert!(memory.surroundings_hold(filler), "{} writes beside an argument", call.name);
        if let Argument::In(words) = argument {
            assert_eq!(memory.contents(), words, "{} writes to an input", call.name);
        }
        match argument {
            Argument::Scratch(_) => Vec::new(),
            _ => memory.contents().to_vec(),
        }
    });
    results.collect()
}

fn assert_stays_inside(calls: Vec<Call>) {
    for call in calls {
        // Infinities and NaNs as doubles, and zeros.
        let results = [(Edge::End, u64::MAX), (Edge::Start, 0), (Edge::End, 0), (Edge::Start, 0x7ff0 << 48)]
            .map(|(edge, filler)| run(&call, edge, filler));
        for others in &results[1..] {
            assert!(*others == results[0], "{} reads beside an argument", call.name);
        }
    }
}

#[test]
fn guard_pages_avx2_fma() {
    let calls = fma::kernel_calls;
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |_| assert_stays_inside(calls()));
}

#[test]
fn guard_pages_avx_ifma() {
    let calls = ifma::avx;
    with_tier(TierKind::AvxIfma, AvxIfma::detect(), |_| assert_stays_inside(calls()));
}

#[test]
fn guard_pages_avx512_ifma() {
    let calls = ifma::avx512;
    with_tier(TierKind::Avx512Ifma, Avx512Ifma::detect(), |_| assert_stays_inside(calls()));
}

/// Kernels that do what they must not, given ten words to read and ten to write.
mod planted {
    /// The sum of `from`, at `to`; and this word more.
    unsafe fn sum(to: *mut u64, from: *const u64, stray: *const u64) {
        // SAFETY: only the process that is to die of it calls this.
        unsafe { *to = (0..10).fold(stray.read_volatile(), |sum, i| sum.wrapping_add(*from.add(i))) };
    }

    pub(super) unsafe extern "sysv64" fn reads_beyond(to: *mut u64, from: *const u64) {
        // SAFETY: as above.
        unsafe { sum(to, from, from.add(10)) };
    }

    pub(super) unsafe extern "sysv64" fn reads_before(to: *mut u64, from: *const u64) {
        // SAFETY: as above.
        unsafe { sum(to, from, from.sub(1)) };
    }

    pub(super) unsafe extern "sysv64" fn writes_beyond(to: *mut u64, _: *const u64) {
        // SAFETY: as above.
        unsafe { to.add(10).write_volatile(0) };
    }

    pub(super) unsafe extern "sysv64" fn writes_input(_: *mut u64, from: *const u64) {
        // SAFETY: as above.
        unsafe { from.cast_mut().write_volatile(1) };
    }
}

const PLANTED: &str = "PLANTED_KERNEL";

#[test]
#[ignore = "the process that planted_kernels_are_caught starts and that has to die"]
fn planted_kernel() {
    let name = std::env::var(PLANTED).expect("which");
    let function = match name.as_str() {
        "reads_beyond" => planted::reads_beyond as *const (),
        "reads_before" => planted::reads_before as *const (),
        "writes_beyond" => planted::writes_beyond as *const (),
        "writes_input" => planted::writes_input as *const (),
        "misaligns" => abi::abi_misaligner as *const (),
        "sum" => return,
        other => panic!("no kernel {other}"),
    };
    let arguments = vec![Argument::Out(vec![0; 10]), Argument::In(vec![1; 10])];
    assert_stays_inside(vec![Call { name: "planted", function, arguments }]);
}

#[test]
#[cfg_attr(target_feature = "crt-static", ignore = "the emulator of static programs starts no processes")]
fn planted_kernels_are_caught() {
    use std::os::unix::process::ExitStatusExt;
    with_tier(TierKind::Avx2Fma, Avx2Fma::detect(), |_| {
        let signal = |name: &str| {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            let test = "arch::tests::kernel_checks::guarded::planted_kernel";
            command.args([test, "--exact", "--ignored"]).env(PLANTED, name);
            let output = command.output().expect("this program starts");
            (output.status.code(), output.status.signal())
        };
        for name in ["reads_beyond", "reads_before", "writes_beyond", "writes_input", "misaligns"] {
            assert_eq!(signal(name), (None, Some(libc::SIGSEGV)), "{name}");
        }
        assert_eq!(signal("sum"), (Some(0), None), "it is not the test itself that dies");
    });
}

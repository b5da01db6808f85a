//! What the lane kernels do, instruction by instruction: counts, and traces that must not depend on secrets.
//!
//! `lane_counts` counts the instructions of every kernel at every size, and of the exponentiations of eight
//! RSA-2048 private operations; `.ci/instructions` compares them with a table. `lane_counts planted` does so with a multiplication
//! that begins by looking its operand up: it must be noticed. `lane_counts traces` runs every kernel with several secrets in the same places.
//!
//! Both are for the emulator that CI runs the AVX-512 tiers in. It has two system calls of its own: 9000 starts
//! its counters, 9001 stops them and prints them on standard error under a label, with hashes of the sequences of
//! instruction and of data addresses; `.ci/traces` compares these. Elsewhere the operating system refuses both
//! calls, and the program only computes.
#![expect(unsafe_code, reason = "system calls that no library offers")]

use rustls_multibuffer::internals::arch::lanes::{Moduli, MontLanes, Shape};
use rustls_multibuffer::internals::arch::{Avx2Fma, Avx512Ifma, AvxIfma};
use rustls_multibuffer::{Tier, TierKind};

const SIZES: [usize; 5] = [1024, 1536, 2048, 3072, 4096];
/// Entries of the table of a five-bit window.
const ENTRIES: usize = 32;

/// What the program was asked for.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Counts,
    Planted,
    Traces,
}

fn main() {
    let mode = match std::env::args().nth(1).as_deref() {
        Some("traces") => Mode::Traces,
        Some("planted") => Mode::Planted,
        _ => Mode::Counts,
    };
    println!("best tier: {}", Tier::detect().kind());
    let (avx512, avx) = (Avx512Ifma::detect(), AvxIfma::detect());
    if let Some(tier) = avx512 {
        report(tier, TierKind::Avx512Ifma, mode);
    }
    if let Some(tier) = avx {
        report(tier, TierKind::AvxIfma, mode);
    }
    // The other CPUs have this tier, too: one count of it is enough.
    if let Some(tier) = Avx2Fma::detect().filter(|_| avx512.is_none() && avx.is_none()) {
        report(tier, TierKind::Avx2Fma, mode);
    }
}

fn report<L: MontLanes>(tier: L, kind: TierKind, mode: Mode) {
    let traces = mode == Mode::Traces;
    for bits in SIZES {
        let mut operands = Operands::new(tier, bits);
        if traces {
            trace(&mut operands, |kernel| format!("{kind}-{kernel}-{bits}"));
        } else {
            count(&format!("{kind}-mul-{bits}"), || {
                if mode == Mode::Planted {
                    operands.select();
                }
                operands.mul();
            });
            count(&format!("{kind}-sqr-{bits}"), || operands.sqr_times(1));
            count(&format!("{kind}-select-{bits}"), || operands.select());
        }
    }
    if !traces {
        let mut operands = Operands::new(tier, 1024);
        count(&format!("{kind}-rsa2048-private-x8"), || operands.rsa2048_private_x8());
    }
}

/// Kernels whose secrets change and whose traces may not; and two that leak, to see that it would be seen.
fn trace<L: MontLanes>(operands: &mut Operands<L>, label: impl Fn(&str) -> String) {
    for seed in 0..4 {
        operands.fill(seed);
        count(&label("mul"), || operands.mul());
        operands.fill(seed);
        count(&label("sqr"), || operands.sqr_times(1));
        operands.fill(seed);
        count(&label("sqr-times"), || operands.sqr_times(3));
        operands.fill(seed);
        count(&label("select"), || operands.select());
        operands.fill(seed);
        count(&format!("leak-{}", label("select")), || operands.leaking_select());
        operands.fill(seed);
        count(&format!("leak-{}", label("mul")), || operands.leaking_mul());
    }
}

fn count(label: &str, work: impl FnOnce()) {
    let label = format!("{label}\0");
    system_call(9000, std::ptr::null());
    work();
    system_call(9001, label.as_ptr());
}

fn system_call(number: u64, argument: *const u8) {
    // SAFETY: the two calls read the label at most, which ends in a zero; where they do not exist, they fail.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    unsafe {
        std::arch::asm!(
            "syscall", inlateout("rax") number => _, in("rdi") argument, lateout("rcx") _, lateout("r11") _
        );
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let _ = (number, argument);
}

/// Everything that kernels take, all of it secret in a private operation.
struct Operands<L: MontLanes> {
    tier: L,
    shape: Shape,
    acc: Vec<L::Vec>,
    b: Vec<L::Vec>,
    n: Vec<L::Vec>,
    n_inv: Vec<L::Vec>,
    scratch: Vec<L::Vec>,
    table: Vec<L::Vec>,
    index: Vec<u64>,
}

impl<L: MontLanes> Operands<L> {
    fn new(tier: L, bits: usize) -> Self {
        let shape = L::shape(bits).expect("every tier has kernels for these sizes");
        let zeroed = |len| vec![L::Vec::default(); len];
        let [acc, b, n, n_inv] = [(); 4].map(|()| zeroed(shape.digits));
        let (scratch, table) = (zeroed(L::scratch_len(shape)), zeroed(ENTRIES * shape.digits));
        let mut operands = Self { tier, shape, acc, b, n, n_inv, scratch, table, index: vec![0; L::LANES] };
        operands.fill(2);
        operands
    }

    /// Other digits for every seed: zeros for 0, ones for 1, anything for others. What kernels do with them is
    /// of no meaning here.
    fn fill(&mut self, seed: u64) {
        let mut state = seed;
        let mut digit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            [0, (1 << 52) - 1, state >> 12][seed.min(2) as usize]
        };
        let operands =
            [&mut self.acc, &mut self.b, &mut self.n, &mut self.n_inv, &mut self.scratch, &mut self.table];
        for v in operands.into_iter().flatten() {
            v.as_mut().fill_with(&mut digit);
        }
        self.index.fill_with(|| digit() % ENTRIES as u64);
    }

    fn mul(&mut self) {
        let m = Moduli { shape: self.shape, n: &self.n, n_inv: &self.n_inv };
        self.tier.mul(&mut self.acc, &self.b, m, &mut self.scratch);
    }

    fn sqr_times(&mut self, times: usize) {
        let m = Moduli { shape: self.shape, n: &self.n, n_inv: &self.n_inv };
        self.tier.sqr_times(&mut self.acc, times, m, &mut self.scratch);
    }

    fn select(&mut self) {
        self.tier.select(&mut self.b, &self.table, &self.index);
    }

    /// Reads the entry of the index only.
    fn leaking_select(&mut self) {
        let entry = self.index[0] as usize * self.shape.digits;
        self.b.copy_from_slice(&self.table[entry..entry + self.shape.digits]);
    }

    /// Does less for some operands.
    fn leaking_mul(&mut self) {
        if self.b.iter().any(|v| v.as_ref().iter().any(|digit| *digit != 0)) {
            self.mul();
        }
    }

    /// Both CRT halves of eight signatures: for every one an exponentiation by 1024 bits, five at a time.
    fn rsa2048_private_x8(&mut self) {
        for _ in 0..16 / L::LANES {
            for _ in 0..ENTRIES / 2 - 1 {
                self.mul();
                self.sqr_times(1);
            }
            for _ in 0..1024 / 5 {
                self.sqr_times(5);
                self.select();
                self.mul();
            }
        }
    }
}

//! Counts the instructions of the lane kernels, in the emulator that CI runs the AVX-512 tiers in.
//!
//! The emulator adds three system calls: 9000 starts its counters, 9001 stops them and prints them on standard
//! error under a label, with hashes of the traces of instruction and data addresses. Elsewhere the kernel of
//! the operating system refuses them, and the program only computes.
#![expect(unsafe_code, reason = "raw system calls, to a counter")]

use rustls_multibuffer::arch::lanes::{Moduli, MontLanes};
use rustls_multibuffer::arch::{Avx512Ifma, AvxIfma};

fn syscall(number: u64, argument: *const u8) {
    // SAFETY: both calls touch no memory but the label's; where they do not exist, they return an error.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number => _, in("rdi") argument, lateout("rcx") _, lateout("r11") _);
    }
}

fn count(label: &str, work: impl FnOnce()) {
    let label = format!("{label}\0");
    syscall(9000, std::ptr::null());
    work();
    syscall(9001, label.as_ptr());
}

struct Operands<L: MontLanes> {
    acc: Vec<L::Vec>,
    b: Vec<L::Vec>,
    n: Vec<L::Vec>,
    n_inv: Vec<L::Vec>,
    scratch: Vec<L::Vec>,
    table: Vec<L::Vec>,
    index: Vec<u64>,
}

fn number<L: MontLanes>(digits: usize, seed: u64) -> Vec<L::Vec> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 13) as i64
    };
    (0..digits)
        .map(|_| {
            let mut v = L::Vec::default();
            (0..L::LANES).for_each(|l| L::set(&mut v, l, next()));
            v
        })
        .collect()
}

fn kernels<L: MontLanes>(tier: L, name: &str) {
    for bits in [1024, 1536, 2048, 3072, 4096] {
        let shape = L::shape(bits).unwrap();
        let d = shape.digits;
        let mut o = Operands::<L> {
            acc: number::<L>(d, 1),
            b: number::<L>(d, 2),
            n: number::<L>(d, 3),
            n_inv: number::<L>(d, 4),
            scratch: number::<L>(L::scratch_len(shape), 5),
            table: number::<L>(32 * d, 6),
            index: (0..L::LANES as u64).collect(),
        };
        let m = Moduli { shape, n: &o.n, n_inv: &o.n_inv };
        count(&format!("{name}-mul{bits}"), || tier.mul(&mut o.acc, &o.b, m, &mut o.scratch));
        count(&format!("{name}-sqr{bits}"), || tier.sqr(&mut o.acc, m, &mut o.scratch));
        count(&format!("{name}-select{bits}"), || tier.select(&mut o.acc, &o.table, &o.index));
        if bits == 1024 {
            count(&format!("{name}-rsa2048x{}", 8), || {
                for _ in 0..16 / L::LANES {
                    for _ in 0..15 {
                        tier.mul(&mut o.acc, &o.b, m, &mut o.scratch);
                        tier.sqr(&mut o.acc, m, &mut o.scratch);
                    }
                    for _ in 0..204 {
                        tier.sqr_times(&mut o.acc, 5, m, &mut o.scratch);
                        tier.select(&mut o.b, &o.table, &o.index);
                        tier.mul(&mut o.acc, &o.b, m, &mut o.scratch);
                    }
                }
            });
        }
    }
}

fn main() {
    if let Some(t) = Avx512Ifma::detect() {
        kernels(t, "avx512-ifma");
    }
    if let Some(t) = AvxIfma::detect() {
        kernels(t, "avx-ifma");
    }
}

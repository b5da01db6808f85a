//! What the Montgomery kernels do, instruction by instruction: counts, and traces that must not depend on
//! secrets.
//!
//! `.ci/instructions` compares the counts with a table, `.ci/traces` the traces with each other: see
//! [`counting`].
//!
//! [`counting`]: super::counting

use super::counting::counted;
use super::testing::Random;
use crate::arch::lanes::{Moduli, MontLanes, Shape};
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma};
use std::ffi::CString;

const SIZES: [usize; 5] = [1024, 1536, 2048, 3072, 4096];
/// Entries of the table of a five-bit window.
const ENTRIES: usize = 32;

/// What is done with the kernels of a tier.
trait Work {
    fn run<L: MontLanes>(&self, kernel: L);
}

/// Runs the work on the best tier of this machine.
fn on_best_tier(work: impl Work) {
    if let Some(kernel) = Avx512Ifma::detect() {
        work.run(kernel);
    } else if let Some(kernel) = AvxIfma::detect() {
        work.run(kernel);
    } else if let Some(kernel) = Avx2Fma::detect() {
        work.run(kernel);
    }
}

/// Counts every kernel at every size, and the exponentiations of eight RSA-2048 private operations.
struct Counts {
    /// Whether multiplications begin by looking their operand up.
    slowed_down: bool,
}

impl Work for Counts {
    fn run<L: MontLanes>(&self, kernel: L) {
        for bits in SIZES {
            let mut operands = Operands::new(kernel, bits);
            count::<L>(&format!("mul-{bits}"), || {
                if self.slowed_down {
                    operands.select();
                }
                operands.mul();
            });
            count::<L>(&format!("sqr-{bits}"), || operands.sqr_times(1));
            count::<L>(&format!("select-{bits}"), || operands.select());
        }
        let mut operands = Operands::new(kernel, 1024);
        count::<L>("rsa2048-private-x8", || operands.rsa2048_private_x8());
    }
}

/// Runs every kernel with several secrets in the same places; and two that leak, to see that it would be
/// seen.
struct Traces;

impl Work for Traces {
    fn run<L: MontLanes>(&self, kernel: L) {
        for bits in SIZES {
            let mut operands = Operands::new(kernel, bits);
            for seed in 0..4 {
                let mut trace = |prefix: &str, name, work: fn(&mut Operands<L>)| {
                    operands.fill(seed);
                    let label = CString::new(format!("{prefix}{}-{name}-{bits}", L::KIND)).unwrap();
                    counted(&label, || work(&mut operands));
                };
                trace("", "mul", Operands::mul);
                trace("", "sqr", |operands| operands.sqr_times(1));
                trace("", "sqr-times", |operands| operands.sqr_times(3));
                trace("", "select", Operands::select);
                trace("leak-", "select", Operands::leaking_select);
                trace("leak-", "mul", Operands::leaking_mul);
            }
        }
    }
}

#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_kernels() {
    on_best_tier(Counts { slowed_down: false });
}

#[test]
#[ignore = "prints instruction counts that are too high on purpose, in the emulator"]
fn count_planted_kernels() {
    on_best_tier(Counts { slowed_down: true });
}

#[test]
#[ignore = "prints traces, in the emulator"]
fn trace_kernels() {
    on_best_tier(Traces);
}

fn count<L: MontLanes>(name: &str, work: impl FnOnce()) {
    counted(&CString::new(format!("{}-{name}", L::KIND)).unwrap(), work);
}

/// Everything that kernels take, all of it secret in a private operation.
struct Operands<L: MontLanes> {
    kernel: L,
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
    fn new(kernel: L, bits: usize) -> Self {
        let shape = L::shape(bits).expect("every tier has kernels for these sizes");
        let zeroed = |len| vec![L::Vec::default(); len];
        let [acc, b, n, n_inv] = [(); 4].map(|()| zeroed(shape.digits));
        let (scratch, table) = (zeroed(L::scratch_len(shape)), zeroed(ENTRIES * shape.digits));
        let mut operands = Self { kernel, shape, acc, b, n, n_inv, scratch, table, index: vec![0; L::LANES] };
        operands.fill(2);
        operands
    }

    /// Other digits for every seed: zeros for 0, ones for 1, anything for others. What kernels do with them
    /// is of no meaning here.
    fn fill(&mut self, seed: u64) {
        let mut random = Random(seed);
        let mut digit = || [0, (1 << 52) - 1, random.word() >> 12][seed.min(2) as usize];
        let operands =
            [&mut self.acc, &mut self.b, &mut self.n, &mut self.n_inv, &mut self.scratch, &mut self.table];
        for v in operands.into_iter().flatten() {
            v.as_mut().fill_with(&mut digit);
        }
        self.index.fill_with(|| digit() % ENTRIES as u64);
    }

    fn mul(&mut self) {
        let m = Moduli { shape: self.shape, n: &self.n, n_inv: &self.n_inv };
        self.kernel.mul(&mut self.acc, &self.b, m, &mut self.scratch);
    }

    fn sqr_times(&mut self, times: usize) {
        let m = Moduli { shape: self.shape, n: &self.n, n_inv: &self.n_inv };
        self.kernel.sqr_times(&mut self.acc, times, m, &mut self.scratch);
    }

    fn select(&mut self) {
        self.kernel.select(&mut self.b, &self.table, &self.index);
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

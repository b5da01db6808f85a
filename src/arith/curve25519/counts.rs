//! Instructions of eight operations, counted by the emulator, of the scope that Intel's crypto_mb has.

use super::*;
use crate::arch::counting::counted;
use crate::arch::{Avx512Ifma, AvxIfma};
use std::hint::black_box;

fn count<K: Kernel>(kernel: K) {
    let batches = 8 / K::LANES;
    let (scalar, u) = ([0x5a; 32], [9; 32]);
    let mut clamped = scalar;
    clamp(&mut clamped);
    let numbers = vec![order::from_bytes(&clamped); K::LANES];
    let agree = || {
        let jobs: Vec<_> = numbers.iter().map(|_| Job { scalar: &scalar, u: &u }).collect();
        Ladder::new(kernel).run(&jobs).for_each(|u| _ = black_box(u));
    };
    let share = || BaseMultiplier::new(kernel).key_shares(&numbers).for_each(|u| _ = black_box(u));
    // The first one makes the table.
    share();
    counted(c"X25519", || (0..batches).for_each(|_| agree()));
    counted(c"X25519 public key", || (0..batches).for_each(|_| share()));
}

#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_operations() {
    if let Some(kernel) = Avx512Ifma::detect() {
        count(kernel);
    } else if let Some(kernel) = AvxIfma::detect() {
        count(kernel);
    }
}

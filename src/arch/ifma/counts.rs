//! Instructions of each kernel, counted by the emulator.

use crate::arch::counting::counted;
use crate::arch::field25519::Field25519Lanes;
use crate::arch::prime::{P256, P384, Prime, PrimeLanes};
use crate::arch::{Avx512Ifma, AvxIfma};
use std::hint::black_box;

fn prime<P: Prime, K: PrimeLanes<P>>(kernel: K) {
    println!("{:?}", P::P);
    let mut x = K::Reduced::default();
    (0..K::LANES).for_each(|lane| K::set(&mut x, lane, &vec![lane as u64 + 1; P::P.len()]));
    let (a, mask) = (black_box(x), K::Vec::default());
    let mut sum = K::Sum::default();
    // Known elsewhere, so that no kernel is moved across the counting.
    black_box((&mut x, &mut sum));
    counted(c"add", || kernel.add(&mut sum, &a, &a));
    counted(c"sub", || kernel.sub(&mut sum, &a, &a));
    counted(c"mul", || kernel.mul(&mut x, &sum, &a));
    counted(c"sqr", || kernel.sqr(&mut x, &sum));
    counted(c"combine 3a", || kernel.combine::<3, 0, 0>(&mut x, &a, &a, &a));
    counted(c"combine a - 2b", || kernel.combine::<1, -2, 0>(&mut x, &a, &a, &a));
    counted(c"combine a - b - 2c", || kernel.combine::<1, -1, -2>(&mut x, &a, &a, &a));
    counted(c"combine 4a - 8b", || kernel.combine::<4, -8, 0>(&mut x, &a, &a, &a));
    counted(c"negate_if", || kernel.negate_if(&mut x, &mask));
    counted(c"assign_if", || kernel.assign_if(&mut x, &a, &mask));
}

fn field25519<K: Field25519Lanes>(kernel: K) {
    println!("25519");
    let mut x = K::Reduced::default();
    (0..K::LANES).for_each(|lane| K::set(&mut x, lane, &[lane as u64 + 1; 4]));
    let (a, mask) = (black_box(x), K::Mask::default());
    let (mut sum, mut difference) = <(K::Sum, K::Sum)>::default();
    black_box((&mut x, &mut sum, &mut difference));
    counted(c"add_sub", || kernel.add_sub(&mut sum, &mut difference, &a, &a));
    counted(c"sub", || kernel.sub(&mut difference, &a, &a));
    counted(c"mul", || kernel.mul(&mut x, &sum, &difference));
    counted(c"sqr", || kernel.sqr(&mut x, &sum));
    counted(c"add_121665", || kernel.add_121665(&mut sum, &a, &difference));
    counted(c"assign_if", || kernel.assign_if(&mut sum, &difference, &mask));
}

fn all<K: PrimeLanes<P256> + PrimeLanes<P384> + Field25519Lanes>(kernel: K) {
    prime::<P256, K>(kernel);
    prime::<P384, K>(kernel);
    field25519(kernel);
}

/// Run in the emulator, which prints the counts.
#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_field_kernels() {
    if let Some(kernel) = Avx512Ifma::detect() {
        all(kernel);
    } else if let Some(kernel) = AvxIfma::detect() {
        all(kernel);
    }
}

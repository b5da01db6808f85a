//! Instructions of eight operations, counted by the emulator: whole ones of the scope that Intel's crypto_mb
//! has, which draws no random numbers, hashes nothing and reads no DER; and their phases.

use super::*;
use crate::arch::counting::counted;
use crate::arch::prime::PrimeLanes;
use crate::arch::{Avx512Ifma, AvxIfma};
use crate::arith::testing::Operands;
use std::ffi::CString;
use std::hint::black_box;

/// The numbers of a batch.
struct Batch<const N: usize> {
    k: Vec<[u64; N]>,
    d: Vec<[u64; N]>,
    z: Vec<[u64; N]>,
    q: Vec<Affine<N>>,
}

/// Counts the instructions that eight operations take: as many batches as that are.
fn eight<const N: usize, C: Curve<N>, K: PrimeLanes<C>, R>(_: K, name: &str, mut f: impl FnMut() -> R) {
    let label = CString::new(format!("{} bits: {name}", 64 * N)).unwrap();
    counted(&label, || (0..8 / K::LANES).for_each(|_| _ = black_box(f())));
}

/// r and s of FIPS 186-5 §6.4.1 for each nonce k, digest z and private key d.
fn sign<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    batch: &Batch<N>,
) -> Vec<[[u64; N]; 2]> {
    let multiples = lanes.base_multiples_x(&batch.k);
    let inverses = inverses::<N, C>(&batch.k);
    let numbers = multiples.iter().zip(&inverses).zip(batch.z.iter().zip(&batch.d));
    let signatures = numbers.map(|((point, inverse), (z, d))| {
        let n = C::ORDER;
        let r = n.reduced(&point.unwrap().x);
        [r, n.mul(inverse, &n.add(z, &n.mul(&n.enter(&r), d)))]
    });
    signatures.collect()
}

fn inverses<const N: usize, C: Curve<N>>(numbers: &[[u64; N]]) -> Vec<[u64; N]> {
    let mut inverses: Vec<_> = numbers.iter().map(|k| C::ORDER.enter(k)).collect();
    C::ORDER.invert_all(&mut inverses);
    inverses
}

/// Verdicts on signatures by the keys with the points Q.
fn verify<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    batch: &Batch<N>,
    signatures: &[[[u64; N]; 2]],
) -> Vec<Option<bool>> {
    let on_curve = batch.q.iter().all(|q| is_on_curve::<N, C>(q).into());
    assert!(on_curve);
    let s: Vec<_> = signatures.iter().map(|[_, s]| *s).collect();
    let numbers = inverses::<N, C>(&s).into_iter().zip(signatures).zip(&batch.z);
    let scalars = numbers.map(|((inverse, [r, _]), z)| Scalars {
        u1: C::ORDER.mul(&inverse, z),
        u2: C::ORDER.mul(&inverse, r),
        r: *r,
    });
    lanes.check(&scalars.collect::<Vec<_>>(), &batch.q)
}

fn count<const N: usize, C: Curve<N>, K: Kernel<C>>(kernel: K) {
    let mut operands = Operands::new(8);
    let mut draw = || {
        let draw = |_| C::ORDER.reduced(&operands.random(N).try_into().unwrap());
        (0..K::LANES).map(draw).collect::<Vec<_>>()
    };
    let (k, d, z) = (draw(), draw(), draw());
    let lanes = &mut Lanes::<N, C, K>::new(kernel);
    let q = lanes.base_multiples(&d).iter().map(|q| *q.unwrap()).collect();
    let batch = Batch { k, d, z, q };
    let signatures = sign(lanes, &batch);
    assert_eq!(verify(lanes, &batch, &signatures), vec![Some(true); K::LANES]);
    macro_rules! eight {
        ($name:literal, $f:expr) => {
            eight::<N, C, K, _>(kernel, $name, || $f)
        };
    }
    eight!("sign", sign(lanes, &batch));
    eight!("verify", verify(lanes, &batch, &signatures));
    eight!("ECDH", lanes.multiples_x(&batch.k, &batch.q));
    eight!("public key", lanes.base_multiples(&batch.k));
    let point = lanes.multiply_base(&batch.k);
    let cached = lanes.group.cached(&point);
    let mut sum = point;
    eight!("- k*G", lanes.multiply_base(&batch.k));
    eight!("- k*Q", lanes.group.multiply(&batch.k, &batch.q));
    eight!("- table of Q", lanes.group.odd_multiples(&batch.q));
    eight!("- look-up in it", {
        let table = lanes.group.odd_multiples(&batch.q);
        let odd = recode::Odd::new(&batch.k, C::ORDER);
        lanes.group.look_up_own(&mut [K::Reduced::default(); 5], &table, &odd, 7);
    });
    eight!("- recoding k", recode::Odd::<N, K::Vec>::new(&batch.k, C::ORDER));
    eight!("- one look-up for G", {
        let odd = recode::Odd::new(&batch.k, C::ORDER);
        lanes.table.look_up(kernel, &mut [K::Reduced::default(); 2], &odd, 7);
    });
    eight!("- doubling", lanes.group.double(&mut sum));
    eight!("- addition", lanes.group.add(&mut sum, &cached));
    eight!("- mixed addition", lanes.group.add_affine(&mut sum, &[point[0], point[1]]));
    eight!("- is it on the curve", lanes.group.is_valid(&point, K::LANES));
    eight!("- affine x", lanes.group.affine(&point, K::LANES, false));
    eight!("- affine x and y", lanes.group.affine(&point, K::LANES, true));
    eight!("- inverses mod n", inverses::<N, C>(&batch.k));
    eight!("- one inversion", crate::arith::invert::Field::invert(C::ORDER, &batch.k[0]));
    eight!("- one product mod n", C::ORDER.mul(&batch.k[0], &batch.k[1]));
}

#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_operations_and_phases() {
    if let Some(kernel) = Avx512Ifma::detect() {
        count::<4, P256, _>(kernel);
        count::<6, P384, _>(kernel);
    } else if let Some(kernel) = AvxIfma::detect() {
        count::<4, P256, _>(kernel);
        count::<6, P384, _>(kernel);
    }
}

//! Machine-checked: no branch and no address in this layer depends on a limb.

use super::curve25519::{BaseMultiplier, Job, Ladder, order};
use super::testing::Operands;
use super::weierstrass::{Curve, Kernel, Lanes};
use super::{invert, limbs, mont};
use crate::arch::Avx2Fma;
use crate::arch::memcheck::{assert_constant_time, is_running, mark_secret, run};
use crate::arch::prime::{P256, P384};
use std::hint::black_box;

const TEST: &str = "arith::constant_time::valgrind_sees_no_secret_branch_or_address";

/// Runs this very test in valgrind.
#[test]
#[ignore = "needs valgrind, x86-64 and a release build, which has no overflow checks to branch on"]
fn valgrind_sees_no_secret_branch_or_address() {
    if !is_running() {
        return run(TEST, &[]);
    }
    let mut operands = Operands::new(1);
    for len in [3, 16] {
        let mut secret = |len| {
            let words = operands.random(len);
            mark_secret(&words);
            words
        };
        let (mut n, mut x, wide) = (secret(len), secret(len), secret(2 * len + 1));
        // What the functions ask for is no secret: an odd modulus, an operand below it.
        n[0] |= 1;
        n[len - 1] |= 1 << 63;
        x[len - 1] &= !(1 << 63);
        assert_constant_time(&format!("{len} limbs"), || {
            compute_with_secrets(&x, &n, &wide);
            x[0]
        });
    }
}

fn compute_with_secrets(x: &[u64], n: &[u64], wide: &[u64]) {
    plain_arithmetic(x, n);
    modular_arithmetic(x, n, wide);
    if let Some(kernel) = Avx2Fma::detect() {
        curve25519(kernel, x);
        nist_curve::<4, P256>(kernel, x);
        nist_curve::<6, P384>(kernel, x);
    }
}

fn plain_arithmetic(x: &[u64], y: &[u64]) {
    let len = x.len();
    let (mut out, mut double) = (vec![0; len], vec![0; 2 * len]);
    for condition in [limbs::ct_lt(x, y), limbs::ct_eq(x, y), limbs::is_zero(x)] {
        limbs::add_assign_if(condition, &mut out, x);
        limbs::sub_assign_if(condition, &mut out, y);
    }
    black_box([limbs::sub(&mut out, x, y), limbs::shl1_assign(&mut out, 1)]);
    black_box([limbs::add_assign(&mut out, x), limbs::sub_assign(&mut out, y)]);
    limbs::mul(&mut double, x, y);
    limbs::square(&mut double, black_box(x));
    limbs::neg_inv_pow2(black_box(&mut out), y, 64 * len - 24, &mut double);
    let mut bytes = vec![0; 8 * len];
    limbs::to_be_bytes(&mut bytes, black_box(&out));
    limbs::from_be_bytes(&mut out, black_box(&bytes));
    black_box(&out);
}

fn modular_arithmetic(x: &[u64], n: &[u64], wide: &[u64]) {
    let mut out = vec![0; x.len()];
    black_box(invert::invert(&mut out, x, n));
    mont::pow_of_two_mod(black_box(&mut out), 200 * x.len(), n);
    mont::reduce_wide(black_box(&mut out), wide, n);
    mont::mod_pow_vartime(black_box(&mut out), x, 65537, n);
    mont::mod_pow(black_box(&mut out), x, wide, n);
    black_box(&out);
}

/// What key shares, agreements and signatures compute of secrets: in lanes, so that the kernels are checked,
/// too.
fn curve25519(kernel: Avx2Fma, secret: &[u64]) {
    let mut scalar: order::Scalar = std::array::from_fn(|i| secret[i % secret.len()]);
    scalar[3] >>= 4;
    let bytes = order::to_bytes(&scalar);
    let reduced = order::reduce_hash(&[bytes, bytes].concat().try_into().unwrap());
    black_box(order::to_bytes(&order::multiply_add(&scalar, &reduced, &reduced)));
    let mut multiplier = BaseMultiplier::new(kernel);
    for (point, is_on_curve) in multiplier.points(&[scalar; 3]) {
        black_box((point, is_on_curve.unwrap_u8()));
    }
    multiplier.key_shares(&[scalar; 4]).for_each(|share| _ = black_box(share));
    let mut ladder = Ladder::new(kernel);
    let secrets = ladder.run(&[Job { scalar: &bytes, u: &[9; 32] }]);
    secrets.for_each(|secret| _ = black_box(secret));
}

/// What signatures, key shares and agreements compute of secrets. Whether a result is a point at all is no
/// secret.
fn nist_curve<const N: usize, C: Curve<N>>(kernel: Avx2Fma, secret: &[u64])
where
    Avx2Fma: Kernel<C>,
{
    let scalar: [u64; N] = std::array::from_fn(|i| secret[i % secret.len()] >> 1);
    let order = C::ORDER;
    let product = order.add(&order.mul(&scalar, &order.enter(&scalar)), &order.neg(&scalar));
    let mut inverses = [scalar, product];
    order.invert_all(&mut inverses);
    black_box(inverses);
    let mut lanes = Lanes::<N, C, _>::new(kernel);
    // Each in four, two lanes, and one.
    (1..=3).for_each(|fill| _ = black_box(&lanes.base_multiples(&[scalar; 3][..fill])));
    black_box(&lanes.multiples_x(&[scalar; 2], &[C::G; 2]));
}

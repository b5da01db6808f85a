//! What everything else is made of: multiplications and squarings, in every tier of this machine, in all
//! lanes at once.
//!
//! Each is compared with big integers before it is timed. `cargo bench --bench kernels -- NAME`.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use num_bigint::BigUint;
use rustls_multibuffer::Tier;
use rustls_multibuffer::TierKind;
use rustls_multibuffer::internals::arch::field25519::Field25519Lanes;
use rustls_multibuffer::internals::arch::lanes::{Moduli, MontLanes, Shape};
use rustls_multibuffer::internals::arch::prime::{P256, P384, Prime, PrimeLanes};

/// A number below `n` that nobody could have chosen well: the same in every run, another for every `seed`.
fn number(seed: u64, n: &BigUint) -> BigUint {
    let mut state = seed + 1;
    let words = (0..=n.bits() / 32).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    });
    BigUint::new(words.collect()) % n
}

fn limbs(n: &BigUint, len: usize) -> Vec<u64> {
    let mut limbs = n.to_u64_digits();
    limbs.resize(len, 0);
    limbs
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Times a call, which is one operation in each lane.
fn time(group: &mut Group<'_>, tier: TierKind, lanes: usize, what: &str, mut call: impl FnMut()) {
    group.throughput(Throughput::Elements(lanes as u64));
    group.bench_function(BenchmarkId::new(tier.name(), what), |bench| bench.iter(&mut call));
}

/// A number for each lane.
fn factors(seed: u64, lanes: usize, p: &BigUint) -> Vec<BigUint> {
    (0..lanes as u64).map(|lane| number(seed + lane, p)).collect()
}

fn joined(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::default(), |n, limb| (n << 64) + *limb)
}

/// Montgomery arithmetic modulo a curve's prime.
fn prime<P: Prime, K: PrimeLanes<P>>(group: &mut Group<'_>, tier: TierKind, k: K) {
    let p = joined(P::P);
    let load = |numbers: &[BigUint]| {
        let mut element = K::Reduced::default();
        let lanes = numbers.iter().enumerate();
        lanes.for_each(|(lane, n)| K::set(&mut element, lane, &limbs(n, P::P.len())));
        element
    };
    let (x, y) = (factors(100, K::LANES, &p), factors(200, K::LANES, &p));
    let (a, b, mut out) = (load(&x), load(&y), K::Reduced::default());
    let expect = |out: &K::Reduced, other: &[BigUint]| {
        for (lane, (x, y)) in x.iter().zip(other).enumerate() {
            let mut found = vec![0; P::P.len()];
            K::get(&mut found, out, lane);
            let shifted = joined(&found) << K::R_BITS;
            assert_eq!(shifted % &p, x * y % &p, "lane {lane}");
        }
    };
    k.assert_environment();
    k.mul(&mut out, &a, &b);
    expect(&out, &y);
    time(group, tier, K::LANES, "mul", || k.mul(&mut out, &a, &b));
    k.sqr(&mut out, &a);
    expect(&out, &x);
    time(group, tier, K::LANES, "sqr", || k.sqr(&mut out, &a));
}

/// Arithmetic modulo 2^255 − 19.
fn field25519<K: Field25519Lanes>(group: &mut Group<'_>, tier: TierKind, k: K) {
    let p = (BigUint::from(1_u8) << 255) - 19_u8;
    let load = |numbers: &[BigUint]| {
        let mut element = K::Reduced::default();
        for (lane, n) in numbers.iter().enumerate() {
            K::set(&mut element, lane, &limbs(n, 4).try_into().expect("four limbs"));
        }
        element
    };
    let (x, y) = (factors(300, K::LANES, &p), factors(400, K::LANES, &p));
    let (a, b, mut out) = (load(&x), load(&y), K::Reduced::default());
    let expect = |out: &K::Reduced, other: &[BigUint]| {
        for (lane, (x, y)) in x.iter().zip(other).enumerate() {
            let found = joined(&K::get(out, lane).to_limbs());
            assert_eq!(found, x * y % &p, "lane {lane}");
        }
    };
    k.assert_environment();
    k.mul(&mut out, &a, &b);
    expect(&out, &y);
    time(group, tier, K::LANES, "mul", || k.mul(&mut out, &a, &b));
    k.sqr(&mut out, &a);
    expect(&out, &x);
    time(group, tier, K::LANES, "sqr", || k.sqr(&mut out, &a));
}

/// The digits of a number below R, signed where the tier's are.
fn digits<K: MontLanes>(n: &BigUint, shape: Shape) -> Vec<i64> {
    let radix = 1_i64 << shape.radix_bits;
    let mut carry = 0;
    let digit = |i: usize| {
        let low = (n >> (i * shape.radix_bits as usize)) % BigUint::from(radix as u64);
        let digit = low.to_u64_digits().first().map_or(0, |d| *d as i64) + carry;
        carry = i64::from(K::BALANCED && digit >= radix / 2);
        digit - carry * radix
    };
    (0..shape.digits).map(digit).collect()
}

/// The residue that digits stand for.
fn residue<K: MontLanes>(digits: &[K::Vec], lane: usize, shape: Shape, n: &BigUint) -> BigUint {
    // Digits may be negative: a multiple of n that is larger than any number makes up for that.
    let high = n << (2 * shape.radix_bits as usize);
    digits.iter().rev().fold(BigUint::default(), |sum, v| {
        let digit = K::get(v, lane);
        let sum = (sum << shape.radix_bits) + &high;
        let magnitude = BigUint::from(digit.unsigned_abs());
        (if digit < 0 { sum - magnitude } else { sum + magnitude }) % n
    })
}

/// Montgomery arithmetic, each lane modulo a number of its own: half of an RSA key of twice the length.
fn montgomery<K: MontLanes>(group: &mut Group<'_>, tier: TierKind, k: K, bits: usize) {
    let Some(shape) = K::shape(bits) else { return };
    let r = BigUint::from(1_u8) << shape.r_bits();
    let top = BigUint::from(1_u8) << (bits - 1);
    let moduli: Vec<_> =
        (0..K::LANES as u64).map(|lane| (&top + number(500 + lane, &top)) | BigUint::from(1_u8)).collect();
    let spread = |numbers: &[BigUint]| {
        let mut vectors = vec![K::Vec::default(); shape.digits];
        for (lane, n) in numbers.iter().enumerate() {
            vectors.iter_mut().zip(digits::<K>(n, shape)).for_each(|(v, digit)| K::set(v, lane, digit));
        }
        vectors
    };
    let inverses: Vec<_> =
        moduli.iter().map(|n| &r - n.modinv(&r).expect("an odd number has an inverse")).collect();
    let (n, n_inv) = (spread(&moduli), spread(&inverses));
    let m = Moduli { shape, n: &n, n_inv: &n_inv };
    let factors = |seed| {
        let lanes = moduli.iter().enumerate();
        lanes.map(|(lane, n)| number(seed + lane as u64, n)).collect::<Vec<_>>()
    };
    let (x, y) = (factors(600), factors(700));
    let (mut acc, b) = (spread(&x), spread(&y));
    let mut scratch = vec![K::Vec::default(); K::scratch_len(shape)];
    let expect = |acc: &[K::Vec], other: &[BigUint]| {
        for (lane, n) in moduli.iter().enumerate() {
            let found = residue::<K>(acc, lane, shape, n);
            assert_eq!(found * &r % n, &x[lane] * &other[lane] % n, "lane {lane}");
        }
    };
    k.assert_environment();
    k.mul(&mut acc, &b, m, &mut scratch);
    expect(&acc, &y);
    time(group, tier, K::LANES, "mul", || k.mul(&mut acc, &b, m, &mut scratch));
    acc = spread(&x);
    k.sqr(&mut acc, m, &mut scratch);
    expect(&acc, &x);
    time(group, tier, K::LANES, "sqr", || k.sqr(&mut acc, m, &mut scratch));
}

/// Calls `$run(group, tier, kernels, ...)` for the tiers of this machine that have lanes.
macro_rules! with_tiers {
    ($group:expr, $run:path $(, $more:expr)*) => {
        for kind in TierKind::DETECTABLE.iter().copied() {
            match Tier::of_kind(kind) {
                Some(Tier::Avx512Ifma(k)) => $run($group, kind, k $(, $more)*),
                Some(Tier::AvxIfma(k)) => $run($group, kind, k $(, $more)*),
                Some(Tier::Avx2Fma(k)) => $run($group, kind, k $(, $more)*),
                _ => {}
            }
        }
    };
}

fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("p256");
    with_tiers!(&mut group, prime::<P256, _>);
    group.finish();
    let mut group = c.benchmark_group("p384");
    with_tiers!(&mut group, prime::<P384, _>);
    group.finish();
    let mut group = c.benchmark_group("field25519");
    with_tiers!(&mut group, field25519);
    group.finish();
    for bits in [1024, 1536, 2048] {
        let mut group = c.benchmark_group(format!("montgomery{bits}"));
        with_tiers!(&mut group, montgomery, bits);
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);

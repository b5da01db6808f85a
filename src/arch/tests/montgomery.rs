//! One test body per kernel, run for every tier: against big integers and against the specification.

use super::testing::{Random, TestModuli, read, with_tier, write};
use crate::arch::lanes::{MontLanes, Shape};
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use num_bigint::{BigInt, BigUint};

/// The sizes that RSA needs: halves of 2048, 3072 and 4096 bits for private operations, whole for public
/// ones.
const SIZES: [usize; 5] = [1024, 1536, 2048, 3072, 4096];

/// Sizes of one and of five blocks, which the IFMA kernels have too: odd and even numbers of blocks take
/// other ways.
const OTHER_BLOCKS: [usize; 2] = [512, 2560];

macro_rules! lane_tests {
    ($module:ident, $kind:expr, $token:expr, $sizes:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn lanes_mul() {
                with_tier($kind, $token, |tier| {
                    $sizes.iter().for_each(|&bits| check_products(tier, bits, Kernel::Mul))
                });
            }

            #[test]
            fn lanes_sqr() {
                with_tier($kind, $token, |tier| {
                    $sizes.iter().for_each(|&bits| check_products(tier, bits, Kernel::Sqr))
                });
            }

            #[test]
            fn lanes_sqr_times() {
                with_tier($kind, $token, |tier| $sizes.iter().for_each(|&bits| check_sqr_times(tier, bits)));
            }

            #[test]
            fn lanes_fill() {
                with_tier($kind, $token, |tier| $sizes.iter().for_each(|&bits| check_fills(tier, bits)));
            }

            #[test]
            fn lanes_chain() {
                with_tier($kind, $token, |tier| $sizes.iter().for_each(|&bits| check_chain(tier, bits)));
            }

            #[test]
            fn lanes_select() {
                with_tier($kind, $token, |tier| $sizes.iter().for_each(|&bits| check_select(tier, bits)));
            }
        }
    };
}

fn portable() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

lane_tests!(portable, TierKind::Portable, portable(), SIZES);
lane_tests!(avx2_fma, TierKind::Avx2Fma, Avx2Fma::detect(), SIZES);
lane_tests!(avx_ifma, TierKind::AvxIfma, AvxIfma::detect(), [SIZES.as_slice(), &OTHER_BLOCKS].concat());
lane_tests!(
    avx512_ifma,
    TierKind::Avx512Ifma,
    Avx512Ifma::detect(),
    [SIZES.as_slice(), &OTHER_BLOCKS].concat()
);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Mul,
    Sqr,
}

/// One operand pair of each lane, with what is needed to check the product.
struct Check<L: MontLanes> {
    tier: L,
    moduli: TestModuli<L>,
    /// The same moduli in the specification's lanes.
    portable: Vec<TestModuli<Portable>>,
}

impl<L: MontLanes> Check<L> {
    fn new(tier: L, bits: usize, moduli: &[BigUint]) -> Self {
        let shape = L::shape(bits).expect("the tier has kernels for this size");
        assert!(shape.r_bits() >= bits + 4, "R ≥ 16·2^bits");
        let portable = moduli.chunks(Portable::LANES);
        let portable = portable.map(|n| TestModuli::new(Portable::shape(bits).unwrap(), n)).collect();
        Self { tier, moduli: TestModuli::new(shape, moduli), portable }
    }

    /// Multiplies `a` by `b` (or squares `a`) and checks every lane.
    fn run(&self, kernel: Kernel, a: &[BigInt], b: &[BigInt]) -> Vec<L::Vec> {
        let shape = self.moduli.shape;
        let b = if kernel == Kernel::Mul { b } else { a };
        let (mut acc, factor) = (write::<L>(shape, a), write::<L>(shape, b));
        let mut scratch = self.moduli.scratch();
        match kernel {
            Kernel::Mul => self.tier.mul(&mut acc, &factor, self.moduli.moduli(), &mut scratch),
            Kernel::Sqr => self.tier.sqr(&mut acc, self.moduli.moduli(), &mut scratch),
        }
        for lane in 0..L::LANES {
            check_digits::<L>(shape, &acc, lane);
            let result = read::<L>(shape, &acc, lane);
            let Some((a, b)) = a.get(lane).zip(b.get(lane)) else {
                assert_eq!(result, BigInt::ZERO, "unused lane {lane}");
                continue;
            };
            self.check_lane(lane, &result, a, b);
        }
        acc
    }

    fn check_lane(&self, lane: usize, result: &BigInt, a: &BigInt, b: &BigInt) {
        let n = BigInt::from(self.moduli.values[lane].clone());
        let unreduced = result << self.moduli.shape.r_bits();
        assert!((&unreduced - a * b) % &n == BigInt::ZERO, "lane {lane}: {a:x} · {b:x} mod {n:x}");
        assert!(result.magnitude() < &(n.magnitude() << 1u8), "lane {lane}: {result:x} not below 2·{n:x}");
        assert!(L::BALANCED || result >= &BigInt::ZERO);
        let (specified, r_bits) = self.specified(lane, a, b);
        assert!((unreduced - (specified << r_bits)) % n == BigInt::ZERO, "lane {lane}: not as specified");
    }

    /// What the specification gives, with its own log2 R.
    fn specified(&self, lane: usize, a: &BigInt, b: &BigInt) -> (BigInt, usize) {
        let moduli = &self.portable[lane / Portable::LANES];
        let (shape, lane) = (moduli.shape, lane % Portable::LANES);
        let place = |x: &BigInt| {
            let mut lanes = vec![BigInt::ZERO; Portable::LANES];
            // The specification takes no negative representatives.
            lanes[lane] =
                if x < &BigInt::ZERO { x + BigInt::from(&moduli.values[lane] << 1u8) } else { x.clone() };
            write::<Portable>(shape, &lanes)
        };
        let mut acc = place(a);
        portable().unwrap().mul(&mut acc, &place(b), moduli.moduli(), &mut []);
        (read::<Portable>(shape, &acc, lane), shape.r_bits())
    }
}

fn check_digits<L: MontLanes>(shape: Shape, vectors: &[L::Vec], lane: usize) {
    for (i, v) in vectors.iter().enumerate() {
        let digit = L::get(v, lane);
        let balanced = digit.abs() <= (1 << (shape.radix_bits - 1)) + 64;
        let unsigned = (0..1 << shape.radix_bits).contains(&digit);
        assert!(if L::BALANCED { balanced } else { unsigned }, "digit {i} of lane {lane} is {digit:#x}");
    }
}

/// Moduli at the edges of a size, and random ones: as many as there are lanes.
fn edge_moduli<L: MontLanes>(bits: usize, random: &mut Random) -> Vec<BigUint> {
    let one = BigUint::from(1u8);
    let smallest = (&one << (bits - 1)) + 1u8;
    let largest = (&one << bits) - 1u8;
    // All ones but for a low digit of one: the inverse of digit 0 is −1.
    let sparse = &largest - ((&one << 52) - 2u8);
    let mut moduli = vec![smallest, largest, sparse];
    moduli.resize_with(L::LANES, || random.modulus(bits));
    moduli
}

/// Operands below 2n at the edges, and random ones. Balanced tiers also take their negatives.
fn edge_operands<L: MontLanes>(n: &BigUint, random: &mut Random) -> Vec<BigInt> {
    let one = BigUint::from(1u8);
    let twice = n << 1u8;
    let ones = (&one << (n.bits() - 1)) - 1u8;
    let high = &ones - ((&one << (n.bits() / 2)) - 1u8);
    let edges = [BigUint::ZERO, one.clone(), n - 1u8, n.clone(), n + 1u8, &twice - 1u8, ones, high];
    let mut operands: Vec<BigInt> = edges.map(BigInt::from).to_vec();
    operands.extend((0..3).map(|_| BigInt::from(random.below(&twice))));
    if L::BALANCED {
        operands.extend(operands.clone().into_iter().map(|x| -x));
    }
    operands
}

/// Every pair of edge operands, every operand in every lane, a different modulus in each lane.
fn check_products<L: MontLanes>(tier: L, bits: usize, kernel: Kernel) {
    let mut random = Random(bits as u64);
    let mut moduli = edge_moduli::<L>(bits, &mut random);
    // All pairs at one size; at the others, whose checks take longer, every operand with some of the others.
    let (turns, step) = if bits == SIZES[0] { (2, 1) } else { (1, 5) };
    for _ in 0..turns {
        let check = Check::new(tier, bits, &moduli);
        let operands: Vec<_> = moduli.iter().map(|n| edge_operands::<L>(n, &mut random)).collect();
        let count = operands[0].len();
        let apart = if kernel == Kernel::Mul { 0..count } else { 0..1 };
        for (apart, first) in
            apart.step_by(step).flat_map(|apart| (0..count).map(move |first| (apart, first)))
        {
            let pick = |index: usize| -> Vec<_> {
                (0..L::LANES).map(|lane| operands[lane][(lane + index) % count].clone()).collect()
            };
            check.run(kernel, &pick(first), &pick(first + apart));
        }
        // The next turn has the edge moduli in other lanes.
        moduli.rotate_right(3);
    }
}

/// Every number of occupied lanes: the others stay zero.
fn check_fills<L: MontLanes>(tier: L, bits: usize) {
    let mut random = Random(bits as u64 + 1);
    for fill in 1..=L::LANES {
        let moduli: Vec<_> = (0..fill).map(|_| random.modulus(bits)).collect();
        let check = Check::new(tier, bits, &moduli);
        let mut operands =
            || -> Vec<_> { moduli.iter().map(|n| BigInt::from(random.below(&(n << 1u8)))).collect() };
        let (a, b) = (operands(), operands());
        check.run(Kernel::Mul, &a, &b);
        check.run(Kernel::Sqr, &a, &b);
    }
}

/// Results are operands of further kernels, as in an exponentiation.
fn check_chain<L: MontLanes>(tier: L, bits: usize) {
    let mut random = Random(bits as u64 + 2);
    let moduli = edge_moduli::<L>(bits, &mut random);
    let check = Check::new(tier, bits, &moduli);
    let mut values: Vec<_> = moduli.iter().map(|n| BigInt::from(random.below(n))).collect();
    let base = values.clone();
    for step in 0..24 {
        let kernel = if step % 6 == 5 { Kernel::Mul } else { Kernel::Sqr };
        let acc = check.run(kernel, &values, &base);
        values = (0..L::LANES).map(|lane| read::<L>(check.moduli.shape, &acc, lane)).collect();
    }
}

/// Squarings in a row are squarings one after the other.
fn check_sqr_times<L: MontLanes>(tier: L, bits: usize) {
    let mut random = Random(bits as u64 + 4);
    let moduli = edge_moduli::<L>(bits, &mut random);
    let check = Check::new(tier, bits, &moduli);
    let shape = check.moduli.shape;
    let start: Vec<_> = moduli.iter().map(|n| BigInt::from(random.below(&(n << 1u8)))).collect();
    let mut single = start.clone();
    for times in 0..6 {
        let mut acc = write::<L>(shape, &start);
        tier.sqr_times(&mut acc, times, check.moduli.moduli(), &mut check.moduli.scratch());
        for (lane, n) in moduli.iter().enumerate() {
            check_digits::<L>(shape, &acc, lane);
            let difference = read::<L>(shape, &acc, lane) - &single[lane];
            assert!(difference % BigInt::from(n.clone()) == BigInt::ZERO, "{times} squarings, lane {lane}");
        }
        let next = check.run(Kernel::Sqr, &single, &single);
        single = (0..L::LANES).map(|lane| read::<L>(shape, &next, lane)).collect();
    }
}

/// Every index in every lane, other indices in the other lanes.
fn check_select<L: MontLanes>(tier: L, bits: usize) {
    let digits = L::shape(bits).unwrap().digits;
    let mut random = Random(bits as u64 + 3);
    let mut vector = || {
        let mut v = L::Vec::default();
        (0..L::LANES).for_each(|lane| L::set(&mut v, lane, (random.word() >> 13) as i64));
        v
    };
    for entries in [1, 2, 7, 16, 32] {
        let table: Vec<L::Vec> = (0..entries * digits).map(|_| vector()).collect();
        let mut out: Vec<L::Vec> = (0..digits).map(|_| vector()).collect();
        for first in 0..entries {
            let index: Vec<u64> = (0..L::LANES).map(|lane| ((first + 5 * lane) % entries) as u64).collect();
            tier.select(&mut out, &table, &index);
            for (i, v) in out.iter().enumerate() {
                for (lane, &index) in index.iter().enumerate() {
                    let entry = &table[index as usize * digits + i];
                    assert_eq!(v.as_ref()[lane], entry.as_ref()[lane], "digit {i} of lane {lane}");
                }
            }
        }
    }
}

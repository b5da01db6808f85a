//! What the two IFMA tiers share: unsigned digits of 52 bits, numbers of whole blocks of ten digits, and the
//! functions that are written once and assembled for either tier's instructions.

use super::lanes::{LaneVec, Moduli, Shape};

const RADIX_BITS: u32 = 52;
/// Kernels work on blocks of this many digits.
const BLOCK: usize = 10;
/// Digits of the largest modulus, 4096 bits. The column sums of that many have room for no more than 500.
const MAX_DIGITS: usize = 80;

/// The shape for moduli of `bits` bits: the whole blocks that hold 16·2^bits.
pub(super) fn shape(bits: usize) -> Option<Shape> {
    let digits = (bits + 4).div_ceil(RADIX_BITS as usize).next_multiple_of(BLOCK);
    (bits > 0 && digits <= MAX_DIGITS).then_some(Shape { digits, radix_bits: RADIX_BITS })
}

/// The blocks of a number, once it is sure that kernels may read and write as far as the shape says.
///
/// # Panics
/// If the shape is none of [`shape`]'s, or an operand's length is not the shape's.
pub(super) fn blocks<V: LaneVec>(operands: &[&[V]], m: Moduli<'_, V>, scratch: &[V]) -> usize {
    let Shape { digits, radix_bits } = m.shape;
    assert!(radix_bits == RADIX_BITS && digits > 0 && digits <= MAX_DIGITS && digits.is_multiple_of(BLOCK));
    assert!(operands.iter().chain([&m.n]).all(|operand| operand.len() == digits));
    assert!(!m.n_inv.is_empty() && scratch.len() >= digits);
    digits / BLOCK
}

/// The entries of a table, once it is sure that a kernel may read and write as far as the lengths say.
///
/// # Panics
/// If the table is not a whole number of entries, an entry not a whole number of blocks, or an index missing.
pub(super) fn entries<V: LaneVec>(out: &[V], table: &[V], index: &[u64], lanes: usize) -> usize {
    assert!(!out.is_empty() && out.len().is_multiple_of(BLOCK) && index.len() == lanes);
    assert!(!table.is_empty() && table.len().is_multiple_of(out.len()));
    table.len() / out.len()
}

//! Where secrets end: what is computed from them and is public all the same.
//!
//! Whether a number is in its range, whether a result is a point of the curve, a signature: the program may
//! branch on these. Each such place calls one of these functions, which do nothing more, so that the places
//! can be found and the check of constant time in valgrind knows them.

use subtle::Choice;

/// The truth of a condition that is public.
pub(crate) fn disclose(condition: Choice) -> bool {
    #[cfg(test)]
    let condition = Choice::from(super::memcheck::public(condition.unwrap_u8()));
    condition.into()
}

/// A number that is public.
pub(crate) fn disclose_number<const N: usize>(number: [u64; N]) -> [u64; N] {
    #[cfg(test)]
    let number = super::memcheck::public(number);
    number
}

//! What a register holds, for all inputs at once: an exact linear form in symbols of bounded size.

use num_bigint::{BigInt, BigUint};
use std::collections::BTreeMap;

/// Coefficients are whole multiples of 2^−`SCALE`.
pub(super) const SCALE: u32 = 2048;

/// Something that a kernel computes with and that has some integer value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Symbol {
    /// The number one.
    One,
    /// Digit `.1` of operand `.0`.
    Digit(usize, usize),
    /// A product of two digits.
    Product((usize, usize), (usize, usize)),
    /// What some rounding added.
    Rounding(usize),
}

/// Σ coefficient·symbol, a multiple of 2^`multiple_of`.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) terms: BTreeMap<Symbol, BigInt>,
    pub(super) multiple_of: i32,
}

impl Form {
    pub(super) fn symbol(symbol: Symbol) -> Self {
        Self { terms: [(symbol, BigInt::from(1) << SCALE)].into(), multiple_of: 0 }
    }

    /// A number that a double holds: `integer`·2^`exponent`.
    pub(super) fn constant(double: f64) -> Self {
        let bits = double.to_bits();
        let (sign, exponent) = (bits >> 63, (bits >> 52 & 0x7ff) as i32 - 1075);
        assert!((1..0x7fe).contains(&(exponent + 1075)), "{double} is no normal number");
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        let exact = BigInt::from(mantissa) << (SCALE as i32 + exponent);
        let value = if sign == 1 { -exact } else { exact };
        Self {
            terms: [(Symbol::One, value)].into(),
            multiple_of: exponent + mantissa.trailing_zeros() as i32,
        }
    }

    /// The number, if the form is a constant one.
    fn as_constant(&self) -> Option<&BigInt> {
        self.terms.get(&Symbol::One).filter(|_| self.terms.len() == 1)
    }

    pub(super) fn one_coefficient(&self) -> BigInt {
        self.terms.get(&Symbol::One).cloned().unwrap_or_default()
    }

    pub(super) fn add(&self, other: &Self, sign: i32) -> Self {
        let mut terms = self.terms.clone();
        for (symbol, coefficient) in &other.terms {
            *terms.entry(*symbol).or_default() += coefficient * sign;
        }
        terms.retain(|_, coefficient| *coefficient != BigInt::ZERO);
        Self { terms, multiple_of: self.multiple_of.min(other.multiple_of) }
    }

    /// The product of two multiples of digits, or of anything and a constant.
    ///
    /// # Panics
    /// If it is none of these.
    pub(super) fn multiply(&self, other: &Self) -> Self {
        let multiple_of = self.multiple_of + other.multiple_of;
        if self.as_constant().is_some() {
            return other.multiply_if_not_constant(self, multiple_of);
        }
        if other.as_constant().is_some() {
            return self.multiply_if_not_constant(other, multiple_of);
        }
        let monomial = |form: &Self| match form.terms.first_key_value() {
            Some((Symbol::Digit(operand, i), coefficient)) if form.terms.len() == 1 => {
                ((*operand, *i), coefficient.clone())
            }
            _ => panic!("a product of things that are no digits"),
        };
        let ((x, by), (y, times)) = (monomial(self), monomial(other));
        let terms = [(Symbol::Product(x.min(y), x.max(y)), unscaled(by * times))].into();
        Self { terms, multiple_of }
    }

    fn multiply_if_not_constant(&self, constant: &Self, multiple_of: i32) -> Self {
        let factor = constant.as_constant().unwrap();
        let terms = self.terms.iter().map(|(symbol, c)| (*symbol, unscaled(c * factor))).collect();
        Self { terms, multiple_of }
    }

    /// The bound of its absolute value, times 2^`SCALE`.
    pub(super) fn bound(&self, bound: impl Fn(Symbol) -> BigUint) -> BigUint {
        self.terms.iter().map(|(symbol, coefficient)| coefficient.magnitude() * bound(*symbol)).sum()
    }
}

/// x / 2^`SCALE`, exactly.
fn unscaled(x: BigInt) -> BigInt {
    assert!(x.trailing_zeros().is_none_or(|zeros| zeros >= SCALE.into()), "SCALE is too small");
    x >> SCALE
}

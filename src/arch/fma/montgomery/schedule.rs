//! What the kernels do, as data: for every group of columns, which passes over which digits.
//!
//! The assembly reads these entries, and so does the range proof: what is proven is what runs.

use super::Size;

/// Columns of a wide group, rows of a full pass, digits of a block.
pub(super) const BLOCK: usize = 7;

/// Columns of the narrow group that N = 7·g + 5 digits need once in each half of a product.
pub(super) const NARROW: usize = 5;

/// The most groups that half a product has.
const MAX_GROUPS: usize = 13;

/// How a group ends. The numbers are those of `asm/avx2fma_columns.S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Close {
    Nothing = 0,
    /// Row t reaches columns t and above.
    LowerTriangle = 1,
    /// Squaring: the pairs i ≤ j of the block that comes next, i + j from 0.
    Even = 2,
    /// Likewise with i + j from 7 (9 in a narrow group), j reaching into the block after.
    Odd = 3,
    /// As `Odd` where there is no block after.
    Last = 4,
}

/// One group of columns; offsets in bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Group {
    /// The first row's digit.
    pub(super) x: u32,
    /// The other operand's digit for column 0 and row 0.
    pub(super) y: u32,
    /// Whether it opens with an upper triangle: row t, from 1, reaches the columns below t.
    pub(super) triangle: bool,
    pub(super) full: u8,
    pub(super) close: Close,
    /// What triangle and full passes take from the budget: 2 where rows are doubled.
    pub(super) weight: u8,
    pub(super) narrow: bool,
    _unused: [u8; 3],
}

impl Group {
    pub(super) const fn columns(&self) -> usize {
        if self.narrow { NARROW } else { BLOCK }
    }
}

const NONE: Group = Group {
    x: 0,
    y: 0,
    triangle: false,
    full: 0,
    close: Close::Nothing,
    weight: 1,
    narrow: false,
    _unused: [0; 3],
};

const BYTES: u32 = 32;

/// The groups of a·b, lower and upper half, then those of a²: four lists of [`Size::groups`] entries each.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Schedule([Group; 4 * MAX_GROUPS]);

impl Schedule {
    pub(super) const fn new(size: &Size) -> Self {
        let groups = size.groups();
        let digits = size.shape.digits;
        let mut all = [NONE; 4 * MAX_GROUPS];
        let mut g = 0;
        while g < groups {
            // The lower half ends with the narrow group, the upper half begins with it.
            let lower = BLOCK * g;
            let (upper, upper_narrow) = if digits.is_multiple_of(BLOCK) {
                (BLOCK * g, false)
            } else if g == 0 {
                (0, true)
            } else {
                (NARROW + BLOCK * (g - 1), false)
            };
            let lower_narrow = lower + BLOCK > digits;
            all[g] = product_lower(lower, lower_narrow);
            all[groups + g] = product_upper(digits, upper, upper_narrow);
            all[2 * groups + g] = square_lower(lower, lower_narrow);
            all[3 * groups + g] = square_upper(digits, upper, upper_narrow);
            g += 1;
        }
        Self(all)
    }

    /// The lists: lower and upper half of a product, lower and upper half of a square.
    #[cfg(test)]
    pub(super) fn lists(&self, size: &Size) -> [&[Group]; 4] {
        std::array::from_fn(|i| &self.0[i * size.groups()..][..size.groups()])
    }
}

/// Columns from `column` on: all rows up to it reach all of them, the next ones a triangle.
const fn product_lower(column: usize, narrow: bool) -> Group {
    let full = (column / BLOCK) as u8;
    Group { y: BYTES * column as u32, full, close: Close::LowerTriangle, narrow, ..NONE }
}

/// Columns from `digits + column` on: rows up to `column` reach none of them, the next ones a triangle.
const fn product_upper(digits: usize, column: usize, narrow: bool) -> Group {
    let group = Group { x: BYTES * column as u32, y: BYTES * digits as u32, triangle: true, narrow, ..NONE };
    let rest = digits - column - group.columns();
    assert!(rest.is_multiple_of(BLOCK), "whole row blocks");
    Group { full: (rest / BLOCK) as u8, ..group }
}

const fn square_lower(column: usize, narrow: bool) -> Group {
    let (full, base) = rows_before_diagonal(0, column);
    let close = diagonal(base, narrow, false);
    Group { y: BYTES * column as u32, full, close, weight: 2, narrow, ..NONE }
}

const fn square_upper(digits: usize, column: usize, narrow: bool) -> Group {
    let last = column + BLOCK == digits;
    let group = Group {
        x: BYTES * column as u32,
        y: BYTES * digits as u32,
        triangle: !last,
        weight: 2,
        narrow,
        ..NONE
    };
    let first = if last { column } else { column + group.columns() };
    let (full, base) = rows_before_diagonal(first, digits + column);
    Group { full, close: diagonal(base, narrow, last), ..group }
}

/// How many whole row blocks from `row` on have i < j for every product of columns from `column` on, and the
/// first i + j of the diagonal after them, counted from twice its first row.
const fn rows_before_diagonal(mut row: usize, column: usize) -> (u8, usize) {
    let mut full = 0;
    while 2 * (row + BLOCK - 1) < column {
        row += BLOCK;
        full += 1;
    }
    (full, column - 2 * row)
}

const fn diagonal(base: usize, narrow: bool, last: bool) -> Close {
    match (base, narrow, last) {
        (0, _, false) => Close::Even,
        (7, false, false) | (9, true, false) => Close::Odd,
        (7, false, true) => Close::Last,
        _ => panic!("no diagonal routine begins there"),
    }
}

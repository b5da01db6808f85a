//! The executable specification of look-ups: plain Rust, one lane after the other.

use crate::arch::lanes::Vec4;
use crate::arch::lookup::{LookupLanes, SharedTable};
use crate::arch::tier::Portable;
use subtle::{ConditionallySelectable, ConstantTimeEq};

impl LookupLanes<Vec4> for Portable {
    fn select_own(self, out: &mut [Vec4], table: &[Vec4], entry_len: usize, start: usize, index: &Vec4) {
        for (entry, digits) in table.chunks_exact(entry_len).enumerate() {
            for (out, digit) in out.iter_mut().zip(&digits[start..]) {
                for (lane, index) in index.0.iter().enumerate() {
                    out.0[lane].conditional_assign(&digit.0[lane], index.ct_eq(&(entry as u64)));
                }
            }
        }
    }

    fn select_shared(self, out: &mut [Vec4], table: &SharedTable<Vec4>, start: usize, index: &Vec4) {
        for (out, column) in out.iter_mut().zip(table.columns(start)) {
            for (entry, digit) in column.iter().flat_map(|v| v.0).enumerate() {
                for (lane, index) in index.0.iter().enumerate() {
                    out.0[lane].conditional_assign(&digit, index.ct_eq(&(entry as u64)));
                }
            }
        }
    }
}

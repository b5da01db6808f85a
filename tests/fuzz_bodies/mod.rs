//! What the fuzz targets in `fuzz/` run, and `tests/fuzz.rs` with bounded, reproducible inputs: each body
//! takes any bytes and panics when something is wrong.

pub(crate) mod imports;
pub(crate) mod operations;
pub(crate) mod queue;
pub(crate) mod signatures;
pub(crate) mod svids;

use rustls_multibuffer::{Tier, TierKind};

/// Bytes, one after the other; zeros when there are no more.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every tier of this machine, the specification included.
pub(crate) fn tiers() -> impl Iterator<Item = Tier> {
    TierKind::DETECTABLE.iter().copied().chain([TierKind::Portable]).filter_map(Tier::of_kind)
}

//! Multiples of the base point, from a table.
//!
//! Every window of a scalar has a table of its own, of the odd multiples of 2^(w·i)·G, so that nothing is doubled. All
//! lanes share the tables.

use super::Curve;
use super::group::{Affine, Lanes, Point};
use super::recode::{Digit, Odd};
use crate::arch::lanes::LaneVec;
use crate::arch::lookup::SharedTable;
use crate::arch::prime::{Digits, PrimeLanes};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The tables of all windows, lowest first.
#[derive(Debug)]
pub(super) struct FixedTable<V>(pub(super) Vec<SharedTable<V>>);

impl<V> Default for FixedTable<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: LaneVec> FixedTable<V> {
    /// The tables of a curve for a tier, computed when they are first asked for, and kept.
    pub(super) fn shared<const N: usize, C: Curve<N>, K: PrimeLanes<C, Vec = V>>(
        lanes: &mut Lanes<N, C, K>,
    ) -> Arc<Self> {
        static TABLES: Mutex<Option<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>> = Mutex::new(None);
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = tables.get_or_insert_default();
        let table = tables.entry(TypeId::of::<(C, K)>()).or_insert_with(|| Arc::new(Self::compute(lanes)));
        table.clone().downcast().expect("the type that its key names")
    }

    fn compute<const N: usize, C: Curve<N>, K: PrimeLanes<C, Vec = V>>(lanes: &mut Lanes<N, C, K>) -> Self {
        Self(windows(lanes, &C::G).iter().map(|entries| SharedTable::new(entries)).collect())
    }
}

/// For each window i, lowest first, the digits of the odd multiples of 2^(w·i)·Q.
pub(super) fn windows<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    q: &Affine<N>,
) -> Vec<Vec<Vec<u64>>> {
    let mut windows = Vec::new();
    for bases in bases(lanes, q).chunks(K::LANES) {
        let multiples: Vec<_> =
            odd_multiples(lanes, bases).iter().map(|points| lanes.load(points.iter())).collect();
        for lane in 0..bases.len() {
            windows.push(multiples.iter().map(|point| digits(point, lane)).collect());
        }
    }
    windows
}

/// 2^(w·i)·Q for each window i.
fn bases<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    q: &Affine<N>,
) -> Vec<Affine<N>> {
    let [x, y] = lanes.load([*q].iter());
    let mut point = [x, y, lanes.one];
    let mut bases = Vec::new();
    for _ in 0..Odd::<N, K::Vec>::digits(C::FIXED_WINDOW) {
        bases.push(point);
        (0..C::FIXED_WINDOW).for_each(|_| lanes.double(&mut point));
    }
    lanes.affine_all(&bases, 1).into_iter().flatten().collect()
}

/// 1, 3, 5, … times the bases, one in each lane.
fn odd_multiples<const N: usize, C: Curve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    bases: &[Affine<N>],
) -> Vec<Vec<Affine<N>>> {
    let [x, y] = lanes.load(bases.iter());
    let mut point = [x, y, lanes.one];
    let mut double = point;
    lanes.double(&mut double);
    let double = lanes.cached(&double);
    let mut multiples = Vec::new();
    for _ in 0..1 << (C::FIXED_WINDOW - 1) {
        multiples.push(point);
        lanes.add(&mut point, &double);
    }
    lanes.affine_all(&multiples, bases.len())
}

/// The digits of both coordinates in one lane.
fn digits<R: Digits>(point: &[R; 2], lane: usize) -> Vec<u64> {
    point.iter().flat_map(|element| element.digits().iter().map(move |v| v.as_ref()[lane])).collect()
}

impl<const N: usize, C: Curve<N>, K: PrimeLanes<C>> Lanes<N, C, K> {
    /// k·G in each of the first lanes, for 0 < k < n; constant-time.
    pub(super) fn multiply_base(&mut self, scalars: &[[u64; N]]) -> Point<K::Reduced> {
        assert!(scalars.len() <= K::LANES);
        let scalars = Odd::<N, K::Vec>::new(scalars, C::ORDER);
        let windows = Odd::<N, K::Vec>::digits(C::FIXED_WINDOW);
        let mut multiple = [K::Reduced::default(); 2];
        self.look_up(&mut multiple, &scalars, windows - 1);
        let mut point = [multiple[0], multiple[1], self.one];
        for window in (0..windows - 1).rev() {
            self.look_up(&mut multiple, &scalars, window);
            self.add_affine(&mut point, &multiple);
        }
        self.kernel.negate_if(&mut point[1], scalars.negate());
        point
    }

    /// The point that a digit of each scalar names: `found` ← x, y.
    pub(super) fn look_up(&self, found: &mut [K::Reduced; 2], scalars: &Odd<N, K::Vec>, window: usize) {
        let Digit { index, negative } = scalars.digit(window, C::FIXED_WINDOW);
        let table = &self.table.0[window];
        self.kernel.select_shared(Digits::all_digits_mut(found), table, 0, &index);
        self.kernel.negate_if(&mut found[1], &negative);
    }
}

//! Medians, and percentiles of latencies.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The median: the mean of the two middle values when their number is even.
///
/// `None` for no values. Values must not be NaN.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median of `a[i] / b[i]`, which cancels whatever slows both sides of a pair alike.
pub(crate) fn median_ratio(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "ratios are of pairs");
    median(a.iter().zip(b).map(|(a, b)| a / b).collect())
}

/// Latencies up to 100 s, longer ones as 100 s, each to one part in a thousand.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// The shortest and the longest latency that are told apart, in nanoseconds.
const BOUNDS: [u64; 2] = [1, 100_000_000_000];

impl Default for Latencies {
    fn default() -> Self {
        let [low, high] = BOUNDS;
        Self(Histogram::new_with_bounds(low, high, 3).expect("the bounds are a constant"))
    }
}

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// The percentiles asked for (between 0 and 100) by the nearest-rank method, in microseconds.
    ///
    /// `None` without samples.
    pub(crate) fn percentiles_us<const N: usize>(&self, wanted: [f64; N]) -> Option<[f64; N]> {
        (!self.0.is_empty()).then(|| wanted.map(|p| self.0.value_at_percentile(p) as f64 / 1e3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median_ratio(&[2.0, 9.0, 8.0], &[1.0, 3.0, 2.0]), Some(3.0));
    }

    fn percentiles<const N: usize>(micros: impl Iterator<Item = u64>, wanted: [f64; N]) -> [f64; N] {
        let mut latencies = Latencies::default();
        micros.for_each(|us| latencies.push(Duration::from_micros(us)));
        latencies.percentiles_us(wanted).unwrap()
    }

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() <= 1.001e-3, "{found} instead of {expected}");
    }

    #[test]
    fn percentiles_are_samples_to_a_thousandth() {
        // The nearest ranks of 200 samples: the 100th, the 198th, the last, the first.
        let found = percentiles((1..=200).rev(), [50.0, 99.0, 100.0, 0.0]);
        for (found, expected) in found.into_iter().zip([100.0, 198.0, 200.0, 1.0]) {
            assert_near(found, expected);
        }
        assert_eq!(Latencies::default().percentiles_us([50.0]), None);
    }

    #[test]
    fn every_magnitude_has_the_same_precision() {
        for exponent in 0..8 {
            let us = 7 * 10_u64.pow(exponent);
            assert_near(percentiles([us].into_iter(), [50.0])[0], us as f64);
        }
        assert_near(percentiles([3_600_000_000].into_iter(), [50.0])[0], 100e6);
    }

    #[test]
    fn appended_samples_count() {
        let (mut a, mut b) = (Latencies::default(), Latencies::default());
        a.push(Duration::from_millis(1));
        b.push(Duration::from_millis(9));
        a.append(&b);
        assert_eq!(a.0.len(), 2);
        assert_near(a.percentiles_us([100.0]).unwrap()[0], 9000.0);
    }
}

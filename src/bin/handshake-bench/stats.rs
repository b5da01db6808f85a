//! Medians and percentiles, exact: computed from every recorded sample.

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

/// Latencies of counted handshakes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The percentiles asked for (between 0 and 100) by the nearest-rank method, in microseconds.
    ///
    /// `None` without samples.
    pub(crate) fn percentiles_us<const N: usize>(mut self, wanted: [f64; N]) -> Option<[f64; N]> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1)?;
        Some(wanted.map(|percent| {
            let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
            self.0[rank.saturating_sub(1).min(last)].as_secs_f64() * 1e6
        }))
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

    #[test]
    fn percentiles_are_samples() {
        let mut latencies = Latencies::default();
        for us in (1..=200).rev() {
            latencies.push(Duration::from_micros(us));
        }
        assert_eq!(latencies.len(), 200);
        let rounded = latencies.percentiles_us([50.0, 99.0, 100.0, 0.0]).unwrap().map(f64::round);
        assert_eq!(rounded, [100.0, 198.0, 200.0, 1.0]);
        assert_eq!(Latencies::default().percentiles_us([50.0]), None);
    }
}

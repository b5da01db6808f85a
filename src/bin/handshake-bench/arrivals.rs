//! When handshakes of an open loop are due: clients that do not know of each other, nor of the server.

use std::time::Duration;

/// Times of arrival of a Poisson process with `rate` arrivals a second, ascending, all within `duration` of
/// its start. Equal seeds give equal times.
pub(crate) fn poisson(rate: f64, duration: Duration, seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    // The gaps are exponentially distributed; `f64` is below one, so the logarithm is finite.
    let gaps = std::iter::repeat_with(|| -(1.0 - random.f64()).ln() / rate);
    let mut now = 0.0;
    let times = gaps.map(|gap| {
        now += gap;
        now
    });
    times.take_while(|at| *at < duration.as_secs_f64()).map(Duration::from_secs_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_gaps_are_exponentially_distributed() {
        let times = poisson(10_000.0, 20 * SECOND, 1);
        // Five standard deviations of a Poisson variable with this mean.
        assert!(times.len().abs_diff(200_000) < 5 * 448, "{}", times.len());
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 10_000.0);
        let gaps: Vec<f64> = gaps.collect();
        let longer = |than: f64| gaps.iter().filter(|gap| **gap > than).count() as f64 / gaps.len() as f64;
        for than in [0.5_f64, 1.0, 2.0, 4.0] {
            let expected = (-than).exp();
            assert!((longer(than) - expected).abs() < 0.01, "{than}: {} {expected}", longer(than));
        }
    }

    #[test]
    fn times_ascend_and_end_in_time() {
        let times = poisson(1000.0, SECOND / 2, 7);
        assert!(times.is_sorted() && times.last().is_some_and(|last| *last < SECOND / 2));
    }

    #[test]
    fn seeds_decide() {
        assert_eq!(poisson(100.0, SECOND, 3), poisson(100.0, SECOND, 3));
        assert_ne!(poisson(100.0, SECOND, 3), poisson(100.0, SECOND, 4));
        assert!(poisson(0.001, SECOND / 1000, 3).is_empty());
    }
}

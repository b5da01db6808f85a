//! How full the batches were.

use rustls_multibuffer::handshake::{Op, Reason, Stats};
use std::collections::BTreeMap;

/// Requests and batches of each operation that has lanes. The others have nothing to fill.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches([Count; Op::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    batches: u64,
    /// Batches by the reason why they left, indexed by `reason as usize`.
    reasons: [u64; Reason::ALL.len()],
}

impl Count {
    fn mean(self) -> Option<f64> {
        (self.batches > 0).then(|| self.requests as f64 / self.batches as f64)
    }
}

impl Batches {
    /// Adds what one engine has done.
    pub(crate) fn add(&mut self, stats: &Stats) {
        // `fills` has an entry for each fill from zero to the capacity.
        for op in stats.iter().filter(|op| op.fills.len() > 2) {
            let count = &mut self.0[op.op.index()];
            count.requests += op.requests();
            count.batches += op.batches();
            count.reasons.iter_mut().zip(Reason::ALL).for_each(|(sum, reason)| *sum += op.left(*reason));
        }
    }

    /// Adds what happened at another time.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            sum.requests += more.requests;
            sum.batches += more.batches;
            sum.reasons.iter_mut().zip(more.reasons).for_each(|(sum, more)| *sum += more);
        }
    }

    /// What has happened since `earlier`.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for (now, then) in self.0.iter_mut().zip(earlier.0) {
            now.requests -= then.requests;
            now.batches -= then.batches;
            now.reasons.iter_mut().zip(then.reasons).for_each(|(now, then)| *now -= then);
        }
        self
    }

    /// Requests in a batch on average, over all operations; `None` without batches.
    pub(crate) fn mean_fill(&self) -> Option<f64> {
        let sum = |value: fn(&Count) -> u64| self.0.iter().map(value).sum();
        Count { requests: sum(|c| c.requests), batches: sum(|c| c.batches), ..Count::default() }.mean()
    }

    /// Batches by the reason why they left, over all operations; none without batches.
    pub(crate) fn reasons(&self) -> BTreeMap<&'static str, u64> {
        if self.mean_fill().is_none() {
            return BTreeMap::new();
        }
        let sum = |reason: Reason| self.0.iter().map(|count| count.reasons[reason as usize]).sum();
        Reason::ALL.iter().map(|reason| (reason.name(), sum(*reason))).collect()
    }

    /// The share of batches that left for this reason, in percent; `None` without batches.
    pub(crate) fn share(&self, reason: &str) -> Option<f64> {
        let reasons = self.reasons();
        let sum: u64 = reasons.values().sum();
        Some(*reasons.get(reason)? as f64 * 100.0 / sum as f64)
    }

    /// Requests for each of `handshakes`, by operation.
    pub(crate) fn requests_per(&self, handshakes: usize) -> BTreeMap<&'static str, f64> {
        let named = Op::ALL.iter().zip(self.0).filter(|(_, count)| count.requests > 0);
        named.map(|(op, count)| (op.name(), count.requests as f64 / handshakes as f64)).collect()
    }

    /// The mean fill for each operation that had batches, by name.
    pub(crate) fn fills(&self) -> BTreeMap<&'static str, f64> {
        let named = Op::ALL.iter().zip(self.0);
        named.filter_map(|(op, count)| Some((op.name(), count.mean()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, batches: u64) -> Batches {
        let mut all = Batches::default();
        all.0[Op::RsaSign2048.index()] = Count { requests, batches, reasons: [batches, 0, 0, 0] };
        all
    }

    #[test]
    fn fills_are_those_of_the_time_between() {
        let between = counts(10, 6).since(&counts(4, 4));
        assert_eq!(between.mean_fill(), Some(3.0));
        assert_eq!(between.fills(), BTreeMap::from([("rsa2048-sign", 3.0)]));
        assert_eq!(between.requests_per(3), BTreeMap::from([("rsa2048-sign", 2.0)]));
        assert_eq!(counts(4, 4).since(&counts(4, 4)).mean_fill(), None);
    }

    #[test]
    fn operations_are_averaged_over_batches() {
        let mut all = counts(8, 2);
        all.0[Op::RsaSign3072.index()] = Count { requests: 2, batches: 2, reasons: [0, 1, 1, 0] };
        all.merge(&counts(2, 1));
        assert_eq!(all.mean_fill(), Some(12.0 / 5.0));
        assert_eq!(all.reasons(), BTreeMap::from([("full", 3), ("idle", 1), ("deadline", 1), ("drain", 0)]));
        let later = all.clone().since(&counts(1, 1));
        assert_eq!(later.reasons()["full"], 2);
        assert_eq!([all.share("full"), all.share("idle")], [Some(60.0), Some(20.0)]);
        assert!(all.clone().since(&all).reasons().is_empty());
        assert_eq!(all.clone().since(&all).share("full"), None);
    }
}

//! What the tests of operations share.

use super::{Request, Response, Runner};
pub(crate) use crate::arch::testing::Random;
use crate::arch::testing::with_tier;
use crate::arch::{Tier, TierKind};
pub(crate) use crate::arith::testing::from_hex;
use crate::error::Error;

/// Runs `test` with every tier that this machine has, the specification included.
pub(crate) fn each_tier(test: impl Fn(Tier)) {
    for kind in TierKind::DETECTABLE.iter().copied().chain([TierKind::Portable]) {
        with_tier(kind, Tier::of_kind(kind), &test);
    }
}

/// The results of one batch.
pub(crate) fn run(runner: &mut Runner, requests: &[Request]) -> Vec<Result<Response, Error>> {
    let mut results = Vec::new();
    runner.run(&requests.iter().collect::<Vec<_>>(), &mut results);
    assert_eq!(results.len(), requests.len());
    results
}

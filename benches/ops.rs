//! Every operation through every tier of this machine, one alone and a full batch, and other libraries one by
//! one.
//!
//! Batches are checked with aws-lc-rs before they are timed. Ratios are the business of
//! `handshake-bench ops`, which lets both sides take turns; this is for profiles and for comparing one commit
//! with the next: `cargo bench --bench ops -- NAME`.

#[path = "../src/bin/handshake-bench/ops/cases/mod.rs"]
mod cases;

use cases::{Baseline, Case};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustls_multibuffer::internals::ops::Runner;
use rustls_multibuffer::{Tier, TierKind};

/// Runs a batch whose results are right.
fn check(case: &dyn Case, runner: &mut Runner, fill: usize) {
    for (input, result) in cases::run_batch(case, runner, fill).iter().enumerate() {
        let response = result.as_ref().expect("the operation succeeds");
        case.check(input, response).expect("the answer is right");
    }
}

fn operations(c: &mut Criterion) {
    for name in cases::names() {
        let case = cases::case(name).expect("the keys are good");
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for baseline in Baseline::ALL {
            group.bench_function(baseline.name(), |b| b.iter(|| case.run_baseline(baseline, 0)));
        }
        for tier in TierKind::DETECTABLE.iter().copied().filter_map(Tier::of_kind) {
            let mut runner = Runner::new(tier);
            if !case.exists_on(&runner) {
                continue;
            }
            let capacity = runner.capacity(case.op());
            for fill in if capacity == 1 { vec![1] } else { vec![1, capacity] } {
                check(&*case, &mut runner, fill);
                group.throughput(Throughput::Elements(fill as u64));
                let id = BenchmarkId::new(tier.kind().name(), format!("fill {fill} of {capacity}"));
                group.bench_function(id, |b| b.iter(|| cases::run_batch(&*case, &mut runner, fill)));
            }
        }
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);

//! The budget of restarts of a supervised process.

#[path = "../src/bin/mtls-sidecar/restarts.rs"]
mod restarts;

use restarts::{Policy, Restarts};
use std::time::Duration;

const CRASH: Duration = Duration::from_millis(5);

#[test]
fn ten_restarts_each_twice_as_late() {
    let mut restarts = Restarts::new(Policy::default());
    for n in 1..=10u32 {
        assert_eq!(restarts.after(CRASH), Some(Duration::from_millis(200 * 2u64.pow(n - 1))));
        assert_eq!(restarts.used(), n);
    }
    assert_eq!(restarts.after(CRASH), None);
    assert_eq!(restarts.after(CRASH), None);
}

#[test]
fn a_stable_run_renews_the_budget() {
    let policy = Policy::default();
    let mut restarts = Restarts::new(policy);
    while restarts.after(CRASH).is_some() {}
    assert_eq!(restarts.after(policy.stable_run - Duration::from_nanos(1)), None);
    assert_eq!(restarts.after(policy.stable_run), Some(Duration::from_millis(200)));
    assert_eq!(restarts.after(CRASH), Some(Duration::from_millis(400)));
}

#[test]
fn nothing_overflows() {
    let policy = Policy { tries: 1000, first_delay: Duration::MAX, stable_run: Duration::MAX };
    let mut restarts = Restarts::new(policy);
    for _ in 0..1000 {
        assert!(restarts.after(Duration::ZERO).is_some());
    }
    assert_eq!(restarts.after(Duration::ZERO), None);
}

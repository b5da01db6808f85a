//! Identities from the Workload API and from SDS, end to end: the embedded authority serves them, a source
//! follows, and what it delivers is published or refused. Peers that are not ours read from the same sockets.
#![cfg(unix)]

mod authority;
mod envoy;
mod final_answers;
mod load;
mod outages;
mod peer;
mod protocol;
mod py_spiffe;
mod support;

use std::future::Future;
use std::time::Duration;

/// Runs a test, which must not take forever; child processes are killed when it is dropped.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(600);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("the test hangs") });
}

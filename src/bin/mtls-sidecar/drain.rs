//! Letting connections finish.

use crate::config::DrainConfig;
use crate::notify;
use crate::signals::{Meaning, Signals};
use crate::state::{Phase, State};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often a draining process looks whether connections are left.
const LOOK: Duration = Duration::from_millis(20);

/// Accepts nothing more, and lets connections finish.
pub(crate) async fn drain(state: &State, signals: &mut Signals) {
    log::info!(connections = state.active(); "draining");
    state.advance(Phase::Draining);
    notify::stopping();
    finish(state, state.config.drain, signals).await;
}

/// Lets connections finish after a signal to end, as long as `drain` says or until another such decision.
pub(crate) async fn finish(state: &State, drain: DrainConfig, signals: &mut Signals) {
    let patience = async {
        if drain.exit_on_zero_active_connections {
            sleep(drain.minimum_drain_duration.0).await;
            none_left(state).await;
        } else {
            // Nothing is accepted any more, so there is nothing to wait for when the last connection has
            // ended.
            let _ = timeout(drain.termination_drain_duration.0, none_left(state)).await;
        }
    };
    let mut phases = state.phases();
    tokio::select! {
        () = patience => {}
        () = second_end(signals) => log::warn!(connections = state.active(); "ending at once"),
        _ = phases.wait_for(|phase| *phase == Phase::Ended) => {}
    }
}

async fn second_end(signals: &mut Signals) {
    while signals.next().await == Meaning::Restart {
        log::warn!("no hot restart while draining");
    }
}

/// Waits until every connection has ended.
pub(crate) async fn none_left(state: &State) {
    // Accepted connections are counted before they are served: what was in the sockets' queues has its turn
    // first.
    loop {
        sleep(LOOK).await;
        if state.active() == 0 {
            return;
        }
    }
}

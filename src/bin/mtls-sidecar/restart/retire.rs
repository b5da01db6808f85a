//! What is left to do for a process whose sockets another has taken over.

use super::successor::{Handle, Successor};
use crate::counters::Counters;
use crate::drain::{finish, none_left};
use crate::signals::{Meaning, Signals};
use crate::state::{Phase, State};
use crate::supervise::supervision::{Event, Supervision};
use crate::worker::Queries;
use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How often the successor is told what this process counts.
const TELL: Duration = Duration::from_millis(500);

/// Sends the successor what this process counts.
pub(crate) struct Sender<'a> {
    pub(crate) successor: &'a mut Successor,
    pub(crate) counters: &'a Counters,
    pub(crate) workers: Queries,
}

impl Sender<'_> {
    async fn send(&mut self, state: &State) {
        let increments = self.counters.increments(&self.workers.stats().await);
        self.successor.tell(increments, state.active()).await;
    }
}

/// Lets connections finish after a hot restart, those of earlier processes included, and tells the successor
/// what they count.
///
/// # Errors
/// The successor has failed: nobody accepts any more, unless a supervisor has started another.
pub(crate) async fn retire(
    state: &State,
    signals: &mut Signals,
    sender: &mut Sender<'_>,
    ancestors: Option<JoinHandle<()>>,
    supervision: &Supervision,
) -> Result<(), String> {
    state.advance(Phase::HandedOver);
    let id = sender.successor.id();
    log::info!(connections = state.active(), successor:% = id; "handed over");
    let has_failed = Cell::new(false);
    let failure = sender.successor.failure();
    let failed = async {
        let code = failure.await;
        has_failed.set(true);
        supervision.tell(Event::Failed(id, code));
        if supervision.is_supervised() {
            // Another process is started meanwhile.
            std::future::pending().await
        }
    };
    let finished = async {
        let last = async {
            none_left(state).await;
            // What the processes before us have yet to count reaches the successor only through us.
            if let Some(ancestors) = ancestors {
                let _ = ancestors.await;
            }
        };
        let _ = timeout(state.config.drain.parent_shutdown_time.0, last).await;
    };
    let handle = sender.successor.handle();
    let (mut finished, mut cut) = (pin!(finished), pin!(cut_short(state, signals, handle.as_ref(), failed)));
    loop {
        tokio::select! {
            () = &mut finished => break,
            () = &mut cut => break,
            () = sleep(TELL) => sender.send(state).await,
        }
    }
    if has_failed.get() { Err("the process that had taken over has failed".into()) } else { Ok(()) }
}

/// Ends the wait of a process that retires: after a signal as if nobody had come after it, and soon after a
/// failure, so that whoever supervises this process can start another.
async fn cut_short(
    state: &State,
    signals: &mut Signals,
    successor: Option<&Handle>,
    failed: impl Future<Output = ()>,
) {
    let mut failed = pin!(failed);
    let has_failed = loop {
        tokio::select! {
            () = &mut failed => break true,
            meaning = signals.next() => match meaning {
                Meaning::End => break false,
                // It came while the successor was starting, which may have read the file before it was
                // changed.
                Meaning::Restart => successor.into_iter().for_each(Handle::hang_up),
            },
        }
    };
    let mut drain = state.config.drain;
    drain.exit_on_zero_active_connections &= !has_failed;
    finish(state, drain, signals).await;
}

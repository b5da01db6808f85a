//! What signals ask for. A supervisor that has gone, or that wants this process to end, asks as one of them
//! does.

use crate::supervise::supervision::Supervision;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals to end that come within this time of the first are one decision: a process may get several when
/// all processes of a service are signalled, and when a process and its group are.
pub(crate) const ONE_DECISION: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    End,
    Restart,
}

/// The signals that mean something.
pub(crate) struct Signals {
    ends: Ends,
    hangup: Signal,
}

impl Signals {
    /// Receives them from now on, and those that mean nothing, which would end the process otherwise.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn new(supervision: Supervision) -> Result<Self, String> {
        ignore_others();
        Ok(Self { ends: Ends::new(supervision)?, hangup: listen(SignalKind::hangup())? })
    }

    /// What the next one asks for.
    pub(crate) async fn next(&mut self) -> Meaning {
        tokio::select! {
            () = self.ends.next() => Meaning::End,
            _ = self.hangup.recv() => Meaning::Restart,
        }
    }

    /// A signal to end.
    pub(crate) async fn end(&mut self) {
        self.ends.next().await;
    }
}

/// The wishes to end.
pub(crate) struct Ends {
    signals: [Signal; 3],
    supervision: Supervision,
    /// When the first one came.
    first: Option<Instant>,
}

impl Ends {
    /// Receives them from now on.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn new(supervision: Supervision) -> Result<Self, String> {
        let signals =
            [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::quit())?];
        Ok(Self { signals, supervision, first: None })
    }

    /// The first, and then each that is a decision of its own.
    pub(crate) async fn next(&mut self) {
        loop {
            let is_signal = tokio::select! {
                () = any(&mut self.signals) => true,
                () = self.supervision.end(), if self.first.is_none() => false,
            };
            let now = Instant::now();
            match self.first {
                None => {
                    self.first = Some(now);
                    return;
                }
                Some(first) if is_signal && now - first >= ONE_DECISION => return,
                Some(_) => log::info!("told to end again within {ONE_DECISION:?}, which changes nothing"),
            }
        }
    }
}

async fn any(signals: &mut [Signal]) {
    poll_fn(|cx| {
        match signals.iter_mut().filter_map(|signal| signal.poll_recv(cx).is_ready().then_some(())).count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

pub(crate) fn listen(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|e| format!("signals cannot be received: {e}"))
}

/// Takes the signals that would end the process and ask for nothing here, until the runtime ends.
pub(crate) fn ignore_others() {
    use rustix::process::Signal as S;
    let named =
        [S::USR1, S::USR2, S::ALARM, S::VTALARM, S::PROF, S::IO, S::XCPU, S::XFSZ, S::STKFLT, S::POWER];
    let named = named.map(S::as_raw).into_iter();
    // Those of the C library come before the first real-time signal that programs may use.
    for number in named.chain(34..=64) {
        // What the system does not know cannot come.
        let Ok(mut ignored) = signal(SignalKind::from_raw(number)) else { continue };
        tokio::spawn(async move {
            while ignored.recv().await.is_some() {
                log::debug!(signal = number; "a signal that means nothing here");
            }
        });
    }
}

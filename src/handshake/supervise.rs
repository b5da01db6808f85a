//! The engine's rules for one future: in-flight limit, timeout, end of the engine, statistics.

use super::HandshakeError;
use super::gate::Tally;
use super::race::race;
use super::session::Session;
use crate::provider::answer::is_on_engine;
use std::future::Future;
use std::pin::pin;

/// Runs `admitted`, which does its work through `session`, when there is room for it, and gives it up when
/// its time is up or the engine ends.
///
/// What runs on an engine already keeps to that engine's rules: there `admitted` is awaited, and no more.
pub(super) async fn supervise<S, T, E>(
    session: &S,
    admitted: impl Future<Output = Result<T, E>>,
) -> Result<T, E>
where
    S: Session,
    E: From<HandshakeError>,
{
    if is_on_engine() {
        return admitted.await;
    }
    if let Some(why) = session.unusable() {
        return Err(why.into());
    }
    let gate = session.gate();
    let tally = Tally::new(gate);
    // Pinned where they are: a future is kept once more in every function that it is passed to.
    let ends = pin!(async {
        let _inside = gate.enter().await?;
        Ok(admitted.await)
    });
    let closed = pin!(async {
        gate.closed().await;
        Err(HandshakeError::ShutDown)
    });
    let late = pin!(async {
        session.timeout().await;
        Err(HandshakeError::TimedOut)
    });
    let outcome = race(ends, pin!(race(closed, late))).await;
    tally.record(&outcome);
    outcome?
}

//! The wall clock as an argument, so that expiry needs no waiting in tests.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Tells the time that validities are compared with.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time that validities are compared with.
    fn now(&self) -> SystemTime;

    /// Ready when it is `at` or later.
    fn sleep_until<'a>(&'a self, at: SystemTime) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// How long a wait may take before the wall clock is looked at again: it may be set, and machines sleep.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until<'a>(&'a self, at: SystemTime) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            while let Ok(left) = at.duration_since(self.now())
                && !left.is_zero()
            {
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }
}

/// A clock as rustls wants to see it.
#[derive(Debug)]
pub(super) struct RustlsTime(pub(super) Arc<dyn Clock>);

impl TimeProvider for RustlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        unix_time(self.0.now())
    }
}

/// `None` before 1970.
pub(super) fn unix_time(time: SystemTime) -> Option<UnixTime> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
}

/// The inverse of [`unix_time`].
pub(super) fn system_time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

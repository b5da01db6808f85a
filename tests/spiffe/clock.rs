//! A clock that tests set.

use rustls_multibuffer::spiffe::Clock;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Stands still until it is told otherwise.
#[derive(Debug)]
pub(crate) struct TestClock(watch::Sender<SystemTime>);

impl TestClock {
    /// A clock that shows the present.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(SystemTime::now())))
    }

    pub(crate) fn set(&self, to: SystemTime) {
        self.0.send_replace(to);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.borrow()
    }

    fn sleep_until<'a>(&'a self, at: SystemTime) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            time.wait_for(|now| *now >= at).await.expect("the clock lives as long as its borrow");
        })
    }
}

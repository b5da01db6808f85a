//! Waiting for less than tokio's timers can tell apart, and without turning the runtime's loop meanwhile.

use std::time::Duration;

/// A timer, for one who waits at a time.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    kernel: linux::Timer,
}

impl Alarm {
    /// Waits for `time`: on Linux to the precision of the kernel's timers, about 50 µs; elsewhere to that of
    /// tokio's, which count whole milliseconds.
    pub(super) async fn sleep(&self, time: Duration) {
        #[cfg(target_os = "linux")]
        if self.kernel.sleep(time).await.is_ok() {
            return;
        }
        tokio::time::sleep(time).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::io::read;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::cell::RefCell;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::io::unix::AsyncFd;
    use tokio::runtime::{Handle, Id};

    /// A timer of the kernel's, made when first needed. It belongs to one runtime.
    #[derive(Debug, Default)]
    pub(super) struct Timer(RefCell<Option<(Id, Rc<AsyncFd<OwnedFd>>)>>);

    impl Timer {
        /// # Errors
        /// No descriptor is free, or the runtime is ending.
        pub(super) async fn sleep(&self, time: Duration) -> io::Result<()> {
            let timer = self.of_this_runtime()?;
            // Zero would disarm it.
            let it_value = time.max(Duration::from_nanos(1)).try_into().map_err(io::Error::other)?;
            let once = Itimerspec { it_interval: Timespec::default(), it_value };
            timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            loop {
                let mut ready = timer.readable().await?;
                // Nothing can be read if it was ready before it was set.
                if let Ok(expired) = ready.try_io(|timer| Ok(read(timer, &mut [0; 8])?)) {
                    return expired.map(drop);
                }
            }
        }

        fn of_this_runtime(&self) -> io::Result<Rc<AsyncFd<OwnedFd>>> {
            let (runtime, mut timer) = (Handle::current().id(), self.0.borrow_mut());
            match &*timer {
                Some((id, timer)) if *id == runtime => Ok(timer.clone()),
                _ => {
                    let new = Rc::new(new()?);
                    *timer = Some((runtime, new.clone()));
                    Ok(new)
                }
            }
        }
    }

    #[expect(deprecated, reason = "its successor is unsafe for types that are not as good as OwnedFd")]
    fn new() -> io::Result<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)
    }
}

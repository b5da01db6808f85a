//! What a supervised sidecar tells its supervisor, through its standard output: a pipe that processes inherit from one
//! another.
//!
//! A process that took over is the child of the one before for as long as that drains, so the supervisor does not see its
//! end: the one before tells.

use rustix::process::{Pid, RawPid};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::str::FromStr;

/// One line of the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// From now on it is that process that accepts, or is about to, and it knows what signals mean.
    Accepts(Pid),
    /// That process has failed, with this exit status.
    Failed(Pid, u8),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepts(id) => write!(f, "accepts {id}"),
            Self::Failed(id, code) => write!(f, "failed {id} {code}"),
        }
    }
}

impl FromStr for News {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let id = |text: &str| text.parse::<RawPid>().ok().and_then(Pid::from_raw).ok_or(());
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["accepts", of] => Ok(Self::Accepts(id(of)?)),
            ["failed", of, code] => Ok(Self::Failed(id(of)?, code.parse().map_err(|_| ())?)),
            _ => Err(()),
        }
    }
}

/// The way to the supervisor, if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supervision {
    /// Whether standard output is its pipe.
    pub(crate) is_supervised: bool,
}

impl Supervision {
    pub(crate) fn tell(self, news: News) {
        if !self.is_supervised {
            return;
        }
        // One write, so that lines of different processes do not mix.
        let mut out = io::stdout().lock();
        if let Err(e) = out.write_all(format!("{news}\n").as_bytes()).and_then(|()| out.flush()) {
            log::warn!("the supervisor is not told: {e}");
        }
    }
}

/// The supervisor's end of the pipe.
pub(crate) struct Hearing<R> {
    pipe: R,
    /// A line that is not complete.
    rest: Vec<u8>,
}

impl<R: Read> Hearing<R> {
    /// Of a pipe that does not block.
    pub(crate) fn new(pipe: R) -> Self {
        Self { pipe, rest: Vec::new() }
    }

    /// What has been told since the last call.
    pub(crate) fn news(&mut self) -> Vec<News> {
        // The end is that nothing more is there now, which is an error.
        let _ = self.pipe.read_to_end(&mut self.rest);
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..complete).collect();
        String::from_utf8_lossy(&lines).lines().filter_map(|line| line.parse().ok()).collect()
    }
}

/// A child's process id.
///
/// # Errors
/// It has been waited for.
pub(crate) fn process_id(id: Option<u32>) -> Result<Pid, String> {
    id.and_then(|id| RawPid::try_from(id).ok()).and_then(Pid::from_raw).ok_or_else(|| "no process id".into())
}

/// Exit statuses as a shell has them.
pub(crate) fn code(exited: Option<i32>, signalled: Option<i32>) -> u8 {
    let code = exited.or_else(|| signalled.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The same for a child of ours.
pub(crate) fn code_of(status: ExitStatus) -> u8 {
    code(status.code(), status.signal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn news_arrive_line_by_line() {
        let (here, mut there) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(here.as_fd(), true).unwrap();
        let mut hearing = Hearing::new(here);
        assert_eq!(hearing.news(), []);
        let id = Pid::from_raw(7).unwrap();
        let news = [News::Accepts(id), News::Failed(id, 137)];
        there.write_all(format!("{}\n{}\nacc", news[0], news[1]).as_bytes()).unwrap();
        assert_eq!(hearing.news(), news);
        there.write_all(b"epts 7\nnonsense\nfailed 0 1\n").unwrap();
        assert_eq!(hearing.news(), news[..1]);
    }
}

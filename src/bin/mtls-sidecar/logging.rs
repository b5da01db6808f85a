//! The log: a JSON object a line on standard error. A thread of its own writes, so that a reader that is
//! stuck holds no connection up; what does not fit into its queue is dropped and counted.

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value as Json};
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The target of a connection's line.
pub(crate) const ACCESS: &str = "access";

/// Lines that wait to be written.
const QUEUE: usize = 4096;

struct Lines {
    queue: SyncSender<Message>,
}

enum Message {
    Line(String),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts the log. Once in the life of the process.
pub(crate) fn start(level: LevelFilter) {
    let (queue, lines) = sync_channel(QUEUE);
    let writer = std::thread::Builder::new().name("log".into()).spawn(move || write(&lines));
    let logger = LINES.get_or_init(|| Lines { queue });
    match writer.map_err(|e| e.to_string()).and_then(|_| log::set_logger(logger).map_err(|e| e.to_string())) {
        Ok(()) => log::set_max_level(level),
        Err(e) => eprintln!("mtls-sidecar: there will be no log: {e}"),
    }
}

/// Counts what happens too often to be logged each time.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// How long nothing is logged again.
    const PAUSE: Duration = Duration::from_secs(10);

    pub(crate) const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Counts one more. Some: it is to be logged, with how many there have been since it was logged last.
    pub(crate) fn count(&self) -> Option<u64> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (logged, n) = &mut *inner;
        *n += 1;
        if logged.is_some_and(|at| at.elapsed() < Self::PAUSE) {
            return None;
        }
        *logged = Some(Instant::now());
        Some(std::mem::take(n))
    }
}

/// Waits until everything that was logged is written, for a second at most.
pub(crate) fn flush() {
    let (done, written) = sync_channel(1);
    if let Some(lines) = LINES.get()
        && lines.queue.try_send(Message::Flush(done)).is_ok()
    {
        // A reader that is stuck for a second does not get the rest.
        let _ = written.recv_timeout(Duration::from_secs(1));
    }
}

fn write(lines: &Receiver<Message>) {
    for message in lines {
        match message {
            // There is nowhere to report that the log cannot be written.
            Message::Line(line) => drop(std::io::stderr().write_all(line.as_bytes())),
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata())
            && self.queue.try_send(Message::Line(line(record, SystemTime::now()))).is_err()
        {
            metrics::counter!("mtls_sidecar_log_lines_dropped_total").increment(1);
        }
    }

    fn flush(&self) {
        flush();
    }
}

fn line(record: &Record<'_>, now: SystemTime) -> String {
    let mut fields = Fields(Map::new());
    fields.0.insert("time".into(), rfc3339(now).into());
    fields.0.insert("level".into(), record.level().as_str().to_ascii_lowercase().into());
    fields.0.insert("target".into(), record.target().into());
    fields.0.insert("message".into(), record.args().to_string().into());
    // The visitor below does not fail.
    let _ = record.key_values().visit(&mut fields);
    let mut line = Json::Object(fields.0).to_string();
    line.push('\n');
    line
}

/// The time in UTC, to the microsecond.
fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let micros = time.nanosecond() / 1000;
    // The format has no more digits than the time; every time of a clock has a year of four digits.
    let whole =
        time.replace_nanosecond(0).ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
    format!("{}.{micros:06}Z", whole.trim_end_matches('Z'))
}

struct Fields(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = match (value.to_bool(), value.to_u64(), value.to_f64()) {
            (Some(truth), ..) => truth.into(),
            (_, Some(number), _) => number.into(),
            (_, _, Some(number)) => number.into(),
            _ => value.to_string().into(),
        };
        self.0.insert(key.as_str().to_owned(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_object_whatever_is_in_it() {
        let pairs = [("bytes", Value::from(7u64)), ("peer", Value::from("spiffe://a/\"b\"\n"))];
        let args = format_args!("two\nlines");
        let mut record = Record::builder();
        record.level(log::Level::Warn).target("t").args(args).key_values(&pairs);
        let text = line(&record.build(), SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!(text.matches('\n').count(), 1);
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["level"], &json["message"]), (&"warn".into(), &"two\nlines".into()));
        assert_eq!((&json["bytes"], &json["peer"]), (&7.into(), &"spiffe://a/\"b\"\n".into()));
        assert_eq!(json["time"], "1970-01-01T00:00:01.500000Z");
    }

    #[test]
    fn what_happens_often_is_logged_seldom() {
        let seldom = Seldom::new();
        assert_eq!(seldom.count(), Some(1));
        assert_eq!([(); 3].map(|()| seldom.count()), [None; 3]);
        seldom.0.lock().unwrap().0 = None;
        assert_eq!(seldom.count(), Some(4));
    }
}

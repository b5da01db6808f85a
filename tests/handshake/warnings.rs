//! The warnings that the process logs.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::Mutex;

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

struct Warnings(Mutex<Vec<String>>);

impl Log for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() == Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Keeps warnings from now on: to be called once, before any test can cause one.
pub(crate) fn keep() {
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(LevelFilter::Warn);
}

/// How many warnings contain `text`.
pub(crate) fn warned(text: &str) -> usize {
    WARNINGS.0.lock().unwrap().iter().filter(|warning| warning.contains(text)).count()
}

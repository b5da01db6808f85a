//! What the tests share.

use rustls_multibuffer::config::envoy::{DownstreamTlsContext, UpstreamTlsContext};
use rustls_multibuffer::config::{Checked, ConfigError, Document, Mode};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn document(text: &str) -> Document {
    Document::parse("test.yaml", text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub(crate) fn downstream(text: &str) -> Result<Checked<DownstreamTlsContext>, ConfigError> {
    DownstreamTlsContext::read(&document(text), Mode::Strict)
}

pub(crate) fn upstream(text: &str) -> Result<Checked<UpstreamTlsContext>, ConfigError> {
    UpstreamTlsContext::read(&document(text), Mode::Strict)
}

/// `path: message` of each problem.
pub(crate) fn problems(e: &ConfigError) -> Vec<String> {
    e.problems().iter().map(|p| format!("{}: {}", p.location.path, p.message)).collect()
}

/// The text, indented by `by` spaces.
pub(crate) fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// A key of the vendored vectors, PEM.
pub(crate) fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor-test-vectors/rsa-keys").join(name)
}

/// A directory of its own, removed in the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("config-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

//! Where the bytes of a certificate or a key come from.

use super::messages::messages;
use super::read::At;
use crate::arch::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

messages! {
    /// The bytes of a certificate chain, of a private key or of trusted roots: Envoy's `DataSource`, exactly
    /// one of its fields.
    struct RawDataSource as "DataSource" {
        /// A file, read when the identity is loaded.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        filename: Option<SecretText>,
        /// The text itself.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        inline_string: Option<SecretText>,
        /// The bytes themselves, in base64.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        inline_bytes: Option<SecretText>,
        /// The name of an environment variable that holds the text.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        environment_variable: Option<SecretText>,
    }
}

/// Text that may be a key, wherever somebody has put it.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl RawDataSource {
    pub(super) fn check(&self, at: &At<'_>) -> Option<DataSource> {
        let fields = [
            ("filename", &self.filename),
            ("inline_string", &self.inline_string),
            ("inline_bytes", &self.inline_bytes),
            ("environment_variable", &self.environment_variable),
        ];
        let given: Vec<_> =
            fields.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))).collect();
        let [(name, text)] = given[..] else {
            return at.fail(format!(
                "expected one of filename, inline_string, inline_bytes and environment_variable, found {}",
                given.len()
            ));
        };
        let at = at.field(name);
        let text = text.0.as_str();
        if text.is_empty() {
            return at.fail("it is empty");
        }
        match name {
            "filename" => Some(DataSource::File(text.into())),
            "inline_string" => Some(DataSource::inline(text.as_bytes())),
            "inline_bytes" => match decode(text) {
                Some(bytes) => Some(DataSource::inline(&bytes)),
                None => at.fail("this is not base64"),
            },
            _ => Some(DataSource::Environment(text.to_owned())),
        }
    }
}

/// Protobuf's JSON takes either alphabet, with or without padding.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim_end_matches('=');
    let engine: &GeneralPurpose = if text.contains(['-', '_']) { &URL_SAFE_NO_PAD } else { &STANDARD_NO_PAD };
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = engine.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// Where the bytes of a certificate or a key come from. What is inline wipes itself and is never printed.
#[derive(Clone)]
pub enum DataSource {
    /// A file, which is read when the bytes are loaded.
    File(PathBuf),
    /// The configuration itself.
    Inline(Arc<Secret<u8>>),
    /// An environment variable.
    Environment(String),
}

impl DataSource {
    fn inline(bytes: &[u8]) -> Self {
        Self::Inline(Arc::new(Secret::copied_from(bytes)))
    }

    /// The bytes as they are now; from the environment of this process.
    ///
    /// # Errors
    /// What the operating system says about the file; [`io::ErrorKind::NotFound`] for an environment variable
    /// that is not set; [`io::ErrorKind::InvalidData`] when there is nothing in it, or more than 4 MiB.
    pub fn load(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Self::File(path) => read_file(path)?,
            Self::Inline(bytes) => Zeroizing::new(bytes.expose().to_vec()),
            Self::Environment(name) => match std::env::var_os(name) {
                Some(value) => Zeroizing::new(value.into_encoded_bytes()),
                None => return Err(io::Error::new(io::ErrorKind::NotFound, "the variable is not set")),
            },
        };
        match bytes.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "there is nothing in it")),
            false => Ok(bytes),
        }
    }
}

fn read_file(path: &std::path::Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    // With room for all of it from the start, so that growing leaves no copies behind.
    let length = file.metadata()?.len().min(MAX_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 4 MiB")),
        false => Ok(bytes),
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Inline(_) => f.write_str("inline, not shown"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Shows where the bytes are, never what they are.
impl Serialize for DataSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataSource({self})")
    }
}

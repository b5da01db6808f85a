//! Private keys in PEM texts.
//!
//! rustls' reader of PEM leaves the text of a key in memory that it has freed; this one leaves nothing. It
//! reads the keys of identities and of configurations (`validation/pem.rs`), and those of tests.

use crate::arch::Secret;
use crate::error::KeyError;
use pkcs8::der::pem;

/// What a PEM section holds.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    Pkcs1,
    Pkcs8,
    Sec1,
}

/// The first private key of a PEM text (RFC 7468); other sections and text around them are skipped.
pub(crate) fn read(text: &[u8]) -> Result<(Format, Secret<u8>), KeyError> {
    let (label, section) = private_key_section(text).ok_or(KeyError::Encoding)?;
    let format = match label {
        b"RSA PRIVATE KEY" => Format::Pkcs1,
        b"PRIVATE KEY" => Format::Pkcs8,
        b"EC PRIVATE KEY" => Format::Sec1,
        b"ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        _ => return Err(KeyError::Algorithm),
    };
    // RFC 7468 §3 wants lines of 64 characters, but some encoders make others: the first line decides.
    let width = section.split(|byte| *byte == b'\n').nth(1).map_or(0, |line| line.trim_ascii_end().len());
    let decode = || -> pem::Result<Secret<u8>> {
        let mut decoder = pem::Decoder::new_wrapped(section, width.max(4))?;
        let mut der = Secret::zeroed(decoder.remaining_len());
        decoder.decode(der.expose_mut())?;
        Ok(der)
    };
    // Encrypted PKCS#1 has headers (RFC 1421 §4.6.1.1) where RFC 7468 allows none.
    let has_headers = section.windows(10).any(|bytes| bytes == b"Proc-Type:");
    let der = decode().map_err(|_| if has_headers { KeyError::Encrypted } else { KeyError::Encoding })?;
    Ok((format, der))
}

/// The label and the text, boundaries included, of the first section whose label ends in `PRIVATE KEY`.
fn private_key_section(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut begin, mut offset) = (None, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (start, content) = (offset, line.trim_ascii_end());
        offset += line.len();
        let label = |prefix: &[u8]| content.strip_prefix(prefix)?.strip_suffix(b"-----");
        match begin {
            None => {
                begin = label(b"-----BEGIN ").filter(|l| l.ends_with(b"PRIVATE KEY")).map(|l| (l, start));
            }
            Some((wanted, begin)) => {
                if label(b"-----END ") == Some(wanted) {
                    return Some((wanted, &text[begin..start + content.len()]));
                }
            }
        }
    }
    None
}

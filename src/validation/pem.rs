//! PEM files with roots or keys.

use crate::arch::wiping_stack;
use crate::ops::pem::{self, Format};
use rustls::pki_types::pem::{Error, PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer,
    PrivateSec1KeyDer,
};
use std::collections::BTreeSet;
use zeroize::Zeroize;

/// What a PEM file with roots holds.
#[derive(Debug, Default)]
pub(crate) struct Trusted {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
    /// The labels of the blocks that are neither.
    pub(crate) others: BTreeSet<String>,
}

/// Reads roots and revocation lists.
///
/// # Errors
/// A block that does not end, or is not base64.
pub(crate) fn trusted(pem: &[u8]) -> Result<Trusted, String> {
    let mut trusted = Trusted::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match section.map_err(|e| e.to_string())? {
            (SectionKind::Certificate, der) => trusted.certificates.push(der.into()),
            (SectionKind::Crl, der) => trusted.crls.push(der.into()),
            // It may be a key.
            (_, mut other) => other.zeroize(),
        }
    }
    let others = labels(pem).filter(|label| !matches!(label.as_str(), "CERTIFICATE" | "X509 CRL"));
    trusted.others = others.collect();
    Ok(trusted)
}

/// Reads the first private key: PKCS#8, PKCS#1 or SEC 1.
///
/// # Errors
/// There is none, it is encrypted, or its block is broken.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if let Ok((format, der)) = wiping_stack(|| pem::read(pem)) {
        let der = der.expose().to_vec();
        return Ok(match format {
            Format::Pkcs1 => PrivatePkcs1KeyDer::from(der).into(),
            Format::Pkcs8 => PrivatePkcs8KeyDer::from(der).into(),
            Format::Sec1 => PrivateSec1KeyDer::from(der).into(),
        });
    }
    // rustls' reader takes what is formatted otherwise than RFC 7468 says, and tells what is wrong.
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| {
        let labels: Vec<_> = labels(pem).collect();
        if is_encrypted(pem, &labels) {
            return "it is encrypted, which is not supported; openssl pkey -in FILE -out FILE decrypts it"
                .to_owned();
        }
        match e {
            Error::NoItemsFound if labels.is_empty() => "there is no PEM block in it".to_owned(),
            Error::NoItemsFound => format!("there is no private key in it, only {}", labels.join(", ")),
            other => other.to_string(),
        }
    })
}

/// PKCS#8 says it in the label, OpenSSL's older form in a header (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8], labels: &[String]) -> bool {
    let has_header =
        |line: &[u8]| line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED");
    labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY")
        || pem.split(|byte| *byte == b'\n').any(has_header)
}

/// The labels of the blocks, in their order.
fn labels(pem: &[u8]) -> impl Iterator<Item = String> + '_ {
    pem.split(|byte| *byte == b'\n').filter_map(|line| {
        let label = line.trim_ascii().strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
        Some(String::from_utf8_lossy(label).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn blocks_of_other_kinds_are_named() {
        let file = ["CERTIFICATE", "X509 CRL", "TRUSTED CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"]
            .map(|label| block(label, "AAAA"))
            .concat();
        let found = trusted(file.as_bytes()).unwrap();
        assert_eq!((found.certificates.len(), found.crls.len()), (2, 1));
        assert_eq!(Vec::from_iter(found.others), ["PRIVATE KEY", "TRUSTED CERTIFICATE"]);
        assert!(trusted(b"-----BEGIN CERTIFICATE-----\nAAAA").is_err(), "it does not end");
        assert!(trusted(b"").unwrap().certificates.is_empty());
    }

    #[test]
    fn keys_are_those_that_rustls_reads_and_leave_no_text() {
        let lines = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            let key = block(label, &format!("{lines}\n{lines}\n{}", &lines[..20]));
            for text in [block("CERTIFICATE", lines) + &key, key.replace('\n', "\r\n"), key] {
                assert!(pem::read(text.as_bytes()).is_ok(), "rustls' reader is not asked");
                let read = private_key(text.as_bytes()).unwrap();
                assert_eq!(read, PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap());
            }
        }
        let ragged = block("PRIVATE KEY", "MC4CAQAw\nBQYDK2VwBCIE");
        assert!(pem::read(ragged.as_bytes()).is_err());
        assert!(private_key(ragged.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let reason = |pem: &str| private_key(pem.as_bytes()).unwrap_err();
        let header = "Proc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,00\r\n\r\nAAAA";
        for encrypted in [block("ENCRYPTED PRIVATE KEY", "AAAA"), block("RSA PRIVATE KEY", header)] {
            assert!(reason(&encrypted).contains("encrypted"), "{}", reason(&encrypted));
        }
        assert!(reason(&block("CERTIFICATE", "AAAA")).ends_with("only CERTIFICATE"));
        assert!(reason("nothing").contains("no PEM block"));
        assert!(private_key(block("PRIVATE KEY", "AAAA").as_bytes()).is_ok());
    }
}

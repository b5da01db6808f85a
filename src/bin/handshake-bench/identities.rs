//! Identities in files, for servers and clients in different programs.

use crate::ca::{Identity, Pki};
use crate::cli::KeyKind;
use pkcs8::LineEnding;
use pkcs8::der::pem::encode_string;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a new authority's certificate and one identity for each side, in the files that [`read`] reads.
/// Files that exist are not overwritten.
pub(crate) fn write(directory: &Path, key: KeyKind, intermediate: bool) -> Result<(), String> {
    let pki = Pki::generate(key, 1, intermediate).map_err(|e| format!("cannot issue certificates: {e}"))?;
    std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    write_new(&directory.join("ca.pem"), &certificates(&[pki.root]))?;
    for (name, identity) in [("server", &pki.server), ("client", &pki.clients[0])] {
        write_new(&directory.join(format!("{name}.pem")), &certificates(&identity.chain))?;
        let key = pem("PRIVATE KEY", identity.key.secret_der());
        write_new(&directory.join(format!("{name}-key.pem")), &key)?;
    }
    Ok(())
}

/// Reads what [`write()`] wrote. Of the authority's key nothing is known any more, so there is no identity of
/// another one.
pub(crate) fn read(directory: &Path) -> Result<Pki, String> {
    let [root] = <[_; 1]>::try_from(read_certificates(&directory.join("ca.pem"))?)
        .map_err(|_| format!("{}: not one certificate", directory.join("ca.pem").display()))?;
    let client = read_identity(directory, "client")?;
    Ok(Pki {
        stranger: root.clone(),
        root,
        server: read_identity(directory, "server")?,
        untrusted_client: client.duplicate(),
        clients: vec![client],
    })
}

/// Whether there is nothing to read.
pub(crate) fn are_missing(directory: &Path) -> bool {
    !directory.join("ca.pem").exists()
}

fn read_identity(directory: &Path, name: &str) -> Result<Identity, String> {
    let path = directory.join(format!("{name}-key.pem"));
    let key = PrivateKeyDer::from_pem_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Identity { chain: read_certificates(&directory.join(format!("{name}.pem")))?, key })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let explain = |e: rustls::pki_types::pem::Error| format!("{}: {e}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(explain)?;
    found.collect::<Result<_, _>>().map_err(explain)
}

/// For its owner only, as a private key must be.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| format!("{}: {e}", path.display()))
}

fn certificates(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
}

fn pem(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der)
        .expect("the label is constant, and the length is a certificate's or a key's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory =
            std::env::temp_dir().join(format!("handshake-bench-identities-{}", std::process::id()));
        assert!(are_missing(&directory));
        write(&directory, KeyKind::P256, true).unwrap();
        assert!(!are_missing(&directory));
        let pki = read(&directory).unwrap();
        assert_eq!((pki.server.chain.len(), pki.clients[0].chain.len()), (2, 2));
        assert_ne!(pki.server.chain[0], pki.clients[0].chain[0]);
        let again = write(&directory, KeyKind::P256, false).unwrap_err();
        assert!(again.contains("ca.pem"), "{again}");
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(read(&directory).is_err());
    }
}

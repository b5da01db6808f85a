//! Where certificates and keys come from.

use crate::support::{Directory, downstream, problems};
use rcgen::{CertificateParams, KeyPair};
use rustls_multibuffer::TierKind;
use rustls_multibuffer::config::envoy::{Certificate, CertificateSource};
use rustls_multibuffer::config::{DataSource, Mode, TlsIdentity};
use serde_json::{Value, json};
use std::io::ErrorKind;

fn certificate(chain: &str, key: &str) -> Certificate {
    let text = format!(
        "common_tls_context:
  tls_certificates:
  - certificate_chain: {chain}
    private_key: {key}
    watched_directory: {{path: /run/id}}
"
    );
    match downstream(&text).unwrap_or_else(|e| panic!("{e}")).value.common.certificates.remove(0) {
        CertificateSource::Certificate(certificate) => certificate,
        other => panic!("{other:?}"),
    }
}

fn base64(bytes: &[u8], alphabet: &[u8; 64], padding: &str) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..=chunk.len() {
            text.push(alphabet[(bits >> (18 - 6 * i) & 63) as usize] as char);
        }
        (chunk.len()..3).for_each(|_| text.push_str(padding));
    }
    text
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn files_and_inline_text_give_the_same_identity() {
    let directory = Directory::new();
    let key = KeyPair::generate().unwrap();
    let chain =
        CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    let quoted = |text: &str| format!("\"{}\"", text.replace("\r\n", "\n").replace('\n', "\\n"));
    let forms: Vec<[String; 2]> = vec![
        [("c.pem", &chain), ("k.pem", &key)]
            .map(|(name, text)| format!("{{filename: {}}}", directory.write(name, text))),
        [&chain, &key].map(|text| format!("{{inline_string: {}}}", quoted(text))),
        [&chain, &key].map(|text| format!("{{inline_bytes: {}}}", base64(text.as_bytes(), STANDARD, "="))),
        [&chain, &key].map(|text| format!("{{inlineBytes: {}}}", base64(text.as_bytes(), URL_SAFE, ""))),
        [&chain, &key].map(|text| format!("\n      inline_string: |\n{}", crate::support::indent(text, 8))),
    ];
    let mut loaded = forms.iter().map(|[chain, key]| {
        let certificate = certificate(chain, key);
        assert_eq!(certificate.watched_directory.as_deref(), Some("/run/id".as_ref()));
        certificate.load(TierKind::Avx2Fma).unwrap().value.certified_key.cert.clone()
    });
    let first = loaded.next().unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(loaded.filter(|chain| *chain == first).count(), 4);
}

#[test]
fn the_environment_is_a_source() {
    // Cargo sets it for tests.
    let certificate =
        certificate("{environment_variable: CARGO_PKG_NAME}", "{environment_variable: SURELY_NOT_SET}");
    assert_eq!(certificate.certificate_chain.load().unwrap().as_slice(), b"rustls-multibuffer");
    assert_eq!(certificate.private_key.load().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(certificate.private_key.to_string(), "environment variable SURELY_NOT_SET");
    let e = certificate.load(TierKind::Scalar).unwrap_err();
    assert!(
        e.to_string().starts_with("test.yaml:3:5: common_tls_context.tls_certificates[0]: certificate_chain"),
        "{e}"
    );
}

#[test]
fn empty_and_huge_files_are_refused() {
    let directory = Directory::new();
    let huge = directory.write("huge.pem", &"x".repeat((4 << 20) + 1));
    for path in [directory.write("empty.pem", ""), huge] {
        let e = DataSource::File(path.into()).load().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn what_is_no_base64_is_refused() {
    let text = "common_tls_context: {tls_certificates: [{certificate_chain: {inline_bytes: '!'}, \
        private_key: {filename: ''}}]}";
    let at = "common_tls_context.tls_certificates[0]";
    let expected = [
        format!("{at}.certificate_chain.inline_bytes: this is not base64"),
        format!("{at}.private_key.filename: it is empty"),
    ];
    assert_eq!(problems(&downstream(text).unwrap_err()), expected);
}

fn identity(fields: &str) -> Result<Value, String> {
    let document = crate::support::document(&format!("tls_identity: {fields}\nlisten: 127.0.0.1:8443"));
    let read = TlsIdentity::read(&document, Mode::Strict).map_err(|e| problems(&e).remove(0))?;
    Ok(serde_json::to_value(read.value.unwrap()).unwrap())
}

#[test]
fn the_short_form_of_an_identity() {
    let directory = json!({"files": {
        "certificate_chain": "/etc/certs/tls.crt",
        "private_key": "/etc/certs/key.pem",
        "trusted_ca": "/etc/certs/root-cert.pem",
    }});
    assert_eq!(identity("{directory: {path: /etc/certs, certificateChain: tls.crt}}"), Ok(directory));
    let sds = json!({"sds": {
        "address": "unix:/run/agent.sock",
        "certificate": "default",
        "trusted_ca": "spiffe://example.org",
    }});
    assert_eq!(
        identity("{sds: {address: 'unix:/run/agent.sock', trusted_ca: 'spiffe://example.org'}}"),
        Ok(sds)
    );
    assert_eq!(identity("{workload_api: {}}"), Ok(json!({"workload_api": {"endpoint": null}})));
    assert_eq!(
        identity("{workloadApi: {endpoint: 'unix:///run/spire.sock'}}"),
        Ok(json!({"workload_api": {"endpoint": "unix:///run/spire.sock"}}))
    );
    for (fields, expected) in [
        ("{}", "tls_identity: expected one of files, directory, sds and workload_api"),
        (
            "{sds: {address: 'unix:/x'}, workload_api: {}}",
            "tls_identity: expected one of files, directory, sds and workload_api",
        ),
        ("{directory: {}}", "tls_identity.directory.path: it is required"),
        (
            "{workload_api: {endpoint: 'udp:1'}}",
            "tls_identity.workload_api.endpoint: expected an address that begins with unix: or tcp:",
        ),
        (
            "{sds: {}}",
            "tls_identity.sds.address: expected an address that begins with unix: or http:// or https://",
        ),
        ("{directory: {path: /x, keys: y}}", "tls_identity.directory.keys: this field is not supported"),
    ] {
        assert_eq!(identity(fields), Err(expected.to_owned()));
    }
}

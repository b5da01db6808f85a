//! What comes of a `private_key_provider`: the table of what Envoy does, with what is better here.

use crate::support::{Directory, downstream, key, problems};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519};
use rustls_multibuffer::TierKind;
use rustls_multibuffer::config::envoy::{Certificate, CertificateSource, KeyAcceleration, LoadedCertificate};
use rustls_multibuffer::config::{Checked, ConfigError};

const CRYPTOMB: &str = "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig";

/// A listener with a provider; `name` and `fields` are those of the provider, `beside` is beside it.
fn listener(name: &str, fallback: &str, fields: &str, beside: &str) -> String {
    format!(
        "common_tls_context:
  tls_certificates:
  - certificate_chain: {{filename: /c.pem}}
    {beside}
    private_key_provider:
      provider_name: {name}
      {fallback}
      typed_config:
        \"@type\": {CRYPTOMB}
        {fields}
"
    )
}

/// What is an error whatever `fallback` says.
#[test]
fn what_is_refused() {
    const INSIDE: &str = "common_tls_context.tls_certificates[0].private_key_provider";
    let key = "private_key: {filename: /k.pem}";
    let no_number = "expected a duration with its unit, such as \"0.002s\" or \"10ms\", found a number";
    let cases = [
        ("rot13", key, "provider_name", "there is no provider \"rot13\"; known are cryptomb and multibuffer"),
        ("qat", key, "provider_name", "there is no provider \"qat\"; known are cryptomb and multibuffer"),
        ("\"\"", key, "provider_name", "it is required"),
        (
            "cryptomb",
            "private_key: {filename: /k}\n        poll_delay: -1s",
            "typed_config.poll_delay",
            "\"-1s\" is negative",
        ),
        (
            "cryptomb",
            "private_key: {filename: /k}\n        poll_delay: 2",
            "typed_config.poll_delay",
            no_number,
        ),
        (
            "cryptomb",
            "private_key: {filename: /k}\n        poll_delay: soon",
            "typed_config.poll_delay",
            "\"soon\" is not a duration such as \"0.002s\", \"10ms\" or \"1m30s\"",
        ),
        (
            "cryptomb",
            "private_key: {}",
            "typed_config.private_key",
            "expected one of filename, inline_string, inline_bytes and environment_variable, found 0",
        ),
        (
            "cryptomb",
            "private_key: {filename: /k}\n        max_tier: scalar",
            "typed_config.max_tier",
            "only the provider multibuffer has this field",
        ),
        (
            "multibuffer",
            key,
            "typed_config.@type",
            "expected type.googleapis.com/rustls_multibuffer.v1.PrivateKeyMethodConfig",
        ),
    ];
    for fallback in ["fallback: true", "fallback: false", ""] {
        for (name, fields, path, message) in cases {
            let e = downstream(&listener(name, fallback, fields, "")).unwrap_err();
            assert_eq!(problems(&e), [format!("{INSIDE}.{path}: {message}")]);
        }
        let e = downstream(&listener("cryptomb", fallback, "poll_delay: 2ms", "")).unwrap_err();
        let at = "common_tls_context.tls_certificates[0].private_key";
        let message = "it is required, here or in private_key_provider.typed_config";
        assert_eq!(problems(&e), [format!("{at}: {message}")]);
    }
}

/// What Envoy refuses and is served here.
#[test]
fn what_is_repaired() {
    let key = "private_key: {filename: /k.pem}";
    for (fields, beside) in [
        (key.to_owned(), ""),
        (format!("{key}\n        poll_delay: 0s"), ""),
        (format!("{key}\n        poll_delay: 50us"), ""),
        ("poll_delay: 2ms".to_owned(), key),
    ] {
        let read = downstream(&listener("cryptomb", "", &fields, beside)).unwrap();
        assert_eq!(read.value.common.certificates.len(), 1);
    }
    let both = downstream(&listener("cryptomb", "", key, "private_key: {filename: /other.pem}")).unwrap();
    let CertificateSource::Certificate(certificate) = &both.value.common.certificates[0] else { panic!() };
    assert_eq!(certificate.private_key.to_string(), "file /k.pem");
    assert!(both.warnings.iter().any(|w| w.message == "not used: the one in private_key_provider is"));
}

/// A certificate for a key, in files, with a provider or without.
fn certificate(directory: &Directory, key: &KeyPair, provider: &str) -> Certificate {
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(key).unwrap();
    let chain = directory.write("cert.pem", &cert.pem());
    let key = directory.write("key.pem", &key.serialize_pem());
    from_files(&chain, &key, provider)
}

fn from_files(chain: &str, key: &str, provider: &str) -> Certificate {
    let text = format!(
        "common_tls_context:
  tls_certificates:
  - certificate_chain: {{filename: {chain}}}
    private_key: {{filename: {key}}}
    {provider}"
    );
    match downstream(&text).unwrap().value.common.certificates.remove(0) {
        CertificateSource::Certificate(certificate) => certificate,
        other => panic!("{other:?}"),
    }
}

fn provider(fallback: bool) -> String {
    let config = format!("typed_config: {{\"@type\": {CRYPTOMB}}}");
    format!("private_key_provider: {{provider_name: cryptomb, fallback: {fallback}, {config}}}")
}

fn rsa(name: &str) -> KeyPair {
    let pem = std::fs::read_to_string(key(name)).unwrap();
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap()
}

#[test]
fn the_cpu_decides_with_fallback() {
    let directory = Directory::new();
    let load =
        |fallback, tier| certificate(&directory, &rsa("rsa2048.pkcs8.pem"), &provider(fallback)).load(tier);
    for fallback in [true, false] {
        let loaded = load(fallback, TierKind::Avx2Fma).unwrap();
        assert!(loaded.warnings.is_empty());
        assert_eq!(loaded.value.acceleration, KeyAcceleration::Lanes);
    }
    let e = load(false, TierKind::Scalar).unwrap_err();
    assert!(e.to_string().contains("there are no lanes on tier scalar"), "{e}");
    assert_eq!(e.problems()[0].location.path.to_string(), "common_tls_context.tls_certificates[0]");
    let loaded = load(true, TierKind::Scalar).unwrap();
    assert!(is_scalar(&loaded, "there are no lanes on tier scalar"));
    let unasked = certificate(&directory, &rsa("rsa2048.pkcs8.pem"), "").load(TierKind::Scalar).unwrap();
    assert!(unasked.warnings.is_empty());
    assert_eq!(unasked.value.acceleration, KeyAcceleration::NotRequested);
}

/// Served by aws-lc-rs, with a warning that says why.
fn is_scalar(loaded: &Checked<LoadedCertificate>, reason: &str) -> bool {
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    warning.message == format!("private_key is not accelerated: {reason}")
        && loaded.value.acceleration == KeyAcceleration::Scalar(reason.to_owned())
}

/// Envoy refuses all of these but RSA with 65537.
#[test]
fn every_key_is_served() {
    let directory = Directory::new();
    for fallback in [true, false] {
        let keys = [
            (rsa("rsa2048-e3.pkcs8.pem"), None),
            (rsa("rsa4096.pkcs8.pem"), None),
            (KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(), None),
            (KeyPair::generate_for(&PKCS_ED25519).unwrap(), None),
            (
                KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
                Some("there are no lanes for such a key: unsupported key algorithm"),
            ),
        ];
        for (key, reason) in keys {
            let loaded = certificate(&directory, &key, &provider(fallback)).load(TierKind::Avx2Fma).unwrap();
            match reason {
                Some(reason) => assert!(is_scalar(&loaded, reason), "{loaded:?}"),
                None => assert_eq!(loaded.value.acceleration, KeyAcceleration::Lanes),
            }
        }
    }
}

#[test]
fn rsa_of_a_size_without_lanes_is_served() {
    let directory = Directory::new();
    let path = key("rsa8192.pkcs1.pem");
    let pem = std::fs::read_to_string(&path).unwrap();
    let signer = KeyPair::from_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let chain = directory.write("chain.pem", &pem_of(&certificate(&directory, &signer, "")));
    for fallback in [true, false] {
        let certificate = from_files(&chain, path.to_str().unwrap(), &provider(fallback));
        let loaded = certificate.load(TierKind::Avx512Ifma).unwrap();
        let reason = "there are no lanes for such a key: unsupported modulus size";
        assert!(is_scalar(&loaded, reason), "{loaded:?}");
    }
}

#[test]
fn a_key_that_is_none_is_refused_whatever_fallback_says() {
    let directory = Directory::new();
    let good = certificate(&directory, &rsa("rsa2048.pkcs8.pem"), "");
    let (chain, key) = (directory.write("c.pem", &pem_of(&good)), directory.write("k.pem", "no key"));
    let other = directory.write("other.pem", &rsa("rsa3072.pkcs8.pem").serialize_pem());
    let refused = |e: Result<_, ConfigError>| -> String {
        e.map(|_: Checked<LoadedCertificate>| ()).unwrap_err().to_string()
    };
    for fallback in [true, false] {
        let provider = provider(fallback);
        let load =
            |chain: &str, key: &str| refused(from_files(chain, key, &provider).load(TierKind::Avx2Fma));
        let e = load(&chain, &key);
        assert!(e.contains("tls_certificates[0]: private_key (file "), "{e}");
        assert!(
            load(&chain, "/nowhere/key.pem").contains("private_key (file /nowhere/key.pem): No such file")
        );
        assert!(
            load("/nowhere/c.pem", &other).contains("certificate_chain (file /nowhere/c.pem): No such file")
        );
        assert!(load(&key, &other).contains("no certificate in it"), "{}", load(&key, &other));
        assert!(load(&chain, &other).contains("KeyMismatch"), "{}", load(&chain, &other));
        let encrypted = crate::support::key("rsa2048-encrypted.pkcs8.pem");
        let e = load(&chain, encrypted.to_str().unwrap());
        assert!(e.contains("private_key (file "), "{e}");
    }
}

fn pem_of(certificate: &Certificate) -> String {
    String::from_utf8(certificate.certificate_chain.load().unwrap().to_vec()).unwrap()
}

#[test]
fn our_own_provider_has_more_settings() {
    let text = "common_tls_context:
  tls_certificates:
  - certificate_chain: {filename: /c.pem}
    private_key_provider:
      provider_name: multibuffer
      typed_config:
        \"@type\": type.googleapis.com/rustls_multibuffer.v1.PrivateKeyMethodConfig
        private_key: {filename: /k.pem}
        poll_delay: 50us
        max_tier: avx2-fma
        break_even: 2
";
    let read = downstream(text).unwrap();
    let CertificateSource::Certificate(certificate) = &read.value.common.certificates[0] else { panic!() };
    let provider = certificate.private_key_provider.as_ref().unwrap();
    assert_eq!((provider.max_tier, provider.break_even), (Some(TierKind::Avx2Fma), Some(2)));
    let bad = text.replace("avx2-fma", "avx9").replace("break_even: 2", "break_even: none");
    let e = downstream(&bad).unwrap_err();
    assert!(e.to_string().contains("typed_config.break_even"), "{e}");
}

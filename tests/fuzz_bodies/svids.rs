//! X.509-SVIDs: a good leaf is edited and signed again by its authority, so that only the rules stand between
//! it and its use. What an identity accepts has to be, by another parser's account, what the X.509-SVID
//! standard wants.

use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{Decode, Encode, Reader, SliceReader, Tag};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls_multibuffer::internals::ops::ecdsa::EcdsaPrivateKey;
use rustls_multibuffer::spiffe::{Identity, Material, MemoryError, Svid, TrustDomain, memory_source};
use std::sync::LazyLock;
use std::time::SystemTime;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

const ID: &str = "spiffe://home.test/workload";

/// One key is enough for the authority and the leaf.
const KEY: &str = include_str!("../../vendor-test-vectors/rsa-keys/p256.pkcs8.pem");

static KEY_DER: LazyLock<Vec<u8>> =
    LazyLock::new(|| pkcs8::der::pem::decode_vec(KEY.as_bytes()).expect("PEM").1);

/// The authority's certificate, and the good leaf's.
static PKI: LazyLock<[CertificateDer<'static>; 2]> = LazyLock::new(|| {
    let key = || KeyPair::from_pem(KEY).expect("a key");
    let uri = |uri: &str| SanType::URI(uri.try_into().expect("text"));
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.subject_alt_names = vec![uri("spiffe://home.test")];
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(ca, key()).expect("an authority");
    let mut leaf = CertificateParams::default();
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.subject_alt_names = vec![uri(ID)];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf = leaf.signed_by(&key(), &ca).expect("a leaf");
    [ca.der().clone(), leaf.der().clone()]
});

/// Offers a leaf that is edited by `data`, four bytes an edit, to an identity; true if it was accepted.
pub(crate) fn run(data: &[u8]) -> bool {
    let leaf = sign(&edited(data));
    let is_accepted = offer(&leaf).is_ok();
    if is_accepted {
        check(&leaf);
    }
    is_accepted
}

/// The good leaf's TBSCertificate after the edits.
fn edited(data: &[u8]) -> Vec<u8> {
    let mut tbs = elements(&PKI[1])[0].to_vec();
    for edit in data.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % tbs.len().max(1);
        match edit[2] % 4 {
            _ if tbs.is_empty() => tbs.push(edit[3]),
            0 => tbs[at] = edit[3],
            1 => tbs[at] ^= 1 << (edit[3] % 8),
            2 => tbs.insert(at, edit[3]),
            _ => _ = tbs.remove(at),
        }
    }
    tbs
}

/// A certificate with the authority's signature.
fn sign(tbs: &[u8]) -> CertificateDer<'static> {
    let key = EcdsaPrivateKey::from_pkcs8_der(&KEY_DER).expect("a key");
    let signature = key.sign(tbs).expect("a signature");
    let signature = BitStringRef::from_bytes(&signature).expect("short").to_der().expect("DER");
    let contents = [tbs, elements(&PKI[1])[1], &signature].concat();
    AnyRef::new(Tag::Sequence, &contents).expect("short").to_der().expect("DER").into()
}

/// The elements of a certificate.
fn elements(certificate: &[u8]) -> Vec<&[u8]> {
    let mut reader = SliceReader::new(AnyRef::from_der(certificate).expect("DER").value()).expect("short");
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.tlv_bytes().expect("DER"));
    }
    elements
}

fn offer(leaf: &CertificateDer<'static>) -> Result<(), MemoryError> {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let domain = TrustDomain::new("home.test").expect("a trust domain");
    let key = PrivatePkcs8KeyDer::from(KEY_DER.clone());
    let svid = Svid { chain: vec![leaf.clone()], key: rustls::pki_types::PrivateKeyDer::from(key).into() };
    let material = Material { svid, bundles: [(domain, vec![PKI[0].clone()].into())].into() };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (source, handle) = memory_source();
            let _identity = Identity::start(source);
            handle.offer(material).await.map(drop)
        })
    })
}

/// Panics unless a leaf is an X.509-SVID for a workload, by x509-parser's account.
pub(crate) fn check(leaf: &[u8]) {
    let (rest, leaf) = X509Certificate::from_der(leaf).expect("what is accepted can be parsed");
    assert!(rest.is_empty(), "bytes follow");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(leaf.validity().not_after.timestamp() >= now as i64, "it has expired");
    assert!(!leaf.is_ca(), "it is a CA");
    let usage = leaf.key_usage().expect("not twice").expect("a key usage").value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign(), "{usage}");
    let names = leaf.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let uris: Vec<_> = names.flatten().filter(|name| matches!(name, GeneralName::URI(_))).collect();
    let [GeneralName::URI(uri)] = uris[..] else { panic!("{} URIs", uris.len()) };
    // The scheme and the trust domain may be written in either case; paths are told apart by it.
    let (domain, path) = uri.split_at_checked("spiffe://home.test/".len()).unwrap_or_else(|| panic!("{uri}"));
    assert!(domain.eq_ignore_ascii_case("spiffe://home.test/"), "{uri}");
    let is_good = |segment: &str| {
        let chars = segment.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
        chars && !["", ".", ".."].contains(&segment)
    };
    assert!(path.split('/').all(is_good), "{uri}");
}

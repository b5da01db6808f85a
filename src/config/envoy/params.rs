//! Versions, cipher suites and groups by Envoy's names.

use super::raw;
use crate::config::read::At;
use crate::provider;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedProtocolVersion};

/// OpenSSL's names of what rustls has for TLS 1.2, and the standard's.
const CIPHER_SUITES: [(&str, CipherSuite); 12] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// Names that BoringSSL knows beside these and rustls does not have: no forward secrecy, or no authenticated
/// encryption.
const OTHER_CIPHER_SUITES: [&str; 16] = [
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-PSK-AES128-CBC-SHA",
    "ECDHE-PSK-AES256-CBC-SHA",
    "ECDHE-PSK-CHACHA20-POLY1305",
    "PSK-AES128-CBC-SHA",
    "PSK-AES256-CBC-SHA",
];

/// BoringSSL's names of groups.
const GROUPS: [(&str, NamedGroup); 7] = [
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("X25519", NamedGroup::X25519),
    ("P-256", NamedGroup::secp256r1),
    ("P-384", NamedGroup::secp384r1),
    // OpenSSL's names.
    ("x25519", NamedGroup::X25519),
    ("prime256v1", NamedGroup::secp256r1),
    ("secp384r1", NamedGroup::secp384r1),
];

/// Groups that BoringSSL knows beside these.
const OTHER_GROUPS: [&str; 3] = ["P-521", "secp521r1", "MLKEM1024"];

/// Versions, cipher suites and groups; what is empty is rustls' default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsParameters {
    /// The lowest version: TLS 1.2 or 1.3.
    pub minimum: ProtocolVersion,
    /// The highest version: TLS 1.2 or 1.3.
    pub maximum: ProtocolVersion,
    /// The cipher suites for TLS 1.2, best first.
    pub cipher_suites: Vec<CipherSuite>,
    /// The groups, best first.
    pub groups: Vec<NamedGroup>,
}

impl TlsParameters {
    pub(super) fn check(raw: &raw::TlsParameters, at: &At<'_>) -> Self {
        let lowest = check_version(
            raw.tls_minimum_protocol_version.as_deref(),
            ProtocolVersion::TLSv1_2,
            &at.field("tls_minimum_protocol_version"),
        );
        let highest_at = at.field("tls_maximum_protocol_version");
        let highest =
            check_version(raw.tls_maximum_protocol_version.as_deref(), ProtocolVersion::TLSv1_3, &highest_at);
        if (lowest, highest) == (ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2) {
            highest_at.error("below the minimum");
        }
        let (suites_at, groups_at) = (at.field("cipher_suites"), at.field("ecdh_curves"));
        let suites = raw.cipher_suites.iter().enumerate().flat_map(|(i, text)| {
            let names = suite_names(text).or_else(|| suites_at.index(i).fail("the brackets do not match"));
            names.unwrap_or_default().into_iter().map(move |name| (i, name))
        });
        let suites = known_ones(&CIPHER_SUITES, &OTHER_CIPHER_SUITES, suites, "cipher suite", &suites_at);
        // One empty name is none; an empty one among others is wrong.
        let is_said = raw.ecdh_curves.iter().any(|text| !text.is_empty()) || raw.ecdh_curves.len() > 1;
        let names = raw.ecdh_curves.iter().enumerate().filter(|_| is_said);
        let names: Vec<_> = names.flat_map(|(i, text)| text.split(':').map(move |name| (i, name))).collect();
        check_twice(&names, &groups_at);
        Self {
            minimum: lowest,
            maximum: highest,
            cipher_suites: suites,
            groups: known_ones(&GROUPS, &OTHER_GROUPS, names, "curve", &groups_at),
        }
    }

    /// The versions, for rustls' `with_protocol_versions`.
    pub fn protocol_versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match (self.minimum, self.maximum) {
            (ProtocolVersion::TLSv1_3, _) => &BOTH[..1],
            (_, ProtocolVersion::TLSv1_2) => &BOTH[1..],
            _ => &BOTH,
        }
    }

    /// [`default_provider`](provider::default_provider) with these cipher suites and groups.
    pub fn crypto_provider(&self) -> CryptoProvider {
        let mut provider = provider::default_provider();
        if !self.cipher_suites.is_empty() {
            let all = std::mem::take(&mut provider.cipher_suites);
            provider.cipher_suites.extend(all.iter().filter(|suite| suite.tls13().is_some()));
            for chosen in &self.cipher_suites {
                provider.cipher_suites.extend(all.iter().filter(|suite| suite.suite() == *chosen));
            }
        }
        if !self.groups.is_empty() {
            let named = |name| provider::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == name);
            provider.kx_groups = self.groups.iter().filter_map(|name| named(*name)).collect();
        }
        provider
    }
}

fn check_version(name: Option<&str>, auto: ProtocolVersion, at: &At<'_>) -> ProtocolVersion {
    match name {
        None | Some("TLS_AUTO") => auto,
        Some("TLSv1_2") => ProtocolVersion::TLSv1_2,
        Some("TLSv1_3") => ProtocolVersion::TLSv1_3,
        // To begin higher than asked for is safe; to end higher is not.
        Some("TLSv1_0" | "TLSv1_1") if auto == ProtocolVersion::TLSv1_2 => {
            at.warn("taken as TLSv1_2, the lowest version that is supported");
            auto
        }
        Some("TLSv1_0" | "TLSv1_1") => {
            at.error("TLS 1.2 is the lowest version that is supported");
            auto
        }
        Some(_) => {
            at.error("expected TLS_AUTO, TLSv1_2 or TLSv1_3");
            auto
        }
    }
}

/// The names in an element of the list: OpenSSL's separator is a colon; brackets mean equal preference, which
/// rustls does not have: the order within stays. `None`: the brackets are wrong.
fn suite_names(text: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for part in text.split(':') {
        match part.strip_prefix('[').map(|inside| inside.strip_suffix(']')) {
            Some(Some(inside)) => names.extend(inside.split('|')),
            Some(None) => return None,
            None => names.push(part),
        }
    }
    names.retain(|name| !name.is_empty());
    let is_clean = |name: &&str| !name.contains(['[', ']', '|']);
    names.iter().all(is_clean).then_some(names)
}

/// BoringSSL refuses a group that is there twice.
fn check_twice(names: &[(usize, &str)], at: &At<'_>) {
    for (n, (i, name)) in names.iter().enumerate() {
        if names[..n].iter().any(|(_, other)| other == name) {
            at.index(*i).error("a curve is there twice");
        }
    }
}

/// What the names mean, once each, with the elements that they are in. Names that are only `others`' are left
/// out with a warning, which narrows. A list of which nothing is left is an error in every mode: it would
/// become the default.
fn known_ones<'a, T: Copy + PartialEq>(
    known: &[(&str, T)],
    others: &[&str],
    names: impl IntoIterator<Item = (usize, &'a str)>,
    what: &str,
    at: &At<'_>,
) -> Vec<T> {
    let (mut found, mut is_said) = (Vec::new(), false);
    for (i, name) in names {
        is_said = true;
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, value)) if found.contains(value) => {}
            Some((_, value)) => found.push(*value),
            None if others.contains(&name) => {
                at.index(i).warn(format!("the {what} {name} is left out: it is not supported"));
            }
            None => {
                let is_first = |n: usize| known[..n].iter().all(|(_, value)| *value != known[n].1);
                let known = known.iter().enumerate().filter(|(n, _)| is_first(*n));
                let known: Vec<_> = known.map(|(_, (name, _))| *name).collect();
                at.index(i).unsupported(format!("no such {what}; known are {}", known.join(", ")));
            }
        }
    }
    if found.is_empty() && is_said {
        at.error(format!("no {what} of this list is supported"));
    }
    found
}

//! Versions, cipher suites and groups by Envoy's names.

use super::raw;
use crate::config::read::At;
use crate::provider;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedProtocolVersion};

/// OpenSSL's names of what rustls has for TLS 1.2.
const CIPHER_SUITES: [(&str, CipherSuite); 6] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// BoringSSL's names of groups.
const GROUPS: [(&str, NamedGroup); 4] = [
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("X25519", NamedGroup::X25519),
    ("P-256", NamedGroup::secp256r1),
    ("P-384", NamedGroup::secp384r1),
];

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
        // Brackets mean equal preference, which rustls does not have: the order within stays.
        let suites: Vec<Vec<&str>> = raw
            .cipher_suites
            .iter()
            .map(|name| name.trim_start_matches('[').trim_end_matches(']').split('|').collect())
            .collect();
        let groups: Vec<Vec<&str>> = raw.ecdh_curves.iter().map(|name| vec![name.as_str()]).collect();
        Self {
            minimum: lowest,
            maximum: highest,
            cipher_suites: check_names(&CIPHER_SUITES, &suites, "cipher suite", &at.field("cipher_suites")),
            groups: check_names(&GROUPS, &groups, "curve", &at.field("ecdh_curves")),
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
            provider.kx_groups = self.groups.iter().filter_map(|name| provider::kx_group(*name)).collect();
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
            at.unsupported("TLS 1.2 is the lowest version that is supported");
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

/// What the names mean, once each. A list of which nothing is left is an error in every mode: it would become the default.
fn check_names<T: Copy + PartialEq>(
    known: &[(&str, T)],
    names: &[Vec<&str>],
    what: &str,
    at: &At<'_>,
) -> Vec<T> {
    let mut found = Vec::new();
    for (i, alternatives) in names.iter().enumerate() {
        for name in alternatives {
            match known.iter().find(|(known, _)| known == name) {
                Some((_, value)) if found.contains(value) => {}
                Some((_, value)) => found.push(*value),
                None => {
                    let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                    at.index(i).unsupported(format!("no such {what}; known are {}", known.join(", ")));
                }
            }
        }
    }
    if found.is_empty() && !names.is_empty() {
        at.error(format!("no {what} of this list is supported"));
    }
    found
}

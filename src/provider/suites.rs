//! The order in which cipher suites are preferred.

use crate::arch::crypto_instructions;
use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, SupportedCipherSuite};

/// Which cipher suites a provider has, and which it prefers.
///
/// A suite's hash covers the whole handshake and its key schedule. On most x86-64 CPUs, SHA-384 is computed
/// without instructions of its own: that costs 8 to 15 % of a handshake, and SHA-256 a sixth of it where the
/// CPU has SHA extensions. So what is cheapest depends on the CPU; all of these suites are secure.
///
/// A client offers its order, and a server follows its client's, unless
/// [`ignore_client_order`](rustls::ServerConfig::ignore_client_order) is set: so set it. The servers of
/// [`spiffe`](crate::spiffe) do.
///
/// ```
/// use rustls_multibuffer::provider::{Suites, default_provider};
///
/// let mut provider = default_provider();
/// assert_eq!(provider.cipher_suites, Suites::Fastest.list());
/// provider.cipher_suites = Suites::OnlyAes256.list();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suites {
    /// Those of rustls, what this CPU does fastest first: with AES and SHA instructions AES-128-GCM with
    /// SHA-256, as BoringSSL and Go prefer it; without AES instructions ChaCha20-Poly1305; else as rustls.
    #[default]
    Fastest,
    /// Those of rustls in its order, AES-256-GCM with SHA-384 first.
    AsRustls,
    /// Only AES-256-GCM with SHA-384, as the Commercial National Security Algorithm Suite wants it (RFC
    /// 9151).
    OnlyAes256,
}

/// What a suite encrypts with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes256,
    ChaCha20,
}

impl Suites {
    /// The suites, the preferred one first, those of TLS 1.3 before those of TLS 1.2.
    pub fn list(self) -> Vec<SupportedCipherSuite> {
        self.list_for(crypto_instructions())
    }

    /// The same on a CPU that has AES and SHA-256 instructions, or not.
    fn list_for(self, [has_aes, has_sha256]: [bool; 2]) -> Vec<SupportedCipherSuite> {
        let mut suites = aws_lc_rs::default_provider().cipher_suites;
        let best = match self {
            Self::OnlyAes256 => {
                suites.retain(|suite| cipher(*suite) == Some(Cipher::Aes256));
                return suites;
            }
            Self::Fastest if !has_aes => Cipher::ChaCha20,
            Self::Fastest if has_sha256 => Cipher::Aes128,
            Self::Fastest | Self::AsRustls => return suites,
        };
        // A stable sort: what is not best stays in rustls' order.
        suites.sort_by_key(|suite| (suite.tls13().is_none(), cipher(*suite) != Some(best)));
        suites
    }
}

fn cipher(suite: SupportedCipherSuite) -> Option<Cipher> {
    use CipherSuite as S;
    match suite.suite() {
        S::TLS13_AES_128_GCM_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(Cipher::Aes128),
        S::TLS13_AES_256_GCM_SHA384
        | S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(Cipher::Aes256),
        S::TLS13_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(Cipher::ChaCha20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(suites: &[SupportedCipherSuite]) -> Vec<String> {
        suites.iter().map(|suite| format!("{:?}", suite.suite())).collect()
    }

    fn all() -> Vec<SupportedCipherSuite> {
        aws_lc_rs::default_provider().cipher_suites
    }

    #[test]
    fn every_suite_of_rustls_is_known_here() {
        assert!(all().iter().all(|suite| cipher(*suite).is_some()), "{:?}", names(&all()));
    }

    #[test]
    fn what_the_cpu_does_fastest_comes_first_in_both_versions() {
        for (cpu, first) in
            [([true, true], "AES_128_GCM_SHA256"), ([false, true], "CHACHA20_POLY1305_SHA256")]
        {
            let suites = Suites::Fastest.list_for(cpu);
            let (tls13, tls12): (Vec<_>, Vec<_>) = suites.iter().partition(|suite| suite.tls13().is_some());
            assert_eq!([&tls13[..], &tls12[..]].concat(), suites, "TLS 1.3 first");
            assert!(names(&tls13)[0].ends_with(first), "{:?}", names(&suites));
            assert!(names(&tls12)[..2].iter().all(|name| name.ends_with(first)), "{:?}", names(&suites));
            assert_eq!(suites.len(), all().len());
            assert!(all().iter().all(|suite| suites.contains(suite)));
        }
        // SHA-256 in software is no faster than SHA-384.
        assert_eq!(Suites::Fastest.list_for([true, false]), all());
    }

    #[test]
    fn the_other_orders_do_not_depend_on_the_cpu() {
        for cpu in [[true, true], [true, false], [false, false]] {
            assert_eq!(Suites::AsRustls.list_for(cpu), all());
            let only = Suites::OnlyAes256.list_for(cpu);
            assert!(
                names(&only).iter().all(|name| name.ends_with("AES_256_GCM_SHA384")),
                "{:?}",
                names(&only)
            );
            assert_eq!(only.len(), 3);
        }
    }
}

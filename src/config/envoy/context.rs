//! The two contexts and what they have in common.

use super::certificate::Certificate;
use super::params::TlsParameters;
use super::raw;
use super::sds::SdsSecret;
use super::validation::{self, ValidationContext};
use crate::arch::TierKind;
use crate::config::acceleration::Acceleration;
use crate::config::node::Document;
use crate::config::problem::{Checked, ConfigError, Mode, Problem};
use crate::config::read::{At, Report, read};
use rustls::pki_types::ServerName;
use std::time::Duration;

/// The TLS of a listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownstreamTlsContext {
    /// What both sides have.
    pub common: CommonTlsContext,
    /// Whether clients without a certificate are refused. `common.validation` is there if it is.
    pub require_client_certificate: bool,
    /// Whether session tickets are off; `None`: not set.
    pub disable_stateless_session_resumption: Option<bool>,
    /// Whether the session cache is off; `None`: not set.
    pub disable_stateful_session_resumption: Option<bool>,
    /// Whether the client's order of cipher suites is followed: the opposite of rustls'
    /// `ignore_client_order`.
    pub prefer_client_ciphers: bool,
    /// How long sessions may be resumed; `None`: not set.
    pub session_timeout: Option<Duration>,
}

/// The TLS towards a cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpstreamTlsContext {
    /// What both sides have; `validation` is always there.
    pub common: CommonTlsContext,
    /// The server name to send.
    pub sni: Option<ServerName<'static>>,
    /// How many sessions to keep for resumption, 0 for none; `None`: not set.
    pub max_session_keys: Option<u32>,
}

/// What both sides have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommonTlsContext {
    /// Who we are; the first that suits the peer is used. Never empty for a listener.
    pub certificates: Vec<CertificateSource>,
    /// Whom to admit; `None`: the peer is not asked for a certificate.
    pub validation: Option<ValidationContext>,
    /// The protocols to negotiate, best first.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// Versions, cipher suites and groups.
    pub params: TlsParameters,
}

/// Where a certificate with its key comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CertificateSource {
    /// Files, the environment, or the configuration itself.
    Certificate(Certificate),
    /// A secret of an SDS server.
    Sds(SdsSecret),
}

/// What is there, right or wrong: so that what is wrong is not said to be missing, too.
struct Given {
    identities: bool,
    validation: bool,
}

impl Given {
    fn of(raw: &raw::CommonTlsContext) -> Self {
        Self {
            identities: !raw.tls_certificates.is_empty()
                || !raw.tls_certificate_sds_secret_configs.is_empty(),
            validation: raw.validation_context.is_some()
                || raw.validation_context_sds_secret_config.is_some()
                || raw.combined_validation_context.is_some(),
        }
    }
}

impl DownstreamTlsContext {
    /// Reads a bare `DownstreamTlsContext`.
    ///
    /// # Errors
    /// Everything that is wrong with it, or not supported.
    pub fn read(document: &Document, mode: Mode) -> Result<Checked<Self>, ConfigError> {
        let report = Report::new(document, mode);
        let value = read(&report).map(|raw| Self::check(raw, &report.root()));
        report.finish(value)
    }

    fn check(raw: raw::Downstream, at: &At<'_>) -> Self {
        check_type(raw.type_url.as_deref(), "DownstreamTlsContext", at);
        let common_at = at.field("common_tls_context");
        let given = Given::of(&raw.common_tls_context);
        if !given.identities {
            common_at.error(
                "a listener needs a certificate: tls_certificates or tls_certificate_sds_secret_configs",
            );
        }
        refuse_true("require_sni", raw.require_sni, at);
        refuse_true("full_scan_certs_on_sni_mismatch", raw.full_scan_certs_on_sni_mismatch, at);
        if !matches!(raw.ocsp_staple_policy.as_deref(), None | Some("LENIENT_STAPLING")) {
            at.field("ocsp_staple_policy").unsupported("nothing is stapled; expected LENIENT_STAPLING");
        }
        check_ticket_keys(raw.session_ticket_keys, &at.field("session_ticket_keys"));
        let require_client_certificate = raw.require_client_certificate.unwrap_or(false);
        if require_client_certificate && !given.validation {
            at.field("require_client_certificate")
                .error("there is no validation context to verify the client's certificate with");
        }
        Self {
            common: CommonTlsContext::check(raw.common_tls_context, &common_at),
            require_client_certificate,
            disable_stateless_session_resumption: raw.disable_stateless_session_resumption,
            disable_stateful_session_resumption: raw.disable_stateful_session_resumption,
            prefer_client_ciphers: raw.prefer_client_ciphers.unwrap_or(false),
            session_timeout: raw.session_timeout.map(|span| span.0),
        }
    }
}

impl UpstreamTlsContext {
    /// Reads a bare `UpstreamTlsContext`.
    ///
    /// # Errors
    /// Everything that is wrong with it, or not supported.
    pub fn read(document: &Document, mode: Mode) -> Result<Checked<Self>, ConfigError> {
        let report = Report::new(document, mode);
        let value = read(&report).map(|raw| Self::check(raw, &report.root()));
        report.finish(value)
    }

    fn check(raw: raw::Upstream, at: &At<'_>) -> Self {
        check_type(raw.type_url.as_deref(), "UpstreamTlsContext", at);
        let common_at = at.field("common_tls_context");
        if !Given::of(&raw.common_tls_context).validation {
            common_at.error("there is no validation context to verify the server's certificate with");
        }
        refuse_true("allow_renegotiation", raw.allow_renegotiation, at);
        refuse_true("auto_host_sni", raw.auto_host_sni, at);
        refuse_true("auto_sni_san_validation", raw.auto_sni_san_validation, at);
        refuse_true("enforce_rsa_key_usage", raw.enforce_rsa_key_usage, at);
        let sni = raw.sni.filter(|name| !name.is_empty()).and_then(|name| {
            let parsed = ServerName::try_from(name);
            parsed.map_err(|_| at.field("sni").error("neither a DNS name nor an IP address")).ok()
        });
        let common = CommonTlsContext::check(raw.common_tls_context, &common_at);
        Self { common, sni, max_session_keys: raw.max_session_keys }
    }
}

impl CommonTlsContext {
    fn check(raw: raw::CommonTlsContext, at: &At<'_>) -> Self {
        let mut certificates = Vec::new();
        let certificates_at = at.field("tls_certificates");
        for (i, certificate) in raw.tls_certificates.into_iter().enumerate() {
            let certificate = Certificate::check(certificate, &certificates_at.index(i));
            certificates.extend(certificate.map(CertificateSource::Certificate));
        }
        let secrets_at = at.field("tls_certificate_sds_secret_configs");
        for (i, secret) in raw.tls_certificate_sds_secret_configs.into_iter().enumerate() {
            let secret = SdsSecret::check(secret, &secrets_at.index(i));
            certificates.extend(secret.map(CertificateSource::Sds));
        }
        let validation = validation::check(
            raw.validation_context,
            raw.validation_context_sds_secret_config,
            raw.combined_validation_context,
            at,
        );
        Self {
            certificates,
            validation,
            alpn_protocols: check_alpn(raw.alpn_protocols, &at.field("alpn_protocols")),
            params: check_params(&raw.tls_params, &at.field("tls_params")),
        }
    }

    /// What the certificates' `private_key_provider`s say about acceleration,
    /// [together](Acceleration::together): acceleration concerns all work of a thread, not only one
    /// certificate's.
    pub fn acceleration(&self) -> Acceleration {
        let providers = self.with_keys().filter_map(|certificate| certificate.private_key_provider.as_ref());
        providers
            .map(|provider| Acceleration::Set(provider.acceleration()))
            .fold(Acceleration::Unset, Acceleration::together)
    }

    /// Checks that an engine of this tier may go on with every certificate: without `fallback`, not one of
    /// the tier `scalar`.
    ///
    /// # Errors
    /// The first `private_key_provider` that does not allow it.
    pub fn check_fallback(&self, tier: TierKind) -> Result<(), Problem> {
        self.with_keys().try_for_each(|certificate| certificate.check_fallback(tier))
    }

    fn with_keys(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter_map(|source| match source {
            CertificateSource::Certificate(certificate) => Some(certificate),
            CertificateSource::Sds(_) => None,
        })
    }
}

fn check_type(url: Option<&str>, message: &str, at: &At<'_>) {
    if let Some(url) = url
        && message_of(url) != Some(message)
    {
        at.field("@type").error(format!("expected envoy.extensions.transport_sockets.tls.v3.{message}"));
    }
}

/// The short name of a message of Envoy's TLS, from the URL in an `@type`.
pub(super) fn message_of(url: &str) -> Option<&str> {
    let name = url.rsplit('/').next().unwrap_or(url);
    name.strip_prefix("envoy.extensions.transport_sockets.tls.v3.")
}

/// A switch that can only be off.
fn refuse_true(field: &str, value: Option<bool>, at: &At<'_>) {
    if value == Some(true) {
        at.field(field).unsupported("it is not supported; false is");
    }
}

fn check_ticket_keys(raw: Option<raw::SessionTicketKeys>, at: &At<'_>) {
    let Some(raw) = raw else { return };
    let at = at.field("keys");
    if raw.keys.is_empty() {
        at.error("at least one is required");
    }
    for (i, key) in raw.keys.iter().enumerate() {
        key.check(&at.index(i));
    }
    at.warn("not used: tickets of other processes are not taken, their clients make full handshakes");
}

fn check_params(raw: &raw::TlsParameters, at: &At<'_>) -> TlsParameters {
    let lists = [
        ("signature_algorithms", &raw.signature_algorithms),
        ("compliance_policies", &raw.compliance_policies),
    ];
    for (field, _) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        at.field(field).unsupported("it is not supported");
    }
    TlsParameters::check(raw, at)
}

/// Envoy joins the names by commas, and splits them there again.
fn check_alpn(names: Vec<String>, at: &At<'_>) -> Vec<Vec<u8>> {
    let mut protocols = Vec::new();
    for (i, text) in names.iter().enumerate() {
        for name in text.split(',').filter(|name| !name.is_empty()) {
            match name.len() {
                1..=255 => protocols.push(name.as_bytes().to_vec()),
                _ => at.index(i).error("the name of a protocol has 1 to 255 bytes"),
            }
        }
    }
    protocols
}

//! Envoy's discovery protocol, version 3, as far as the secret discovery service needs it.

use prost::{Message, Oneof};
use std::fmt;

pub(in crate::spiffe) const STREAM_SECRETS: &str =
    "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
#[cfg(feature = "spiffe-authority")]
pub(in crate::spiffe) const FETCH_SECRETS: &str =
    "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets";

pub(in crate::spiffe) const SECRET_TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
pub(in crate::spiffe) const SPIFFE_VALIDATOR_TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(in crate::spiffe) struct Any {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::spiffe) value: Vec<u8>,
}

impl fmt::Debug for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be a private key.
        f.debug_struct("Any").field("type_url", &self.type_url).finish_non_exhaustive()
    }
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct Status {
    #[prost(int32, tag = "1")]
    pub(in crate::spiffe) code: i32,
    #[prost(string, tag = "2")]
    pub(in crate::spiffe) message: String,
}

/// `envoy.config.core.v3.Node`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct Node {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) id: String,
    #[prost(string, tag = "2")]
    pub(in crate::spiffe) cluster: String,
    #[prost(string, tag = "6")]
    pub(in crate::spiffe) user_agent_name: String,
}

/// `envoy.service.discovery.v3.DiscoveryRequest`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct DiscoveryRequest {
    /// The last version that was accepted.
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) version_info: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) node: Option<Node>,
    #[prost(string, repeated, tag = "3")]
    pub(in crate::spiffe) resource_names: Vec<String>,
    #[prost(string, tag = "4")]
    pub(in crate::spiffe) type_url: String,
    /// Which response this answers.
    #[prost(string, tag = "5")]
    pub(in crate::spiffe) response_nonce: String,
    /// Why that response was refused.
    #[prost(message, optional, tag = "6")]
    pub(in crate::spiffe) error_detail: Option<Status>,
}

/// `envoy.service.discovery.v3.DiscoveryResponse`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct DiscoveryResponse {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) version_info: String,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::spiffe) resources: Vec<Any>,
    #[prost(string, tag = "4")]
    pub(in crate::spiffe) type_url: String,
    #[prost(string, tag = "5")]
    pub(in crate::spiffe) nonce: String,
}

/// `envoy.extensions.transport_sockets.tls.v3.Secret`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct Secret {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) name: String,
    #[prost(oneof = "SecretKind", tags = "2, 4")]
    pub(in crate::spiffe) kind: Option<SecretKind>,
}

/// `envoy.extensions.transport_sockets.tls.v3.Secret.type`
#[derive(Clone, PartialEq, Oneof)]
pub(in crate::spiffe) enum SecretKind {
    #[prost(message, tag = "2")]
    TlsCertificate(TlsCertificate),
    #[prost(message, tag = "4")]
    ValidationContext(ValidationContext),
}

/// `envoy.extensions.transport_sockets.tls.v3.TlsCertificate`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct TlsCertificate {
    #[prost(message, optional, tag = "1")]
    pub(in crate::spiffe) certificate_chain: Option<DataSource>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) private_key: Option<DataSource>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::spiffe) private_key_provider: Option<PrivateKeyProvider>,
}

/// `envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct PrivateKeyProvider {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) provider_name: String,
    #[prost(message, optional, tag = "3")]
    pub(in crate::spiffe) typed_config: Option<Any>,
    #[prost(bool, tag = "4")]
    pub(in crate::spiffe) fallback: bool,
}

/// `envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct CryptoMbConfig {
    #[prost(message, optional, tag = "1")]
    pub(in crate::spiffe) private_key: Option<DataSource>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) poll_delay: Option<Duration>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct Duration {
    #[prost(int64, tag = "1")]
    pub(in crate::spiffe) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(in crate::spiffe) nanos: i32,
}

/// `envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct ValidationContext {
    #[prost(message, optional, tag = "1")]
    pub(in crate::spiffe) trusted_ca: Option<DataSource>,
    #[prost(string, repeated, tag = "2")]
    pub(in crate::spiffe) verify_certificate_hash: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub(in crate::spiffe) verify_certificate_spki: Vec<String>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::spiffe) require_signed_certificate_timestamp: Option<BoolValue>,
    #[prost(message, optional, tag = "7")]
    pub(in crate::spiffe) crl: Option<DataSource>,
    #[prost(bool, tag = "8")]
    pub(in crate::spiffe) allow_expired_certificate: bool,
    #[prost(message, repeated, tag = "9")]
    pub(in crate::spiffe) match_subject_alt_names: Vec<StringMatcher>,
    #[prost(int32, tag = "10")]
    pub(in crate::spiffe) trust_chain_verification: i32,
    #[prost(message, optional, tag = "12")]
    pub(in crate::spiffe) custom_validator_config: Option<ExtensionConfig>,
    #[prost(bool, tag = "14")]
    pub(in crate::spiffe) only_verify_leaf_cert_crl: bool,
    #[prost(message, repeated, tag = "15")]
    pub(in crate::spiffe) match_typed_subject_alt_names: Vec<SubjectAltNameMatcher>,
    #[prost(message, optional, tag = "16")]
    pub(in crate::spiffe) max_verify_depth: Option<UInt32Value>,
}

/// `google.protobuf.BoolValue`
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::spiffe) struct BoolValue {
    #[prost(bool, tag = "1")]
    pub(in crate::spiffe) value: bool,
}

/// `google.protobuf.UInt32Value`
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::spiffe) struct UInt32Value {
    #[prost(uint32, tag = "1")]
    pub(in crate::spiffe) value: u32,
}

/// `envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct SubjectAltNameMatcher {
    #[prost(int32, tag = "1")]
    pub(in crate::spiffe) san_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) matcher: Option<StringMatcher>,
}

/// `envoy.type.matcher.v3.StringMatcher`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct StringMatcher {
    #[prost(oneof = "MatchPattern", tags = "1, 2, 3, 5, 7, 8")]
    pub(in crate::spiffe) pattern: Option<MatchPattern>,
    #[prost(bool, tag = "6")]
    pub(in crate::spiffe) ignore_case: bool,
}

/// `envoy.type.matcher.v3.StringMatcher.match_pattern`
#[derive(Clone, PartialEq, Oneof)]
pub(in crate::spiffe) enum MatchPattern {
    #[prost(string, tag = "1")]
    Exact(String),
    #[prost(string, tag = "2")]
    Prefix(String),
    #[prost(string, tag = "3")]
    Suffix(String),
    #[prost(message, tag = "5")]
    SafeRegex(RegexMatcher),
    #[prost(string, tag = "7")]
    Contains(String),
    #[prost(message, tag = "8")]
    Custom(ExtensionConfig),
}

/// `envoy.type.matcher.v3.RegexMatcher`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct RegexMatcher {
    #[prost(string, tag = "2")]
    pub(in crate::spiffe) regex: String,
}

/// `envoy.config.core.v3.TypedExtensionConfig`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct ExtensionConfig {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) typed_config: Option<Any>,
}

/// `envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct SpiffeValidator {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::spiffe) trust_domains: Vec<DomainBundle>,
}

/// `envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct DomainBundle {
    #[prost(string, tag = "1")]
    pub(in crate::spiffe) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::spiffe) trust_bundle: Option<DataSource>,
}

/// `envoy.config.core.v3.DataSource`
#[derive(Clone, PartialEq, Message)]
pub(in crate::spiffe) struct DataSource {
    #[prost(oneof = "Specifier", tags = "1, 2, 3, 4")]
    pub(in crate::spiffe) specifier: Option<Specifier>,
}

/// `envoy.config.core.v3.DataSource.specifier`
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub(in crate::spiffe) enum Specifier {
    #[prost(string, tag = "1")]
    Filename(String),
    #[prost(bytes, tag = "2")]
    InlineBytes(Vec<u8>),
    #[prost(string, tag = "3")]
    InlineString(String),
    #[prost(string, tag = "4")]
    EnvironmentVariable(String),
}

impl fmt::Debug for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a private key.
        f.write_str("Specifier")
    }
}

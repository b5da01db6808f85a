//! Envoy's messages, with the fields that are supported. Their comments become the table of fields and the
//! JSON schema.

use crate::config::acceleration::RawBreakEven;
use crate::config::data_source::RawDataSource;
use crate::config::duration::{ProtobufSpan, Span};
use crate::config::messages::messages;

messages! {
    /// The TLS of a listener: `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`.
    struct Downstream as "DownstreamTlsContext" {
        /// The message's name, if it is written.
        #[serde(rename = "@type")]
        type_url: Option<String>,
        /// What both sides have.
        common_tls_context: CommonTlsContext,
        /// Refuse clients without a certificate; default: false. Needs something to verify it with.
        require_client_certificate: Option<bool>,
        /// No session tickets.
        disable_stateless_session_resumption: Option<bool>,
        /// No session cache.
        disable_stateful_session_resumption: Option<bool>,
        /// Follow the client's order of cipher suites, not our own; default: false.
        prefer_client_ciphers: Option<bool>,
        /// Must be false, if it is there.
        require_sni: Option<bool>,
        /// How long sessions may be resumed.
        session_timeout: Option<ProtobufSpan>,
        /// The keys of session tickets: has no effect here, those of other processes are not taken.
        session_ticket_keys: Option<SessionTicketKeys>,
        /// Must be LENIENT_STAPLING, if it is there: nothing is stapled.
        ocsp_staple_policy: Option<String>,
        /// Must be false, if it is there.
        full_scan_certs_on_sni_mismatch: Option<bool>,
    }

    /// The TLS towards a cluster: `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`.
    struct Upstream as "UpstreamTlsContext" {
        /// The message's name, if it is written.
        #[serde(rename = "@type")]
        type_url: Option<String>,
        /// What both sides have.
        common_tls_context: CommonTlsContext,
        /// The server name to send: a DNS name or an IP address.
        sni: Option<String>,
        /// Must be false, if it is there: no implementation of TLS 1.3 renegotiates.
        allow_renegotiation: Option<bool>,
        /// Sessions to keep for resumption; 0: none.
        max_session_keys: Option<u32>,
        /// Must be false, if it is there.
        auto_host_sni: Option<bool>,
        /// Must be false, if it is there.
        auto_sni_san_validation: Option<bool>,
        /// Must be false, if it is there. SVIDs must be for digital signatures in any case.
        enforce_rsa_key_usage: Option<bool>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys`.
    struct SessionTicketKeys as "TlsSessionTicketKeys" {
        /// At least one.
        keys: Vec<RawDataSource>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.CommonTlsContext`.
    struct CommonTlsContext as "CommonTlsContext" {
        /// Versions, cipher suites and curves.
        tls_params: TlsParameters,
        /// Our certificates, from files or from this configuration.
        tls_certificates: Vec<TlsCertificate>,
        /// Our certificates, from an SDS server.
        tls_certificate_sds_secret_configs: Vec<SdsSecretConfig>,
        /// How the peer is verified.
        validation_context: Option<CertificateValidationContext>,
        /// How the peer is verified, from an SDS server.
        validation_context_sds_secret_config: Option<SdsSecretConfig>,
        /// How the peer is verified: the roots from an SDS server, the rest from here.
        combined_validation_context: Option<CombinedValidationContext>,
        /// The protocols to negotiate, best first, such as h2; or in one string, with commas.
        alpn_protocols: Vec<String>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.TlsParameters`.
    struct TlsParameters as "TlsParameters" {
        /// TLS_AUTO, TLSv1_2 or TLSv1_3.
        tls_minimum_protocol_version: Option<String>,
        /// TLS_AUTO, TLSv1_2 or TLSv1_3.
        tls_maximum_protocol_version: Option<String>,
        /// The cipher suites for TLS 1.2, by OpenSSL's names, best first; those of TLS 1.3 are always on.
        cipher_suites: Vec<String>,
        /// The groups, best first: X25519MLKEM768, X25519, P-256, P-384; or in one string, with colons.
        ecdh_curves: Vec<String>,
        /// Must be empty, if it is there.
        signature_algorithms: Vec<String>,
        /// Must be empty, if it is there.
        compliance_policies: Vec<String>,
    }

    /// A certificate chain with its key: `envoy.extensions.transport_sockets.tls.v3.TlsCertificate`.
    struct TlsCertificate as "TlsCertificate" {
        /// The chain, PEM, our own certificate first.
        certificate_chain: Option<RawDataSource>,
        /// The key, PEM. Here or in the private_key_provider.
        private_key: Option<RawDataSource>,
        /// Reads the files again when something moves into this directory.
        watched_directory: Option<WatchedDirectory>,
        /// Turns acceleration on.
        private_key_provider: Option<PrivateKeyProvider>,
    }

    /// `envoy.config.core.v3.WatchedDirectory`.
    struct WatchedDirectory as "WatchedDirectory" {
        /// The directory that is watched.
        path: String,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider`.
    struct PrivateKeyProvider as "PrivateKeyProvider" {
        /// cryptomb or multibuffer: they mean the same.
        provider_name: String,
        /// Whether to go on without acceleration where the CPU offers none; default: false, which is an error
        /// there.
        fallback: Option<bool>,
        /// The provider's settings.
        typed_config: Option<ProviderConfig>,
    }

    /// `CryptoMbPrivateKeyMethodConfig` of Envoy's `cryptomb.v3alpha` (or `v3`), or our own
    /// `PrivateKeyMethodConfig`.
    struct ProviderConfig as "PrivateKeyMethodConfig" {
        /// The message's name.
        #[serde(rename = "@type")]
        type_url: Option<String>,
        /// The key, PEM. Here or beside the certificate.
        private_key: Option<RawDataSource>,
        /// How long an operation waits for company although its thread is idle; default: 0, it does not wait.
        poll_delay: Option<Span>,
        /// Only with our own name: the best CPU tier to use.
        max_tier: Option<String>,
        /// Only with our own name: the smallest number of operations that is worth a batch.
        break_even: Option<RawBreakEven>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext`.
    struct CertificateValidationContext as "CertificateValidationContext" {
        /// The roots that peers' certificates must lead to, PEM.
        trusted_ca: Option<RawDataSource>,
        /// Reads trusted_ca again when something moves into this directory.
        watched_directory: Option<WatchedDirectory>,
        /// Which peers are admitted; one that matches is enough. Without any: all that the roots vouch for.
        match_typed_subject_alt_names: Vec<SubjectAltNameMatcher>,
        /// Deprecated: taken for match_typed_subject_alt_names with san_type URI.
        match_subject_alt_names: Vec<StringMatcher>,
        /// Revocation lists, PEM. Those in trusted_ca count, too. If there are any, each authority of a chain
        /// needs one.
        crl: Option<RawDataSource>,
        /// Look only the peer's own certificate up in the revocation lists; default: false.
        only_verify_leaf_cert_crl: Option<bool>,
        /// Envoy's SPIFFE validator, in place of trusted_ca.
        custom_validator_config: Option<TypedExtensionConfig>,
        /// Must be VERIFY_TRUST_CHAIN, the default.
        trust_chain_verification: Option<String>,
        /// Must be false, the default.
        allow_expired_certificate: Option<bool>,
        /// Must be false, the default.
        require_signed_certificate_timestamp: Option<bool>,
        /// Must be at least 7, because no longer chain is ever accepted.
        max_verify_depth: Option<u32>,
        /// Must be empty: not enforced.
        verify_certificate_hash: Vec<String>,
        /// Must be empty: not enforced.
        verify_certificate_spki: Vec<String>,
    }

    /// `envoy.config.core.v3.TypedExtensionConfig` with a validator.
    struct TypedExtensionConfig as "TypedExtensionConfig" {
        /// The validator's name, envoy.tls.cert_validator.spiffe.
        name: String,
        /// The validator's settings.
        typed_config: Option<SpiffeValidator>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig`.
    struct SpiffeValidator as "SPIFFECertValidatorConfig" {
        /// The message's name.
        #[serde(rename = "@type")]
        type_url: Option<String>,
        /// The trust domains whose workloads are verified, our own among them.
        trust_domains: Vec<SpiffeTrustDomain>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain`.
    struct SpiffeTrustDomain as "SPIFFECertValidatorConfigTrustDomain" {
        /// Its name, such as example.org.
        name: String,
        /// Its roots, PEM, and its revocation lists, if there are any.
        trust_bundle: Option<RawDataSource>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher`.
    struct SubjectAltNameMatcher as "SubjectAltNameMatcher" {
        /// Must be URI: where SPIFFE IDs are.
        san_type: String,
        /// What the name must be.
        matcher: Option<StringMatcher>,
    }

    /// `envoy.type.matcher.v3.StringMatcher`: exactly one pattern.
    struct StringMatcher as "StringMatcher" {
        /// The whole name.
        exact: Option<String>,
        /// What it begins with.
        prefix: Option<String>,
        /// What it ends with.
        suffix: Option<String>,
        /// What is somewhere in it.
        contains: Option<String>,
        /// A regular expression for the whole name.
        safe_regex: Option<RegexMatcher>,
        /// Take ASCII letters of either case as the same; not for safe_regex.
        ignore_case: Option<bool>,
    }

    /// `envoy.type.matcher.v3.RegexMatcher`.
    struct RegexMatcher as "RegexMatcher" {
        /// The expression, in RE2's syntax.
        regex: String,
        /// Must be empty, if it is there: there is one engine.
        google_re2: Option<Nothing>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext`.
    struct CombinedValidationContext as "CombinedCertificateValidationContext" {
        /// The part that is here.
        default_validation_context: Option<CertificateValidationContext>,
        /// Where the roots come from.
        validation_context_sds_secret_config: Option<SdsSecretConfig>,
    }

    /// `envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig`.
    struct SdsSecretConfig as "SdsSecretConfig" {
        /// The resource's name.
        name: String,
        /// Where the resource comes from: a gRPC server or a file.
        sds_config: Option<ConfigSource>,
    }

    /// `envoy.config.core.v3.ConfigSource`: exactly one source.
    struct ConfigSource as "ConfigSource" {
        /// A gRPC server.
        api_config_source: Option<ApiConfigSource>,
        /// A file with the resource.
        path_config_source: Option<PathConfigSource>,
        /// AUTO or V3.
        resource_api_version: Option<String>,
        /// How long to wait for the first answer; default: 15 s, 0: for ever.
        initial_fetch_timeout: Option<ProtobufSpan>,
    }

    /// `envoy.config.core.v3.ApiConfigSource`.
    struct ApiConfigSource as "ApiConfigSource" {
        /// Must be GRPC.
        api_type: String,
        /// AUTO or V3.
        transport_api_version: Option<String>,
        /// The server; exactly one.
        grpc_services: Vec<GrpcService>,
        /// Has no effect here: every message carries the node.
        set_node_on_first_message_only: Option<bool>,
    }

    /// `envoy.config.core.v3.GrpcService`: exactly one kind.
    struct GrpcService as "GrpcService" {
        /// A cluster, by its name.
        envoy_grpc: Option<EnvoyGrpc>,
        /// A server, by its address.
        google_grpc: Option<GoogleGrpc>,
    }

    /// `envoy.config.core.v3.GrpcService.EnvoyGrpc`.
    struct EnvoyGrpc as "EnvoyGrpc" {
        /// The cluster's name; whoever uses this configuration knows its address.
        cluster_name: String,
    }

    /// `envoy.config.core.v3.GrpcService.GoogleGrpc`.
    struct GoogleGrpc as "GoogleGrpc" {
        /// The address, such as unix:/run/spire/sockets/agent.sock.
        target_uri: String,
        /// Has no effect here.
        stat_prefix: Option<String>,
    }

    /// `envoy.config.core.v3.PathConfigSource`.
    struct PathConfigSource as "PathConfigSource" {
        /// The file that holds the resource.
        path: String,
        /// Reads it again when something moves into this directory.
        watched_directory: Option<WatchedDirectory>,
    }

    /// A message without fields.
    struct Nothing as "Empty" {
    }
}

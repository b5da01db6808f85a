//! The samples of CryptoMB in the documentation of Envoy and Istio, as they are there.

use crate::support::{document, problems};
use rustls_multibuffer::config::envoy::{self, DownstreamTlsContext, ProviderName, TlsContext};
use rustls_multibuffer::config::istio::{Objects, Resolver};
use rustls_multibuffer::config::{Acceleration, Document, Mode};
use rustls_multibuffer::handshake::EngineConfig;
use std::time::Duration;

/// Envoy's way to accelerate a listener, with the delay as protobuf writes it.
const ENVOY: &str = r#"
common_tls_context:
  tls_certificates:
  - certificate_chain: {filename: /run/id/cert.pem}
    private_key_provider:
      provider_name: cryptomb
      fallback: true                      # default false
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
        private_key: {filename: /run/id/key.pem}
        poll_delay: 0.002s                # protobuf Duration; required; Envoy: ≥ 1 ms
"#;

/// As Istio's blog has it: one certificate without the dash of its list, and the delay as Go writes it.
const BLOG: &str = r#"
tls_certificates:
  certificate_chain: { "filename": "/path/cert.pem" }
  private_key_provider:
    provider_name: cryptomb
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
      private_key: { "filename": "/path/key.pem" }
      poll_delay: 10ms
"#;

/// A transport socket, with the delay as protobuf's two fields.
const SOCKET: &str = r#"
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      common_tls_context:
        tls_certificates:
          certificate_chain:
            filename: "/home/user/cert/server.pem"
          private_key_provider:
            provider_name: cryptomb
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
              private_key:
                filename: "/home/user/cert/server-key.pem"
              poll_delay:
                nanos: 5000000
"#;

#[test]
fn envoys_listener() {
    let read = DownstreamTlsContext::read(&document(ENVOY), Mode::Strict).unwrap();
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let envoy::CertificateSource::Certificate(certificate) = &read.value.common.certificates[0] else {
        panic!()
    };
    let provider = certificate.private_key_provider.as_ref().unwrap();
    assert_eq!((provider.name, provider.fallback), (ProviderName::CryptoMb, true));
    assert_eq!(certificate.private_key.to_string(), "file /run/id/key.pem");
    let engine = read.value.common.acceleration().engine_config(EngineConfig::default());
    assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_millis(2)));
}

#[test]
fn a_list_of_one_without_its_dash() {
    let text = format!("common_tls_context:\n{}", crate::support::indent(BLOG, 2));
    let read = DownstreamTlsContext::read(&document(&text), Mode::Strict).unwrap();
    assert_eq!(read.value.common.certificates.len(), 1);
    let [warning] = &read.warnings[..] else { panic!("{:?}", read.warnings) };
    assert_eq!(
        warning.to_string(),
        "test.yaml:4:5: common_tls_context.tls_certificates: taken as a list of one"
    );
}

#[test]
fn a_transport_socket() {
    let found = envoy::find(&document(SOCKET), Mode::Strict).unwrap();
    let [(location, TlsContext::Downstream(context))] = &found.value[..] else { panic!() };
    assert_eq!(location.path.to_string(), "transport_socket.typed_config");
    let Acceleration::Set(set) = context.common.acceleration() else { panic!() };
    assert_eq!(set.poll_delay, Some(Duration::from_millis(5)));
}

const MESH: &str = "
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata:
  namespace: istio-system
  name: example-istiocontrolplane
spec:
  profile: demo
  components:
    egressGateways:
    - name: istio-egressgateway
      enabled: true
    ingressGateways:
    - name: istio-ingressgateway
      enabled: true
  meshConfig:
    defaultConfig:
      privateKeyProvider:
        cryptomb:
          pollDelay: 10ms
";

const GATEWAY: &str = "
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata:
  namespace: istio-system
  name: example-istiocontrolplane
spec:
  profile: demo
  components:
    egressGateways:
    - name: istio-egressgateway
      enabled: true
    ingressGateways:
    - name: istio-ingressgateway
      enabled: true
      k8s:
        podAnnotations:
          proxy.istio.io/config: |
            privateKeyProvider:
              cryptomb:
                pollDelay: 10ms
";

const SIDECAR: &str = "
apiVersion: v1
kind: ServiceAccount
metadata:
  name: httpbin
---
apiVersion: v1
kind: Service
metadata:
  name: httpbin
  labels:
    app: httpbin
    service: httpbin
spec:
  ports:
  - name: http
    port: 8000
    targetPort: 80
  selector:
    app: httpbin
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: httpbin
spec:
  replicas: 1
  selector:
    matchLabels:
      app: httpbin
      version: v1
  template:
    metadata:
      labels:
        app: httpbin
        version: v1
      annotations:
        proxy.istio.io/config: |
          privateKeyProvider:
            cryptomb:
              pollDelay: 10ms
    spec:
      serviceAccountName: httpbin
      containers:
      - image: docker.io/kennethreitz/httpbin
        imagePullPolicy: IfNotPresent
        name: httpbin
        ports:
        - containerPort: 80
";

#[test]
fn istios_three_ways() {
    for (text, pods) in [(MESH, 0), (GATEWAY, 1), (SIDECAR, 1)] {
        let documents = Document::parse_all("sample.yaml", text).unwrap();
        let objects =
            Objects::read(&documents, Mode::Strict).unwrap_or_else(|e| panic!("{:?}", problems(&e)));
        assert!(objects.warnings.is_empty(), "{:?}", objects.warnings);
        assert_eq!(objects.value.pods().len(), pods);
        let pod = objects.value.pods().first().cloned().unwrap_or_default();
        let resolved = Resolver::default().resolve(&objects.value, &pod);
        assert!(resolved.warnings.is_empty(), "{:?}", resolved.warnings);
        let provider = resolved.config.private_key_provider.as_ref().unwrap();
        assert_eq!((provider.poll_delay, provider.fallback), (Some(Duration::from_millis(10)), None));
        let engine = resolved.config.engine_config(EngineConfig::default());
        assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_millis(10)).threads(2));
    }
}

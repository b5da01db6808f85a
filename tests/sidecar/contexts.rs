//! TLS contexts, field by field: what `--validate` says of them beside what Envoy's own validation says.

mod variants;

use crate::pki::Authority;
use crate::process::Home;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use variants::VARIANTS;

/// A context that differs from a good one in one field.
#[derive(Clone, Copy, Debug)]
struct Variant {
    side: Side,
    place: Place,
    field: &'static str,
    /// JSON; `DIR` is a directory with an identity. `null` takes the field away.
    value: &'static str,
    freedom: Freedom,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Downstream,
    Upstream,
}

/// The message that has the field.
#[derive(Clone, Copy, Debug)]
enum Place {
    Context,
    Common,
    Params,
    Certificate,
    Validation,
    /// The source of certificate and roots, both from SDS.
    Sds,
}

/// How the answers may differ; `docs/sidecar.md` and the documentation of `config::envoy` say why.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Freedom {
    Same,
    /// Envoy takes it, this crate need not.
    Stricter,
    /// This crate takes it, Envoy does not.
    Wider,
}

impl Variant {
    /// The context.
    fn context(&self, dir: &str) -> Value {
        let file = |name: &str| json!({ "filename": format!("{dir}/{name}.pem") });
        let sds = json!({ "resource_api_version": "V3", "api_config_source": {
            "api_type": "GRPC", "transport_api_version": "V3",
            "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds" } }],
        }});
        let mut sds = if matches!(self.field, "ads") { json!({ "resource_api_version": "V3" }) } else { sds };
        let mut context = json!({ "common_tls_context": {
            "tls_certificates": [{ "certificate_chain": file("chain"), "private_key": file("key") }],
            "validation_context": { "trusted_ca": file("bundle") },
        }});
        if self.side == Side::Downstream && !self.field.starts_with("requireClient") {
            context["require_client_certificate"] = json!(true);
        }
        let value: Value = serde_json::from_str(&self.value.replace("DIR", dir)).unwrap();
        let common = &mut context["common_tls_context"];
        match self.place {
            Place::Context => set(&mut context, self.field, value),
            Place::Common => set(common, self.field, value),
            Place::Params => common["tls_params"] = json!({ self.field: value }),
            Place::Certificate => set(&mut common["tls_certificates"][0], self.field, value),
            Place::Validation => set(&mut common["validation_context"], self.field, value),
            Place::Sds => {
                set(&mut sds, self.field, value);
                *common = json!({
                    "tls_certificate_sds_secret_configs": [{ "name": "default", "sds_config": sds }],
                    "validation_context_sds_secret_config": { "name": "ROOTCA", "sds_config": sds },
                });
            }
        }
        context
    }

    fn message(&self) -> String {
        let name = if self.side == Side::Downstream { "DownstreamTlsContext" } else { "UpstreamTlsContext" };
        format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{name}")
    }

    /// A whole configuration of the sidecar.
    fn ours(&self, dir: &str) -> Value {
        let direction = if self.side == Side::Downstream { "inbound" } else { "outbound" };
        json!({
            "clusters": { "sds": "unix:/run/sds.sock" },
            "listeners": [{
                "name": "l", "direction": direction, "address": "127.0.0.1:15006", "target": "127.0.0.1:1",
                "peers": { "any": true }, "tls": self.context(dir),
            }],
        })
    }

    /// A whole bootstrap of Envoy.
    fn envoys(&self, dir: &str) -> Value {
        let mut context = self.context(dir);
        context["@type"] = json!(self.message());
        let socket = json!({ "name": "envoy.transport_sockets.tls", "typed_config": context });
        let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
        let load = |name: &str, address: Value| {
            let endpoint = json!({ "endpoint": { "address": address } });
            json!({ "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] })
        };
        let mut cluster = json!({ "name": "c", "type": "STATIC", "load_assignment": load("c", address(1)) });
        let mut chain = json!({ "filters": [{ "name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "c", "cluster": "c",
        }}]});
        let holder = if self.side == Side::Downstream { &mut chain } else { &mut cluster };
        holder["transport_socket"] = socket;
        let http2 = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        }});
        let sds = load("sds", json!({ "pipe": { "path": "/run/sds.sock" } }));
        json!({
            "node": { "id": "n", "cluster": "c" },
            "static_resources": {
                "listeners": [{ "name": "l", "address": address(15006), "filter_chains": [chain] }],
                "clusters": [cluster, { "name": "sds", "type": "STATIC", "load_assignment": sds,
                    "typed_extension_protocol_options": http2 }],
            },
        })
    }
}

fn set(message: &mut Value, field: &str, value: Value) {
    let fields: &mut Map<String, Value> = message.as_object_mut().unwrap();
    match value {
        Value::Null => drop(fields.remove(field)),
        value => drop(fields.insert(field.to_owned(), value)),
    }
}

/// Envoy, where the environment of peers has it; `None`, with a notice, where it does not.
fn envoy() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join("bin/envoy");
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "there is no {}", path.display());
    // Not a print macro: the notice must be seen although the test passes.
    std::io::stderr().write_all(format!("not run: there is no {}\n", path.display()).as_bytes()).unwrap();
    None
}

/// Whether the program takes the file, and what it says.
fn takes(program: &Path, args: &[&str], file: &Path) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(program).args(args).arg(file).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.success(), said)
}

/// What is wrong with the answers to one variant, if anything is.
fn compare(variant: &Variant, number: usize, envoy: &Path, dir: &str) -> Option<String> {
    let write = |name: &str, text: Value| {
        let path = Path::new(dir).join(format!("{number}-{name}.json"));
        std::fs::write(&path, text.to_string()).unwrap();
        path
    };
    let sidecar = Path::new(env!("CARGO_BIN_EXE_mtls-sidecar"));
    let (ours, we_say) = takes(sidecar, &["--validate", "--config"], &write("ours", variant.ours(dir)));
    let args = ["--mode", "validate", "--log-level", "error", "-c"];
    let (theirs, envoy_says) = takes(envoy, &args, &write("envoys", variant.envoys(dir)));
    let is_as_it_may = match (ours, theirs) {
        (true, true) | (false, false) => true,
        (false, true) => variant.freedom == Freedom::Stricter,
        (true, false) => variant.freedom == Freedom::Wider,
    };
    let Variant { side, place, field, value, freedom } = variant;
    (!is_as_it_may).then(|| {
        format!(
            "{side:?} {place:?} {field}: {value} ({freedom:?})\n  ours {ours}: {we_say}\n  Envoy \
            {theirs}: {envoy_says}"
        )
    })
}

/// None is taken that Envoy refuses, and none is refused that Envoy takes, but for those that are marked.
#[test]
fn contexts_are_judged_as_envoy_judges_them() {
    assert!(VARIANTS.len() >= 108, "{}", VARIANTS.len());
    let Some(envoy) = envoy() else { return };
    let authority = Authority::new();
    let home = Home::with_identity(&authority, &authority.issue("a"));
    let dir = home.dir.display().to_string();
    std::fs::write(home.dir.join("ticket.key"), [7; 80]).unwrap();
    let (next, mut wrong) = (AtomicUsize::new(0), Vec::new());
    std::thread::scope(|scope| {
        let run = || {
            let mut wrong = Vec::new();
            while let Some((number, variant)) =
                Some(next.fetch_add(1, Relaxed)).and_then(|n| Some((n, VARIANTS.get(n)?)))
            {
                wrong.extend(compare(variant, number, &envoy, &dir));
            }
            wrong
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        wrong.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap()));
    });
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

//! The embedded authority, and sidecars that have their identities from it.

use crate::process::{Home, Sidecar};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig, Serving, ServingSds};
use rustls_multibuffer::spiffe::{SpiffeId, TrustDomain};
use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How an identity is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Files,
    WorkloadApi,
    Sds,
}

/// An authority for `mesh.example` that has issued to `server` and `client`, on sockets and in files.
pub(crate) struct Mesh {
    authority: Authority,
    home: Home,
    serving: RefCell<Vec<(Serving, ServingSds)>>,
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::new(format!("spiffe://mesh.example/{name}")).unwrap()
}

impl Mesh {
    /// Within a runtime, which serves it.
    pub(crate) async fn start() -> Self {
        let config = AuthorityConfig::new(TrustDomain::new("mesh.example").unwrap());
        let mesh = Self {
            authority: Authority::start(config).unwrap(),
            home: Home::new(),
            serving: RefCell::default(),
        };
        for name in ["server", "client"] {
            mesh.authority.allow(&id(name)).unwrap();
            fs::create_dir(mesh.home.dir.join(name)).unwrap();
            mesh.write_files(name);
            let api = mesh.authority.serve_workload_api(mesh.socket(Source::WorkloadApi, name), [id(name)]);
            let sds = mesh.authority.serve_sds(mesh.socket(Source::Sds, name), [id(name)]);
            mesh.serving.borrow_mut().push((api.unwrap(), sds.unwrap()));
        }
        mesh
    }

    pub(crate) fn socket(&self, source: Source, name: &str) -> PathBuf {
        let kind = if source == Source::Sds { "sds" } else { "api" };
        self.home.dir.join(format!("{name}-{kind}.sock"))
    }

    /// Issues a new SVID, which goes out through the sockets.
    pub(crate) fn rotate(&self, name: &str) {
        self.authority.rotate_svid(&id(name)).unwrap();
    }

    pub(crate) fn deny(&self, name: &str) {
        self.authority.deny(&id(name)).unwrap();
    }

    /// Ends the sockets: nobody hears from the authority any more.
    pub(crate) async fn stop_serving(&self) {
        let serving = self.serving.take();
        for (api, sds) in serving {
            api.stop().await;
            sds.stop().await;
        }
    }

    /// Writes an identity's files as they are now, each renamed into place; the folder.
    pub(crate) fn write_files(&self, name: &str) -> String {
        let folder = self.home.dir.join(name);
        let material = self.authority.material(&id(name)).unwrap();
        let chain: Vec<&[u8]> = material.svid.chain.iter().map(AsRef::as_ref).collect();
        let roots: Vec<&[u8]> =
            material.bundles.values().flat_map(|bundle| &bundle.roots).map(AsRef::as_ref).collect();
        write(&folder, "key.pem", &pem("PRIVATE KEY", &[material.svid.key.expose().secret_der()]));
        write(&folder, "chain.pem", &pem("CERTIFICATE", &chain));
        write(&folder, "bundle.pem", &pem("CERTIFICATE", &roots));
        folder.display().to_string()
    }

    fn tls_identity(&self, source: Source, name: &str) -> String {
        let path = self.socket(source, name).display().to_string();
        match source {
            Source::Files => {
                let folder = self.home.dir.join(name);
                let names = "certificate_chain: chain.pem, trusted_ca: bundle.pem";
                format!("{{directory: {{path: {}, {names}}}}}", folder.display())
            }
            Source::WorkloadApi => format!("{{workload_api: {{endpoint: 'unix://{path}'}}}}"),
            Source::Sds => format!("{{sds: {{address: 'unix://{path}'}}}}"),
        }
    }

    /// A sidecar with the listener `in` and the identity `server`; `options` are further fields of the
    /// listener.
    pub(crate) fn inbound(&self, source: Source, target: SocketAddr, options: &str) -> Sidecar {
        self.sidecar("in", "inbound", target, &self.tls_identity(source, "server"), options)
    }

    /// A sidecar with the listener `out` and the identity `client`.
    pub(crate) fn outbound(&self, source: Source, target: SocketAddr, options: &str) -> Sidecar {
        self.sidecar("out", "outbound", target, &self.tls_identity(source, "client"), options)
    }

    fn sidecar(
        &self,
        name: &str,
        direction: &str,
        target: SocketAddr,
        identity: &str,
        options: &str,
    ) -> Sidecar {
        let home = Home::new();
        home.configure_bare(&format!(
            "log: {{access: true}}
drain: {{parent_shutdown_time: 1000s}}
listeners:
- {{name: {name}, direction: {direction}, address: '127.0.0.1:0', target: '{target}', tls_identity: \
             {identity},
   limits: {{max_connections: 10000, max_pending: 10000}},
   timeouts: {{connect: 100s, handshake: 100s}}, {options}}}"
        ));
        home.start()
    }
}

fn pem(label: &str, ders: &[&[u8]]) -> String {
    let mut text = String::new();
    for der in ders {
        let encoded = STANDARD.encode(der);
        let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        text += &format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) {
    let temporary = folder.join(format!(".{name}"));
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, folder.join(name)).unwrap();
}

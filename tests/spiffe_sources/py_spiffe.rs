//! py-spiffe, a Workload API client that is not ours, reads from our socket.

use crate::peer::{Peer, find};
use crate::run;
use crate::support::{Folder, domain, eventually, id};
use rustls::pki_types::CertificateDer;
use rustls_multibuffer::spiffe::Material;
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig, KeyKind};
use std::fmt::Write;
use std::time::Duration;

/// Says what it is given: the SPIFFE ID, whether the key is the leaf's, the leaf, and the roots of each
/// domain.
const PROGRAM: &str = r#"
import sys
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from spiffe import WorkloadApiClient, X509Source

def raw(key): return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
def hexed(certificate): return certificate.public_bytes(Encoding.DER).hex()
def say():
    svid = source.svid
    fits = raw(svid.private_key.public_key()) == raw(svid.leaf.public_key())
    bundles = sorted(source.bundles, key=lambda bundle: bundle.trust_domain.name)
    roots = [f'{b.trust_domain.name}={",".join(sorted(map(hexed, b.x509_authorities)))}' for b in bundles]
    print(svid.spiffe_id, fits, hexed(svid.leaf), *roots, flush=True)

with WorkloadApiClient(sys.argv[1]) as client:
    try:
        client.fetch_jwt_bundles()
        print('JWT bundles?', flush=True)
    except Exception as e:
        print('no JWT bundles:', type(e).__name__, flush=True)
    bundles = client.fetch_x509_bundles().bundles
    print(len(client.fetch_x509_svids()), 'SVIDs,', len(bundles), 'bundles', flush=True)
source = X509Source(socket_path=sys.argv[1], timeout_in_seconds=120)
source.subscribe_for_updates(say)
say()
sys.stdin.read()
"#;

fn hex(certificate: &CertificateDer<'_>) -> String {
    certificate.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What the program says of this.
fn expected(material: &Material) -> String {
    let bundles = material.bundles.iter().map(|(domain, roots)| {
        let mut roots: Vec<_> = roots.roots.iter().map(hex).collect();
        roots.sort();
        format!("{domain}={}", roots.join(","))
    });
    let leaf = hex(&material.svid.chain[0]);
    format!("{} True {leaf} {}", id("web"), bundles.collect::<Vec<_>>().join(" "))
}

async fn reads(kind: KeyKind, program: &std::path::Path) {
    let folder = Folder::new();
    let config = AuthorityConfig::new(domain("example.org")).key_kind(kind);
    let authority = Authority::start(config).unwrap();
    authority.allow(&id("web")).unwrap();
    authority.allow(&id("db")).unwrap();
    let other = Authority::start(AuthorityConfig::new(domain("example.com"))).unwrap();
    authority.federate_with(&other);
    let socket = folder.join("api");
    let serving = authority.serve_workload_api(&socket, [id("web"), id("db")]).unwrap();
    let mut peer = Peer::start(program, &["-c", PROGRAM, &serving.address()], folder.join("log"));
    let refused = peer.hear().await;
    assert!(refused.starts_with("no JWT bundles: "), "{refused}");
    assert_eq!(peer.hear().await, "2 SVIDs, 2 bundles");
    let heard = async |peer: &mut Peer| {
        let wanted = expected(&authority.material(&id("web")).unwrap());
        // It may hear of one change more than once.
        while peer.hear().await != wanted {}
    };
    heard(&mut peer).await;
    authority.rotate_svid(&id("web")).unwrap();
    heard(&mut peer).await;
    authority.rotate_ca().unwrap();
    heard(&mut peer).await;
    authority.use_announced_ca().unwrap();
    heard(&mut peer).await;
    // The other authority's change takes a moment to reach ours.
    other.rotate_ca().unwrap();
    let arrived = || authority.material(&id("web")).unwrap().bundles[&domain("example.com")].roots.len() == 2;
    eventually("the federated bundle", arrived).await;
    heard(&mut peer).await;
    // A restart, and a rotation while nobody serves.
    serving.stop().await;
    authority.rotate_svid(&id("web")).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _serving = authority.serve_workload_api(&socket, [id("web"), id("db")]).unwrap();
    heard(&mut peer).await;
    peer.assert_runs();
}

#[test]
fn py_spiffe_reads_svids_and_follows_rotations() {
    let Some(python) = find("python") else { return };
    run(async {
        for kind in [KeyKind::P256, KeyKind::Rsa2048] {
            reads(kind, &python).await;
        }
    });
}

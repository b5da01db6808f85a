//! OpenSSL's `s_client` and `s_server`.

use crate::case::{Case, Group, Scheme, Side};
use crate::peer::{self, Peer};
use crate::pki::PKI;
use crate::server::ClientProgram;
use std::path::Path;
use tokio::net::TcpStream;

pub(crate) const S_CLIENT: ClientProgram =
    ClientProgram { program: "openssl", args: s_client, reports: |case| reports(case, Side::Client) };

fn s_client(case: Case, with_certificate: bool, port: u16) -> Vec<String> {
    let mut args = peer::words(&format!(
        "s_client -brief -connect 127.0.0.1:{port} -servername localhost -verify_hostname localhost \
         -verify_return_error {} -alpn http/1.1",
        options(case)
    ));
    args.extend(["-CAfile".into(), PKI.ca_file.clone()]);
    if with_certificate {
        args.extend(identity(case));
    }
    args
}

/// Starts `s_server` for one connection, and connects to it. It sends every line back reversed.
pub(crate) async fn s_server(openssl: &Path, case: Case) -> (Peer, TcpStream) {
    let mut args = peer::words(&format!(
        "s_server -accept 127.0.0.1:0 -naccept 1 -rev {} -client_sigalgs {}",
        options(case),
        sigalgs(case.scheme)
    ));
    args.extend(identity(case));
    if case.client_auth {
        args.extend(peer::words("-Verify 1 -verify_return_error -CAfile"));
        args.push(PKI.ca_file.clone());
    }
    let mut peer = Peer::start(openssl, &args);
    let line = peer.hear("ACCEPT").await;
    let port: Option<u16> = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.expect("s_server tells its port");
    (peer, TcpStream::connect(("127.0.0.1", port)).await.unwrap())
}

/// Whether it has the hybrid group: from version 3.5 on, which is also the first to list groups.
pub(crate) fn has_hybrid(openssl: &Path) -> bool {
    let listed = std::process::Command::new(openssl).args(["list", "-tls-groups"]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout).contains(group(Group::X25519MlKem768))
}

/// What it must print when it is on `side` of a good handshake.
pub(crate) fn reports(case: Case, side: Side) -> Vec<String> {
    let version = if case.is_tls13() { "TLSv1.3" } else { "TLSv1.2" };
    let mut wanted = vec![format!("Protocol version: {version}\n")];
    if side == Side::Client || case.client_auth {
        wanted.extend(["Verification: OK\n".to_owned(), signature_type(case.scheme).to_owned()]);
    }
    if side == Side::Client {
        wanted.push(key_of(case.group).to_owned());
    }
    wanted
}

/// Version, signature scheme and groups. We offer one group only, or that one first.
fn options(case: Case) -> String {
    let version = if case.is_tls13() { "-tls1_3" } else { "-tls1_2" };
    let groups = case.groups().map(group).collect::<Vec<_>>().join(":");
    format!("{version} -sigalgs {} -groups {groups}", sigalgs(case.scheme))
}

fn identity(case: Case) -> [String; 4] {
    let identity = PKI.identity(case.kind);
    ["-cert".into(), identity.cert_file.clone(), "-key".into(), identity.key_file.clone()]
}

fn sigalgs(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Pss => "rsa_pss_rsae_sha256",
        Scheme::Pkcs1 => "RSA+SHA256",
        Scheme::P256 => "ecdsa_secp256r1_sha256",
        Scheme::P384 => "ecdsa_secp384r1_sha384",
        Scheme::Ed25519 => "ed25519",
    }
}

/// What it prints about a peer's signature.
fn signature_type(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Pss => "Signature type: RSA-PSS\n",
        Scheme::Pkcs1 => "Signature type: RSA\n",
        Scheme::P256 | Scheme::P384 => "Signature type: ECDSA\n",
        Scheme::Ed25519 => "Signature type: ed25519\n",
    }
}

fn group(group: Group) -> &'static str {
    match group {
        Group::X25519 => "X25519",
        Group::Secp256r1 => "P-256",
        Group::Secp384r1 => "P-384",
        Group::X25519MlKem768 => "X25519MLKEM768",
    }
}

/// What `s_client` prints about the server's key share.
fn key_of(group: Group) -> &'static str {
    match group {
        Group::X25519 => "Temp Key: X25519",
        Group::Secp256r1 => "Temp Key: ECDH, prime256v1",
        Group::Secp384r1 => "Temp Key: ECDH, secp384r1",
        Group::X25519MlKem768 => "X25519MLKEM768",
    }
}

//! GnuTLS' `gnutls-cli` and `gnutls-serv`.

use crate::case::{Case, Group, Scheme};
use crate::peer::{self, Peer, Pipes};
use crate::pki::PKI;
use crate::server::ClientProgram;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const GNUTLS_CLI: ClientProgram =
    ClientProgram { program: "gnutls-cli", args: gnutls_cli, reports: client_reports };

fn gnutls_cli(case: Case, with_certificate: bool, port: u16) -> Vec<String> {
    let mut args = peer::words(&format!(
        "--port {port} --sni-hostname localhost --verify-hostname localhost --alpn http/1.1 --priority {} \
         127.0.0.1",
        priority(case)
    ));
    args.extend(["--x509cafile".into(), PKI.ca_file.clone()]);
    if with_certificate {
        args.extend(identity(case));
    }
    args
}

fn client_reports(case: Case) -> Vec<String> {
    vec![description(case), "The certificate is trusted".to_owned(), "Handshake was completed".to_owned()]
}

/// What `gnutls-serv` must print.
pub(crate) fn server_reports(case: Case) -> Vec<String> {
    let mut wanted = vec![description(case)];
    wanted.extend(case.client_auth.then(|| "The certificate is trusted".to_owned()));
    wanted
}

/// `gnutls-serv` listens on every interface there is, so it gets a network of its own that has nothing but
/// loopback, and this script's standard input and output lead to it. Its own output goes to standard error,
/// and everything ends with the script.
const SERVE: &str = "
    ip link set lo up || exit
    stdbuf --output=L gnutls-serv --port 4433 \"$@\" </dev/null 1>&2 &
    server=$!
    until exec 3<>/dev/tcp/127.0.0.1/4433; do
        kill -0 $server || exit
        sleep 0.02
    done 2>/dev/null
    cat <&3 &
    cat >&3
    kill $server
    wait $server
    exit 0
";

/// The words before the script: namespaces for users, networks and processes, so that the server cannot
/// outlive it.
const ISOLATE: &str = "--map-root-user --net --pid --fork --kill-child";

/// Whether `gnutls-serv` can be started here.
pub(crate) fn can_isolate(unshare: &Path) -> bool {
    let mut command = Command::new(unshare);
    command.args(peer::words(ISOLATE)).args(["ip", "link", "set", "lo", "up"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts `gnutls-serv` for one connection, and connects to it. It sends every line back.
pub(crate) fn gnutls_serv(unshare: &Path, case: Case) -> (Peer, Pipes) {
    let mut args = peer::words(ISOLATE);
    args.extend(["bash", "-c", SERVE, "gnutls-serv"].map(str::to_owned));
    args.extend(peer::words(&format!("--echo --nodb --noticket --priority {}", priority(case))));
    args.extend(identity(case));
    if case.client_auth {
        args.extend(peer::words("--require-client-cert --verify-client-cert --x509cafile"));
        args.push(PKI.ca_file.clone());
    } else {
        args.push("--disable-client-cert".into());
    }
    let mut peer = Peer::start(unshare, &args);
    let pipes = peer.pipes();
    (peer, pipes)
}

/// Version, signature scheme and group. The second scheme is for what is not the handshake's signature: RSA
/// certificates are signed with PKCS#1 v1.5; before TLS 1.3 ECDSA's schemes have names without a curve, and a
/// server that takes Ed25519 certificates has to ask for those of ECDSA (RFC 8422 §5.5), which GnuTLS does
/// only where it knows a scheme for it.
fn priority(case: Case) -> String {
    let version = if case.is_tls13() { "1.3" } else { "1.2" };
    let (first, second) = match case.scheme {
        Scheme::Pss => ("RSA-PSS-RSAE-SHA256", "RSA-SHA256"),
        Scheme::Pkcs1 => ("RSA-SHA256", "RSA-SHA256"),
        Scheme::P256 => ("ECDSA-SECP256R1-SHA256", "ECDSA-SHA256"),
        Scheme::P384 => ("ECDSA-SECP384R1-SHA384", "ECDSA-SHA384"),
        Scheme::Ed25519 => ("EdDSA-Ed25519", "ECDSA-SHA256"),
    };
    let groups: String = case.groups().map(|g| format!(":+GROUP-{}", group(g))).collect();
    format!("NORMAL:-VERS-ALL:+VERS-TLS{version}:-GROUP-ALL{groups}:-SIGN-ALL:+SIGN-{first}:+SIGN-{second}")
}

fn identity(case: Case) -> [String; 4] {
    let identity = PKI.identity(case.kind);
    ["--x509certfile".into(), identity.cert_file.clone(), "--x509keyfile".into(), identity.key_file.clone()]
}

/// How it describes what was agreed: version, group and signature.
fn description(case: Case) -> String {
    let version = if case.is_tls13() { "1.3" } else { "1.2" };
    let signature = match (case.scheme, case.is_tls13()) {
        (Scheme::Pss, _) => "RSA-PSS-RSAE-SHA256",
        (Scheme::Pkcs1, _) => "RSA-SHA256",
        (Scheme::P256, true) => "ECDSA-SECP256R1-SHA256",
        (Scheme::P256, false) => "ECDSA-SHA256",
        (Scheme::P384, true) => "ECDSA-SECP384R1-SHA384",
        (Scheme::P384, false) => "ECDSA-SHA384",
        (Scheme::Ed25519, _) => "EdDSA-Ed25519",
    };
    format!("- Description: (TLS{version}-X.509)-(ECDHE-{})-({signature})-", group(case.group))
}

fn group(group: Group) -> &'static str {
    match group {
        Group::X25519 => "X25519",
        Group::Secp256r1 => "SECP256R1",
        Group::Secp384r1 => "SECP384R1",
        Group::X25519MlKem768 => "X25519-MLKEM768",
    }
}

//! The program as its users run it: what it prints, what it refuses, what it writes.

use rustls_multibuffer::{Tier, TierKind};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

fn handshake_bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_handshake-bench")).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the output is text")
}

fn lines(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).expect("every line is an object")).collect()
}

#[track_caller]
fn assert_positive(object: &Value, fields: &[&str]) {
    for field in fields {
        let number = object[*field].as_f64();
        assert!(number.is_some_and(|n| n > 0.0 && n.is_finite()), "{field} in {object}");
    }
}

#[track_caller]
fn assert_refused(args: &[&str], why: &str) {
    let output = handshake_bench(args);
    assert!(!output.status.success(), "{args:?} was accepted");
    assert!(text(&output.stderr).contains(why), "{args:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "", "{args:?}");
}

/// A short default run, with its JSON.
fn short_run(file: &str, extra: &[&str]) -> (Output, Vec<Value>) {
    run_with_slots("0.2", file, extra)
}

/// The same with slots of that many seconds.
fn run_with_slots(seconds: &str, file: &str, extra: &[&str]) -> (Output, Vec<Value>) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    let mut args = vec!["--duration", seconds, "--slots", "2", "--concurrency", "8"];
    args.extend(["--json", file.to_str().expect("the path is UTF-8")]);
    args.extend(extra);
    let output = handshake_bench(&args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    let json = std::fs::read_to_string(&file).unwrap();
    (output, lines(&json))
}

#[test]
fn a_run_reports_both_implementations_for_every_key() {
    let (output, json) = short_run("keys.json", &["--key", "rsa2048,p256"]);
    assert_eq!(text(&output.stderr), "", "no progress bar where there is no terminal");
    let heads =
        ["command ", "CPU ", "tier ", "versions ", "placement ", "handshakes/s", "server CPU µs", "p50 µs"];
    for wanted in heads {
        assert!(text(&output.stdout).contains(wanted), "{wanted:?} in {}", text(&output.stdout));
    }
    assert_eq!(json.len(), 8);
    for (scenario, key) in json.chunks(4).zip(["rsa2048", "p256"]) {
        for (line, provider) in scenario.iter().zip(["baseline", "multibuffer"]) {
            assert_eq!(line["provider"], provider);
            assert_positive(line, &["handshakes_per_s", "server_cpu_us", "p50_us", "p99_us", "handshakes"]);
            assert_eq!(line["failures"], 0);
        }
        assert_positive(&scenario[2], &["ratio_server_cpu", "ratio_handshakes", "ratio_p50"]);
        let names: Vec<_> = scenario.iter().map(|line| &line["scenario"]).collect();
        assert!(names.iter().all(|name| *name == &format!("{key}-tls1.3-x25519")), "{names:?}");
    }
    // Only the multibuffer has batches, and only where the machine has lanes.
    assert!(json[0]["mean_fill"].is_null());
    let fills = [&json[1]["mean_fill"], &json[1]["fills"]["rsa2048-sign"]];
    for fill in fills.map(Value::as_f64) {
        assert_eq!(fill.is_some_and(|fill| fill >= 1.0), Tier::detect() != Tier::Scalar, "{}", json[1]);
    }
}

#[test]
fn other_versions_groups_threads_and_delays_work() {
    let flags =
        ["--tls", "1.2", "--kx", "secp384r1", "--key", "rsa2048", "--threads", "2", "--poll-delay", "100us"];
    let (_, json) = short_run("tls12.json", &flags);
    assert_eq!(json[2]["scenario"], "rsa2048-tls1.2-secp384r1");
    assert_eq!((&json[1]["threads"], &json[1]["poll_delay_us"]), (&2.into(), &100.0.into()));
    let flags = ["--kx", "x25519mlkem768", "--key", "ed25519", "--tier", "scalar"];
    let (_, json) = short_run("hybrid.json", &flags);
    assert_eq!((&json[0]["tier"], &json[1]["tier"]), (&"none".into(), &"scalar".into()));
}

#[test]
fn identities_rotate_without_a_failure() {
    for (flags, name) in [
        (&["--key", "p256", "--rotate", "20", "--rotate-ca", "4"][..], "p256-tls1.3-x25519-rotate20ms"),
        (&["--key", "rsa2048", "--tls", "1.2", "--rotate", "100"], "rsa2048-tls1.2-x25519-rotate100ms"),
    ] {
        // A new CA is announced half a second before it is used.
        let (output, json) = run_with_slots("1.2", &format!("{name}.json"), flags);
        assert!(json.iter().all(|line| line["scenario"] == name), "{json:?}");
        assert_eq!((&json[0]["rotations"], &json[0]["ca_rotations"]), (&0.into(), &0.into()));
        assert_positive(&json[1], &["rotations"]);
        assert_eq!(json[1]["failures"], 0);
        assert_eq!(json[1]["ca_rotations"].as_u64() > Some(0), flags.contains(&"--rotate-ca"), "{}", json[1]);
        assert!(text(&output.stdout).contains("of them of the CA: 0 handshakes failed"));
    }
}

/// Lanes for RSA are lanes of every tier that has any.
fn has_lanes() -> bool {
    Tier::detect() != Tier::Scalar
}

#[test]
fn every_key_and_group_works() {
    let keys = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"];
    let (_, json) = short_run("every-key.json", &["--key", &keys.join(","), "--kx", "secp256r1"]);
    for (scenario, key) in json.chunks(4).zip(keys) {
        assert_eq!(scenario[0]["scenario"], format!("{key}-tls1.3-secp256r1"));
        for line in &scenario[..2] {
            assert_eq!(
                (&line["key"], &line["kx"], &line["tls"]),
                (&key.into(), &"secp256r1".into(), &"1.3".into())
            );
            assert_eq!((&line["client"], &line["intermediate"]), (&"stock".into(), &false.into()));
        }
    }
    assert_eq!(json.len(), 4 * keys.len());
    for kx in ["x25519", "secp384r1", "x25519mlkem768"] {
        let (_, json) = short_run(&format!("{kx}.json"), &["--key", "p256", "--kx", kx]);
        assert_eq!(json[1]["scenario"], format!("p256-tls1.3-{kx}"));
    }
}

#[test]
fn an_intermediate_authority_is_one_more_verification() {
    for (flags, name, verifications) in [
        (&["--key", "rsa2048"][..], "rsa2048-tls1.3-x25519", 2.0),
        (&["--key", "rsa2048", "--intermediate"], "rsa2048-tls1.3-x25519-intermediate", 3.0),
    ] {
        let (_, json) = short_run(&format!("{name}.json"), flags);
        assert!(json.iter().all(|line| line["scenario"] == name), "{json:?}");
        assert_eq!(json[1]["intermediate"], verifications == 3.0);
        let asked = &json[1]["ops_per_handshake"]["rsa2048-verify"];
        assert_eq!(asked.as_f64(), has_lanes().then_some(verifications), "{}", json[1]);
    }
}

#[test]
fn clients_can_be_of_this_crate() {
    let (output, json) = short_run("client.json", &["--key", "rsa2048", "--client", "multibuffer"]);
    for line in &json[..2] {
        assert_eq!(line["scenario"], "rsa2048-tls1.3-x25519-multibuffer-client");
        assert_eq!(line["client"], "multibuffer");
        for op in ["rsa2048-sign", "rsa2048-verify"] {
            let fill = line["client_fills"][op].as_f64();
            assert_eq!(fill.is_some_and(|fill| fill >= 1.0), has_lanes(), "{line}");
        }
    }
    assert_eq!(text(&output.stdout).contains("in a batch of the clients"), has_lanes());
    let (_, json) = short_run("stock-client.json", &["--key", "rsa2048", "--client", "stock"]);
    assert!(json[..2].iter().all(|line| line["client_fills"] == serde_json::json!({})), "{json:?}");
}

#[test]
fn clients_can_have_many_identities() {
    let (_, json) = short_run("identities.json", &["--key", "p256", "--identities", "5"]);
    for line in &json[..2] {
        assert_eq!(line["scenario"], "p256-tls1.3-x25519-5-identities");
        assert_eq!(line["identities"], 5);
    }
}

#[test]
fn the_help_names_every_choice() {
    let output = handshake_bench(&["--help"]);
    let help = text(&output.stdout);
    for wanted in [
        "--key",
        "rsa2048",
        "rsa3072",
        "rsa4096",
        "p256",
        "p384",
        "ed25519",
        "--kx",
        "x25519",
        "secp256r1",
        "secp384r1",
        "x25519mlkem768",
        "--client",
        "stock",
        "multibuffer",
        "--intermediate",
        "--identities",
    ] {
        assert!(help.contains(wanted), "{wanted:?} in {help}");
    }
}

#[test]
fn ops_writes_json_to_standard_output_and_nothing_else() {
    let names = ["rsa2048-sign", "rsa2048-sign-pkcs1", "rsa2048-verify", "rsa2048-verify-new-key"];
    let ops = names.iter().flat_map(|name| ["--op", name]);
    let output =
        handshake_bench(&["ops", "--pairs", "3", "--json"].into_iter().chain(ops).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = lines(text(&output.stdout));
    for row in &rows {
        assert_positive(row, &["fill", "lanes", "ops_per_s", "baseline_ops_per_s", "ratio"]);
    }
    for kind in TierKind::DETECTABLE.iter().copied() {
        let of_tier = |baseline: &str| {
            let fits = |row: &&Value| row["tier"] == kind.name() && row["baseline"] == baseline;
            rows.iter().filter(fits).count()
        };
        let runs = Tier::of_kind(kind).is_some();
        assert_eq!(of_tier("aws-lc-rs") >= names.len(), runs, "{kind}");
        assert_eq!(of_tier("aws-lc-rs"), of_tier("ring"), "{kind}");
        assert_eq!(text(&output.stderr).contains(&format!("tier {kind}: not run")), !runs);
    }
}

/// Keys that are seen often have tables in lanes only: elsewhere that operation is another name for
/// verification.
#[test]
fn the_scalar_tier_has_every_operation_but_known_keys() {
    let output = handshake_bench(&["ops", "--pairs", "1", "--json", "--tier", "scalar"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = lines(text(&output.stdout));
    let has = |name: &str| rows.iter().any(|row| row["op"] == name);
    assert!(has("rsa4096-sign") && has("p256-verify") && has("ed25519-verify"));
    assert!(!has("p256-verify-known-key") && !has("p384-verify-known-key"));
}

#[test]
fn a_soak_leaves_nothing_behind() {
    let output = handshake_bench(&["soak", "--key", "p256", "--handshakes", "6000", "--concurrency", "256"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(report.contains("6000 handshakes in"), "{report}");
    assert!(report.contains("left: 0 fibers, 0 stacks in use, 0 handshakes"), "{report}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    assert_refused(&["--kx", "x25519mlkem768", "--tls", "1.2"], "TLS 1.3 only");
    assert_refused(&["--threads", "2", "--concurrency", "1"], "at least one client");
    assert_refused(&["--json", "/nonexistent/folder/file"], "/nonexistent/folder/file");
    assert_refused(&["ops", "--op", "rsa2048"], "known are rsa2048-sign");
    assert_refused(&["ops", "--tier", "avx9"], "unknown tier");
    for kind in TierKind::DETECTABLE.iter().copied().filter(|kind| Tier::of_kind(*kind).is_none()) {
        assert_refused(&["ops", "--tier", kind.name()], "not run");
        assert_refused(&["--tier", kind.name()], "not run");
    }
}

/// Loads, and the two halves.
#[path = "handshake_bench/loads.rs"]
mod loads;

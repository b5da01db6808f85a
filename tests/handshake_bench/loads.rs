//! Loads: the default's and others, open and closed; resumption; the two halves as programs of their own.

use super::{
    Value, assert_positive, assert_refused, handshake_bench, has_lanes, lines, run_with_slots, short_run,
    text,
};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An empty directory.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&path));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// Ends with the test, whatever that does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs with `--json`, and returns what was printed and the lines.
fn with_json(name: &str, flags: &[&str]) -> (String, Vec<Value>) {
    let file = directory(name).join("rows.jsonl");
    let output = handshake_bench(&[flags, &["--json", utf8(&file)]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout).to_owned(), lines(&std::fs::read_to_string(file).unwrap()))
}

#[test]
fn the_default_loads_are_parts_of_what_stock_rustls_can_make() {
    let (printed, json) = with_json("default", &["--key", "p256", "--slots", "1", "--duration", "0.3"]);
    // Two implementations and their ratio at each load, and the scenario.
    assert_eq!(json.len(), 6 * 3 + 1);
    let scenario = json.last().unwrap();
    assert_positive(scenario, &["capacity_per_s", "capacity_busy"]);
    let capacity = scenario["capacity_per_s"].as_f64().unwrap();
    for (lines, percent) in json.chunks(3).zip([5.0, 25.0, 50.0, 75.0, 90.0]) {
        assert_positive(&lines[2], &["ratio_server_cpu", "ratio_p50"]);
        for line in lines {
            assert_eq!(
                (&line["level"], line["percent_of_capacity"].as_f64()),
                (&format!("{percent} %").into(), Some(percent))
            );
            let offered = line["offered_per_s"].as_f64().unwrap();
            assert!((offered / (capacity * percent / 100.0) - 1.0).abs() < 1e-9, "{line}");
        }
        for line in &lines[..2] {
            assert_positive(line, &["server_cpu_us", "p50_us", "p99_us"]);
            assert_eq!((&line["load"], &line["failures"]), (&"open".into(), &0.into()));
        }
    }
    for line in &json[15..17] {
        assert_eq!((&line["level"], &line["load"]), (&"saturated".into(), &"closed".into()));
        assert_eq!((&line["concurrency"], &line["offered_per_s"]), (&64.into(), &Value::Null));
    }
    // Both sides make thousands of batches: the engine has measured them, and says what it has found.
    let found = scenario["break_even"].as_array().unwrap();
    let signs = found.iter().find(|found| found["op"] == "p256-sign");
    assert_eq!(signs.is_some(), has_lanes(), "{scenario}");
    if let Some(signs) = signs {
        assert_positive(signs, &["scalar_us", "capacity"]);
        let capacity = signs["capacity"].as_u64().unwrap() as usize;
        assert_eq!(signs["lanes_us"].as_array().unwrap().len(), capacity);
        assert!(signs["in_lanes"].as_array().unwrap().len() <= capacity);
    }
    assert_eq!(printed.contains("measured, p256-sign: batches of "), has_lanes(), "{printed}");
    for wanted in ["stock rustls can make ", "placement ", "5 %", "90 %", "saturated", "rate reached"] {
        assert!(printed.contains(wanted), "{wanted:?} in {printed}");
    }
}

#[test]
fn servers_give_way_to_clients_only_where_that_is_asked_for() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    for (flag, placement) in [(None, if cpus > 1 { "apart" } else { "shared" }), (Some("--nice"), "nice")] {
        let flags = ["--key", "p256", "--concurrency", "4", "--slots", "1", "--duration", "0.1"];
        let (printed, json) = with_json(placement, &flags.into_iter().chain(flag).collect::<Vec<_>>());
        assert!(printed.contains(&format!("placement {placement}: ")), "{printed}");
        assert_eq!(json[0]["placement"], placement);
    }
}

#[test]
fn a_rate_that_is_too_high_is_not_reached() {
    let flags = ["--key", "p256", "--rate", "4,60000", "--slots", "1", "--max-in-flight", "128"];
    let (printed, json) = with_json("rates", &flags);
    assert_eq!(json.len(), 7);
    for (lines, rate) in json.chunks(3).zip([4.0, 60_000.0]) {
        for line in &lines[..2] {
            assert_positive(
                line,
                &["handshakes_per_s", "server_cpu_us", "p50_us", "p90_us", "p999_us", "max_us"],
            );
            assert_eq!((&line["load"], line["offered_per_s"].as_f64()), (&"open".into(), Some(rate)));
            assert_eq!((&line["failures"], &line["concurrency"]), (&0.into(), &128.into()));
            // Nothing makes 60,000 handshakes a second on a thread; those left over are told, and have
            // waited. A machine that is busy with something else may not make the low rate either.
            let unstarted = line["unstarted"].as_u64().unwrap();
            assert!(line["reached"] == false || (unstarted == 0 && rate < 1e4), "{line}");
            assert!(unstarted > 0 || rate < 1e4, "{line}");
        }
        assert_eq!(lines[2]["offered_per_s"].as_f64(), Some(rate));
    }
    // A slot with few arrivals is longer.
    assert_eq!([&json[0], &json[3]].map(|line| line["slot_s"].as_f64().unwrap()), [5.0, 1.0]);
    // Both implementations were offered the same: the same arrivals and no others.
    let due = |line: &Value| ["handshakes", "unstarted"].map(|field| line[field].as_u64().unwrap());
    assert_eq!(due(&json[0]).iter().sum::<u64>(), due(&json[1]).iter().sum::<u64>());
    assert!(printed.contains("60000/s") && printed.contains(" NO, overloaded "), "{printed}");
}

#[test]
fn every_number_of_clients_is_measured() {
    let flags = ["--key", "p256,rsa2048", "--concurrency", "1,16", "--slots", "2", "--duration", "0.2"];
    let (_, json) = with_json("clients", &flags);
    assert_eq!(json.len(), 2 * (2 * 3 + 1));
    for (scenario, key) in json.chunks(7).zip(["p256", "rsa2048"]) {
        assert!(scenario[6]["capacity_per_s"].is_null(), "nothing asks for it");
        for (lines, clients) in scenario.chunks(3).zip([1, 16]) {
            for (line, provider) in lines.iter().zip(["baseline", "multibuffer"]) {
                assert_eq!((&line["key"], &line["provider"]), (&key.into(), &provider.into()));
                assert_eq!((&line["concurrency"], &line["load"]), (&clients.into(), &"closed".into()));
                assert!(line["reached"].is_null());
            }
            let reasons = lines[1]["flush_reasons"].as_object().unwrap();
            let batches: u64 = reasons.values().filter_map(|n| n.as_u64()).sum();
            assert_eq!(batches > 0, has_lanes());
            if has_lanes() && clients == 1 {
                assert_eq!(lines[1]["mean_fill"], 1.0, "nobody was there to share a batch with");
            }
        }
    }
}

#[test]
fn sessions_resume_in_both_versions() {
    for tls in ["1.3", "1.2"] {
        let flags = ["--key", "rsa2048", "--tls", tls, "--resume"];
        let (_, json) = run_with_slots("0.4", &format!("resume-{tls}.json"), &flags);
        for line in &json[..2] {
            assert_eq!(line["scenario"], format!("rsa2048-tls{tls}-x25519-resume"));
            let [resumed, all] = ["resumed", "handshakes"].map(|field| line[field].as_f64().unwrap());
            // But for the first handshakes of a slot, of each of eight clients.
            assert!(resumed > 0.0 && all - resumed <= 2.0 * 8.0, "{line}");
        }
        let all = json[1]["handshakes"].as_f64().unwrap();
        let signed = json[1]["ops_per_handshake"]["rsa2048-sign"].as_f64().unwrap_or(0.0) * all;
        assert!(signed <= 2.0 * 8.0 + 0.5, "{}", json[1]);
    }
    let (_, json) = short_run("no-resume.json", &["--key", "p256"]);
    assert!(json[..2].iter().all(|line| line["resumed"] == 0), "{json:?}");
}

#[test]
fn without_client_certificates_there_is_nothing_to_verify() {
    let (_, json) = short_run("server-only.json", &["--key", "rsa2048", "--server-only-auth"]);
    assert_eq!(json[1]["scenario"], "rsa2048-tls1.3-x25519-server-only-auth");
    let asked = &json[1]["ops_per_handshake"];
    assert_eq!(asked["rsa2048-sign"].as_f64(), has_lanes().then_some(1.0), "{asked}");
    assert!(asked["rsa2048-verify"].is_null(), "{asked}");
}

/// Starts `serve`, and returns it with the address that it says it listens at.
fn serve(identities: &Path, listen: &str, more: &[&str]) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handshake-bench"));
    command.args(["serve", "--identities-from", utf8(identities), "--listen", listen]).args(more);
    let mut child = Running(command.stdout(Stdio::piped()).spawn().expect("the program starts"));
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("listening ") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the server ended without listening");
    }
    child.0.stdout = Some(output.into_inner());
    (child, line["listening ".len()..].trim().to_owned())
}

/// Interrupts the server, and returns what it says.
fn stop(mut server: Running) -> String {
    let pid = server.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut report = String::new();
    server.0.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(server.0.wait().unwrap().success());
    report
}

#[test]
fn the_halves_meet_over_tcp_and_unix_sockets() {
    let identities = directory("identities");
    let socket = identities.join("socket");
    let unix = format!("unix:{}", utf8(&socket));
    for (listen, server, client, threads) in
        [("127.0.0.1:0", "multibuffer", "stock", "2"), (unix.as_str(), "stock", "multibuffer", "1")]
    {
        let more = ["--server", server, "--threads", threads, "--key", "p256", "--duration", "600"];
        let (running, address) = serve(&identities, listen, &more);
        let file = identities.join(format!("{server}.json"));
        let connect =
            ["connect", "--to", &address, "--identities-from", utf8(&identities), "--client", client];
        let load = ["--concurrency", "8", "--handshakes", "200", "--duration", "600", "--json", utf8(&file)];
        let output = handshake_bench(&[&connect[..], &load].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let result = &lines(&std::fs::read_to_string(file).unwrap())[0];
        assert_eq!((&result["handshakes"], &result["to"]), (&200.into(), &address.as_str().into()));
        let rate = ["--rate", "100", "--duration", "0.3"];
        let output = handshake_bench(&[&connect[..], &rate].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report = stop(running);
        let handshakes: usize = report.split(' ').next().unwrap().parse().unwrap();
        assert!(
            handshakes > 200 && report.contains("0 refused") && report.contains("server CPU"),
            "{report}"
        );
        assert_eq!(report.contains("in a batch"), server == "multibuffer" && has_lanes(), "{report}");
    }
    assert!(!socket.exists(), "the socket was left behind");
}

/// A server that knows nothing of this program, and a client that does not either.
#[test]
fn each_half_works_with_openssl() {
    let identities = directory("openssl");
    let output = handshake_bench(&["identities", utf8(&identities), "--key", "rsa2048", "--intermediate"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = |name: &str| utf8(&identities.join(name)).to_owned();
    let [ca, server, server_key, client, client_key] =
        ["ca.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"].map(file);

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args([
        "s_server",
        "-accept",
        &port,
        "-cert",
        &server,
        "-cert_chain",
        &server,
        "-key",
        &server_key,
    ]);
    openssl.args(["-CAfile", &ca, "-Verify", "3", "-verify_return_error", "-www", "-quiet"]);
    let _peer =
        Running(openssl.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("openssl is installed"));
    let end = Instant::now() + Duration::from_secs(120);
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(Instant::now() < end, "openssl does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let to = format!("localhost:{port}");
    let to = to.replace("localhost", "127.0.0.1");
    let connect = ["connect", "--to", &to, "--identities-from", utf8(&identities), "--concurrency", "2"];
    let request = ["--handshakes", "20", "--duration", "600", "--send", r"GET / HTTP/1.0\r\n\r\n"];
    for tls in ["1.3", "1.2"] {
        for client in ["stock", "multibuffer"] {
            let output =
                handshake_bench(&[&connect[..], &request, &["--tls", tls, "--client", client]].concat());
            assert!(output.status.success(), "{tls} {client}: {}", text(&output.stderr));
            assert!(text(&output.stdout).contains("\n20 "), "{}", text(&output.stdout));
        }
    }
    // A handshake that openssl refuses does not count.
    let output = handshake_bench(&[&connect[..], &["--handshakes", "2", "--server-only-auth"]].concat());
    assert!(text(&output.stderr).contains("no handshake succeeded"), "{}", text(&output.stderr));

    let (running, address) = serve(&identities, "127.0.0.1:0", &["--duration", "600"]);
    let mut openssl = Command::new("openssl");
    openssl.args([
        "s_client",
        "-connect",
        &address,
        "-cert",
        &client,
        "-cert_chain",
        &client,
        "-key",
        &client_key,
    ]);
    openssl.args(["-CAfile", &ca, "-verify_return_error", "-quiet", "-servername", "server.bench.example"]);
    let mut peer =
        Running(openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut stdin = peer.0.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"all of this\n").unwrap();
    let mut answer = String::new();
    BufReader::new(peer.0.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    assert_eq!(answer, "all of this\n");
    drop((stdin, peer));
    let report = stop(running);
    assert!(report.starts_with("1 handshakes (0 of them resumed, 1 with a byte sent back)"), "{report}");
}

#[test]
fn loads_that_make_no_sense_are_refused() {
    let none = directory("no-identities");
    let nowhere = ["connect", "--to", "127.0.0.1:1", "--identities-from"];
    assert_refused(&[&nowhere[..], &[utf8(&none)]].concat(), "ca.pem");
    assert_refused(&["--concurrency", "4,1", "--threads", "2"], "at least one client");
    assert_refused(&["--rate", "0"], "between 0.01 and");
    assert_refused(&["--load", "most"], "neither a percentage nor `saturated`");
    assert_refused(&["serve", "--identities-from", utf8(&none), "--listen", "unix:"], "needs a path");
    assert_refused(
        &["serve", "--identities-from", utf8(&none), "--rotate", "50"],
        "not for identities from files",
    );
    assert!(std::fs::read_dir(none).unwrap().next().is_none(), "a refused command wrote something");
}

/// The page has everything in itself, and says what the run was.
#[test]
fn a_report_is_one_page_and_its_json() {
    for (name, args, plots, lines_wanted) in [
        (
            "report-keys",
            &["--key", "rsa2048,p256", "--concurrency", "8", "--duration", "0.1", "--slots", "2"][..],
            4,
            8,
        ),
        (
            "report-loads",
            &["--key", "p256", "--load", "50,saturated", "--rate", "60", "--duration", "0.2", "--slots", "1"],
            4,
            10,
        ),
        (
            "report-ops",
            &["ops", "--op", "x25519", "--op", "p256-sign", "--tier", "scalar", "--pairs", "1"],
            2,
            4,
        ),
    ] {
        let directory = directory(name);
        let output = handshake_bench(&[args, &["--report", utf8(&directory)]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let html = std::fs::read_to_string(directory.join("index.html")).unwrap();
        assert!(html.matches("<svg ").count() >= plots, "{name}: {} plots", html.matches("<svg ").count());
        for wanted in ["<dt>Command</dt>", "<dt>Date</dt>", "<dt>Tier</dt>", "<dt>Versions</dt>", "<table>"] {
            assert!(html.contains(wanted), "{name} lacks {wanted}");
        }
        // Nothing is fetched, and nothing runs.
        for foreign in ["http-equiv", "<script", "<link", "src=", "@import", "url("] {
            assert!(!html.contains(foreign), "{name} has {foreign}");
        }
        let json = lines(&std::fs::read_to_string(directory.join("results.jsonl")).unwrap());
        assert_eq!(json.len(), lines_wanted, "{name}");
    }
    assert_refused(&["--report", "/proc/nowhere"], "/proc/nowhere");
}

//! The admin endpoint, the command line, and what they tell.

use crate::pki::{Authority, write_identity};
use crate::process::Home;
use crate::support::{echo_application, expect_echo, inbound, inbound_home, run};
use rustls_multibuffer::Tier;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn reports_and_commands() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let sidecar = &inbound.sidecar;
        expect_echo(&mut inbound.connect().await, "hello").await;
        assert_eq!(sidecar.http("GET", "/ready"), (200, "LIVE\n".into()));

        let config = sidecar.json("/config_dump");
        assert_eq!(config["listeners"][0]["name"], "in");
        let key = inbound.client.key_pem.lines().nth(1).unwrap();
        assert!(!config.to_string().contains("PRIVATE KEY") && !config.to_string().contains(key));
        let certs = sidecar.json("/certs");
        assert_eq!(certs["default"]["spiffe_id"], "spiffe://mesh.example/server");
        assert_eq!((&certs["default"]["good"], &certs["default"]["generation"]), (&true.into(), &1.into()));
        assert_eq!(sidecar.json("/server_info")["state"], "LIVE");

        let tier = format!("tier=\"{}\"", Tier::detect().kind());
        assert_eq!(sidecar.metric("mtls_sidecar_tier_info", &[&tier]), 1.0);
        assert_eq!(sidecar.metric("spiffe_generation", &["default"]), 1.0);
        assert!(sidecar.metric("spiffe_svid_not_after_seconds", &[]) > 1e9);
        let paths = ["lanes", "scalar"].map(|path| sidecar.metric("mtls_sidecar_operations_total", &[path]));
        assert!(paths.iter().sum::<f64>() >= 3.0, "{paths:?}");
        let batches = sidecar.metric("mtls_sidecar_batches_total", &[]);
        let fills = sidecar.metric("mtls_sidecar_batch_fills_total", &[]);
        assert!(batches >= 3.0 && batches == fills, "{batches} {fills}");
        if Tier::detect() != Tier::Scalar {
            assert_eq!(sidecar.http("POST", "/logging?level=debug").0, 200);
            // More than each of any number of workers needs.
            for _ in 0..100 {
                expect_echo(&mut inbound.connect().await, "hello").await;
            }
            assert!(sidecar.metric("mtls_sidecar_threads_measured", &["op=\"p256-sign\""]) >= 1.0);
            let text = sidecar.http("GET", "/stats/prometheus").1;
            let start = "mtls_sidecar_threads_in_lanes{op=\"p256-sign\",fill=\"";
            let fills: Vec<_> = text.lines().filter(|line| line.starts_with(start)).collect();
            assert_eq!(fills.len(), Tier::detect().kind().lanes(), "{fills:?}");
            sidecar.until_logged(|line| {
                line["message"].as_str().is_some_and(|text| text.starts_with("p256-sign: batches of "))
            });
            assert_eq!(sidecar.http("POST", "/logging?level=info").0, 200);
        }

        assert_eq!(sidecar.http("POST", "/healthcheck/fail").0, 200);
        assert_eq!(sidecar.http("GET", "/ready"), (503, "FAILED\n".into()));
        assert_eq!(sidecar.http("POST", "/healthcheck/ok").0, 200);
        assert_eq!(sidecar.http("GET", "/ready").0, 200);

        for (method, path, status) in [
            ("GET", "/nowhere", 404),
            ("GET", "/quitquitquit", 405),
            ("POST", "/ready", 405),
            ("POST", "/logging?level=loud", 400),
            ("POST", "/logging", 400),
        ] {
            assert_eq!(sidecar.http(method, path).0, status, "{method} {path}");
        }
        assert_eq!(sidecar.http("POST", "/quitquitquit").0, 200);
        assert!(sidecar.wait().success());
    });
}

#[test]
fn no_web_page_gets_an_answer_over_tcp_and_changes_want_the_token() {
    run(async {
        let (_authority, home) = inbound_home(echo_application().await, "", "");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (file, token) = (home.dir.join("config.yaml"), home.dir.join("token"));
        let socket = format!("'unix:{}'", home.dir.join("admin.sock").display());
        let tcp = format!("'127.0.0.1:{port}', token_file: {}", token.display());
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace(&socket, &tcp)).unwrap();
        std::fs::write(&token, "open-sesame\n").unwrap();
        let sidecar = home.launch(&[]);
        let ask = |request: &str, headers: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
            stream.write_all(format!("{request} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer.split(' ').nth(1)?.parse::<u16>().ok()
        };
        sidecar.until("it is ready", || ask("GET /ready", "Host: localhost\r\n") == Some(200));
        let from_page = format!("Host: rebind.example:{port}\r\nOrigin: http://rebind.example:{port}\r\n");
        for request in ["POST /quitquitquit", "GET /config_dump", "GET /stats/prometheus"] {
            assert_eq!(ask(request, &from_page), Some(403), "{request}");
        }
        let to_loopback =
            "Host: 127.0.0.1\r\nOrigin: http://evil.example\r\nAuthorization: Bearer open-sesame\r\n";
        assert_eq!(ask("POST /quitquitquit", to_loopback), Some(403));
        assert_eq!(ask("POST /quitquitquit", "Host: 127.0.0.1\r\n"), Some(401));
        assert!(sidecar.is_running());
        // As kubelet, Prometheus and curl ask.
        assert_eq!(ask("GET /ready", "Host:\r\n"), Some(200));
        assert_eq!(ask("GET /stats/prometheus", &format!("Host: 127.0.0.1:{port}\r\n")), Some(200));
        let quit = "Host: localhost\r\nAuthorization: Bearer open-sesame\r\n";
        assert_eq!(ask("POST /quitquitquit", quit), Some(200));
        assert!(sidecar.wait().success());
    });
}

#[test]
fn a_connection_is_for_one_request() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let socket = inbound.sidecar.home.dir.join("admin.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
        // The second may come too late to be written, or its rest be answered with a reset.
        for _ in 0..2 {
            let _ = stream.write_all(b"GET /ready HTTP/1.1\r\nHost: admin\r\n\r\n");
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.ends_with("LIVE\n") && answer.matches("HTTP/1.1 200").count() == 1, "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    });
}

#[test]
fn the_level_of_the_log_changes_at_run_time() {
    run(async {
        let inbound = inbound(echo_application().await, "", "log: {level: warn}");
        let sidecar = &inbound.sidecar;
        expect_echo(&mut inbound.connect().await, "not logged").await;
        sidecar.until_metric("mtls_sidecar_connections_ended_total", &[], 1.0);
        assert_eq!(sidecar.http("POST", "/logging?level=info").0, 200);
        expect_echo(&mut inbound.connect().await, "logged").await;
        let line = sidecar.until_logged(|line| line["message"] == *"connection");
        assert_eq!(line["received_bytes"], 6, "the second connection: {line}");
    });
}

#[test]
fn without_acceleration_everything_works_and_says_why() {
    run(async {
        for (setting, reason) in [
            ("enabled: false", "above the configured max_tier"),
            ("max_tier: scalar", "above the configured max_tier"),
        ] {
            let inbound = inbound(echo_application().await, "", &format!("tls_acceleration: {{{setting}}}"));
            expect_echo(&mut inbound.connect().await, "hello").await;
            let sidecar = &inbound.sidecar;
            assert_eq!(sidecar.metric("mtls_sidecar_tier_info", &["scalar"]), 1.0);
            assert_eq!(sidecar.metric("mtls_sidecar_tier_passed_over_info", &[reason]), 3.0);
            assert_eq!(sidecar.metric("mtls_sidecar_operations_total", &["lanes"]), 0.0);
            let line = sidecar.until_logged(|line| {
                line["message"].as_str().is_some_and(|text| text.starts_with("batches run on tier scalar"))
            });
            assert!(line["message"].as_str().unwrap().contains(reason), "{line}");
            let (field, value) = setting.split_once(": ").unwrap();
            sidecar.until_logged(|line| {
                let why = format!("operations are not accelerated: tls_acceleration.{field} is ");
                line["message"].as_str().is_some_and(|text| text.starts_with(&why) && text.contains(value))
            });
        }
    });
}

#[test]
fn signatures_of_keys_without_lanes_are_counted() {
    run(async {
        // The sidecar's own key is on P-521, for which there are no lanes on any tier.
        let (authority, home) = inbound_home(echo_application().await, "", "");
        let server = authority.issue_with("server", &rcgen::PKCS_ECDSA_P521_SHA512);
        write_identity(&home.dir, &server, &authority);
        let sidecar = home.start();
        let client = authority.client(Some(&authority.issue("client")));
        for n in 1..=3u32 {
            let mut stream = crate::pki::connect(&client, "server", sidecar.address("in")).await.unwrap();
            expect_echo(&mut stream, "signed by aws-lc-rs").await;
            let name = "mtls_sidecar_unaccelerated_signatures_total";
            assert_eq!(sidecar.metric(name, &[]), f64::from(n));
        }
        sidecar
            .until_logged(|line| line["message"].as_str().is_some_and(|m| m.contains("not accelerated: ")));
        assert_eq!(sidecar.metric("mtls_sidecar_unaccelerated_signatures_total", &[]), 3.0);
    });
}

#[test]
fn every_field_is_explained() {
    let home = Home::new();
    home.configure(
        "listeners: [{name: l, direction: inbound, address: '127.0.0.1:1', target: \
        '127.0.0.1:2', identity: default, peers: {any: true}}]",
    );
    let explain = |how: &str| {
        let config = home.dir.join("config.yaml");
        let defaults = "concurrency: 7\nprivateKeyProvider: {cryptomb: {fallback: true}}";
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-sidecar"));
        command.arg(how).arg("--config").arg(config).env("PROXY_CONFIG", defaults);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = explain("--explain");
    assert!(text.contains("concurrency = 7\n    from meshConfig.defaultConfig"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&explain("--explain=json")).unwrap();
    let fields = json["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["field"] == name).unwrap();
    assert_eq!(field("listeners[0].target")["origin"]["file"]["path"], "listeners[0].target");
    assert_eq!(field("tls_acceleration.enabled")["origin"]["object"]["kind"], "meshConfig.defaultConfig");
}

#[test]
fn a_listener_waits_for_its_identity() {
    run(async {
        let authority = Authority::new();
        let home = Home::new();
        let target = echo_application().await;
        home.configure(&format!(
            "listeners:
- {{name: in, direction: inbound, address: '127.0.0.1:0', target: '{target}', identity: default, peers: \
             {{any: true}}}}"
        ));
        let sidecar = home.launch(&[]);
        sidecar.until("it answers", || sidecar.try_http("GET", "/ready").is_some());
        assert_eq!(sidecar.http("GET", "/ready"), (503, "INITIALIZING\n".into()));
        let client = authority.client(Some(&authority.issue("client")));
        let address = sidecar.address("in");
        let waiting = tokio::spawn(async move { crate::pki::connect(&client, "server", address).await });
        write_identity(&sidecar.home.dir, &authority.issue("server"), &authority);
        sidecar.wait_until_ready();
        expect_echo(&mut waiting.await.unwrap().unwrap(), "it was worth the wait").await;
    });
}

#[test]
fn without_an_identity_that_peers_accept_it_is_not_ready() {
    run(async {
        let authority = Authority::new();
        let home = Home::new();
        let soon = time::OffsetDateTime::now_utc() + Duration::from_secs(15);
        let server = authority.issue_until("server", &rcgen::PKCS_ECDSA_P256_SHA256, soon);
        write_identity(&home.dir, &server, &authority);
        home.configure(
            "listeners:
- {name: in, direction: inbound, address: '127.0.0.1:0', target: '127.0.0.1:9', identity: default, peers: \
             {any: true}}",
        );
        let sidecar = home.start();
        let ready = || sidecar.http("GET", "/ready");
        sidecar.until("the SVID has expired", || ready().0 == 503);
        let (_, why) = ready();
        assert!(why.starts_with("identity default: ") && why.contains("expired"), "{why}");
        write_identity(&sidecar.home.dir, &authority.issue("server"), &authority);
        sidecar.until("there is another", || ready() == (200, "LIVE\n".into()));
    });
}

#[test]
fn metrics_follow_prometheus_and_every_reason_is_documented() {
    run(async {
        let inbound = inbound(echo_application().await, "", "");
        let text = inbound.sidecar.http("GET", "/stats/prometheus").1;
        let names = |keyword: &str| -> BTreeSet<String> {
            let declared = text.lines().filter_map(|line| line.strip_prefix(keyword));
            declared.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names("# HELP "), names("# TYPE "));
        for name in ["spiffe_generation", "mtls_sidecar_build_info", "process_start_time_seconds"] {
            assert!(names("# TYPE ").contains(name), "{name}");
        }
        for counter in [
            "mtls_sidecar_accept_errors_total{listener=\"in\",reason=\"memory\"} 0",
            "mtls_sidecar_hot_restart_failures_total 0",
            "mtls_sidecar_log_lines_dropped_total 0",
            "mtls_sidecar_batch_wait_seconds_total{op=\"ed25519-verify\"} 0.000000",
            "spiffe_withdrawals_total{identity=\"default\",reason=\"denied\"} 0",
        ] {
            assert!(text.lines().any(|line| line == counter), "{counter} is not in\n{text}");
        }
        assert_eq!(reasons_of(&text), documented_reasons());
        check_with_promtool(&text);
    });
}

/// The values of the label `reason` of each metric that has one, but for the reasons in words.
fn reasons_of(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut reasons = BTreeMap::<_, BTreeSet<_>>::new();
    for line in text.lines().filter(|line| !line.starts_with("mtls_sidecar_tier_")) {
        if let Some((name, labels)) = line.split_once('{')
            && let Some((_, rest)) = labels.split_once("reason=\"")
        {
            let name = name.trim_start_matches("mtls_sidecar_").trim_start_matches("spiffe_");
            let reason = rest.split('"').next().unwrap();
            reasons.entry(name.to_owned()).or_default().insert(reason.to_owned());
        }
    }
    reasons
}

/// The same, as the documentation has it.
fn documented_reasons() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sidecar.md")).unwrap();
    let (_, table) = text.split_once("### Reasons").unwrap();
    let words =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut reasons = BTreeMap::<_, BTreeSet<_>>::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        for name in words(cells[2]) {
            reasons.entry(name).or_default().extend(words(cells[1]));
        }
    }
    reasons
}

fn check_with_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "promtool is not installed");
        return println!("promtool is not installed: not run");
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_configuration_is_checked() {
    let home = Home::new();
    home.configure(
        "listeners:
- {name: l, direction: inbound, address: '127.0.0.1:1', target: '127.0.0.1:2', identity: default, peers: \
         {any: true}}",
    );
    let file = home.dir.join("config.yaml");
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_mtls-sidecar"))
            .args(["--validate", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (is_good, text) = check();
    assert!(is_good && text.contains("good"), "{text}");
    let bad = std::fs::read_to_string(&file).unwrap().replace("direction: inbound", "direction: upwards");
    std::fs::write(&file, bad).unwrap();
    let (is_good, text) = check();
    assert!(!is_good && text.contains("listeners[0].direction") && text.contains("config.yaml"), "{text}");
}

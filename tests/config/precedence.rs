//! Which object counts: the tables of Istio and of ASM, ties, broken annotations, and what is explained.

use rustls_multibuffer::config::istio::{Objects, Pod, Precedence, Resolved, Resolver};
use rustls_multibuffer::config::{Document, Mode};
use serde_json::json;

fn objects(parts: &[String]) -> Objects {
    let documents = Document::parse_all("objects.yaml", &parts.join("\n---\n")).unwrap();
    Objects::read(&documents, Mode::Strict).unwrap_or_else(|e| panic!("{e}")).value
}

fn mesh(concurrency: u32) -> String {
    format!("meshConfig: {{defaultConfig: {{concurrency: {concurrency}}}}}")
}

/// An object of either kind. `age`: `creationTimestamp`, or nothing.
fn object(kind: &str, place: &str, selector: Option<&str>, age: &str, concurrency: u32) -> String {
    let (namespace, name) = place.split_once('/').unwrap();
    let (key, settings) = match kind {
        "ProxyConfig" => ("selector", format!("concurrency: {concurrency}")),
        _ => ("workloadSelector", format!("configPatches: {{concurrency: {concurrency}}}")),
    };
    let selector = selector.map_or(String::new(), |labels| format!("{key}: {{matchLabels: {{{labels}}}}}, "));
    let age = if age.is_empty() { String::new() } else { format!(", creationTimestamp: '{age}'") };
    format!(
        "{{kind: {kind}, metadata: {{namespace: {namespace}, name: {name}{age}}}, spec: \
         {{{selector}{settings}}}}}"
    )
}

fn pod() -> Pod {
    Pod::new("shop", "cart-0").label("app", "cart").label("version", "v1")
}

fn annotated(concurrency: u32) -> Pod {
    pod().annotation("proxy.istio.io/config", &format!("concurrency: {concurrency}"))
}

fn concurrency(precedence: Precedence, parts: &[String], pod: &Pod) -> u32 {
    Resolver::default().precedence(precedence).resolve(&objects(parts), pod).config.concurrency.unwrap()
}

/// Row by row, from the weakest: each counts over all before it.
#[test]
fn istios_table() {
    const KIND: &str = "ProxyConfig";
    let rows = [
        mesh(3),
        object(KIND, "istio-system/root", None, "", 4),
        object(KIND, "shop/all", None, "", 5),
        object(KIND, "shop/cart", Some("app: cart"), "", 7),
    ];
    let expected = [2, 3, 4, 5, 7];
    for n in 0..=rows.len() {
        assert_eq!(concurrency(Precedence::Istio, &rows[..n], &pod()), expected[n]);
        // In whatever order they stand.
        let reversed: Vec<_> = rows[..n].iter().rev().cloned().collect();
        assert_eq!(concurrency(Precedence::Istio, &reversed, &pod()), expected[n]);
    }
    assert_eq!(concurrency(Precedence::Istio, &rows[..3], &annotated(6)), 6);
    assert_eq!(concurrency(Precedence::Istio, &rows, &annotated(6)), 7);
}

#[test]
fn asms_table() {
    const KIND: &str = "ASMCustomProxyConfigInjectionTemplate";
    let rows = [
        mesh(3),
        object(KIND, "shop/all", None, "", 4),
        object(KIND, "shop/cart", Some("app: cart, version: v1"), "", 5),
    ];
    let expected = [2, 3, 4, 5];
    for n in 0..=rows.len() {
        assert_eq!(concurrency(Precedence::Asm, &rows[..n], &pod()), expected[n]);
        assert_eq!(concurrency(Precedence::Asm, &rows[..n], &annotated(6)), 6);
    }
    // A root namespace means nothing here.
    let root = [object(KIND, "istio-system/all", None, "", 9)];
    assert_eq!(concurrency(Precedence::Asm, &root, &pod()), 2);
}

#[test]
fn who_is_meant() {
    const KIND: &str = "ProxyConfig";
    for (place, selector, counts) in [
        ("shop/x", Some("app: cart"), true),
        ("shop/x", Some(""), false),
        ("shop/x", Some("app: cart, version: v2"), false),
        ("shop/x", Some("tier: gold"), false),
        ("other/x", Some("app: cart"), false),
        ("other/x", None, false),
        ("istio-system/x", Some("app: cart"), false),
        ("istio-system/x", None, true),
    ] {
        let expected = if counts { 9 } else { 2 };
        let parts = [object(KIND, place, selector, "", 9)];
        assert_eq!(concurrency(Precedence::Istio, &parts, &pod()), expected, "{place} {selector:?}");
    }
    let parts = [object(KIND, "mesh/x", None, "", 9)];
    let resolver = Resolver::default().root_namespace("mesh");
    assert_eq!(resolver.resolve(&objects(&parts), &pod()).config.concurrency, Some(9));
    // A pod of the root namespace is in two rows at once.
    assert_eq!(concurrency(Precedence::Istio, &parts, &Pod::new("mesh", "p")), 9);
}

#[test]
fn the_oldest_counts() {
    for (kind, precedence) in
        [("ProxyConfig", Precedence::Istio), ("ASMCustomProxyConfigInjectionTemplate", Precedence::Asm)]
    {
        for selector in [None, Some("app: cart")] {
            let young = object(kind, "shop/a", selector, "2026-01-02T00:00:00Z", 8);
            let old = object(kind, "shop/z", selector, "2026-01-01T23:59:59Z", 9);
            let unknown = object(kind, "shop/a0", selector, "", 7);
            // The same moment as `old`, elsewhere on earth, and first by name.
            let as_old = object(kind, "shop/y", selector, "2026-01-02T01:59:59+02:00", 6);
            assert_eq!(concurrency(precedence, &[young.clone(), old.clone()], &pod()), 9);
            assert_eq!(concurrency(precedence, &[old.clone(), as_old, young.clone()], &pod()), 6);
            // To Istio, what has no time is of the year 1.
            assert_eq!(concurrency(precedence, &[young, old, unknown], &pod()), 7);
        }
    }
}

/// Siblings are not merged: what only the younger one says is not said.
#[test]
fn siblings_are_not_merged_and_rows_are_field_by_field() {
    let parts = [
        "meshConfig: {defaultConfig: {drainDuration: 1s, concurrency: 3, proxyMetadata: {A: mesh, B: mesh}}}"
            .to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: a}, spec: {concurrency: 4}}".to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: b}, spec: {environmentVariables: {A: b}}}"
            .to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: c}, spec: {selector: {matchLabels: {app: \
         cart}}, environmentVariables: {B: c}}}"
            .to_owned(),
    ];
    let config = Resolver::default().resolve(&objects(&parts), &pod()).config;
    assert_eq!((config.concurrency, config.drain_duration.unwrap().as_secs()), (Some(4), 1));
    assert_eq!((config.proxy_metadata["A"].as_str(), config.proxy_metadata["B"].as_str()), ("mesh", "c"));
}

/// The oldest counts although it says nothing.
#[test]
fn an_object_without_a_spec_is_one_nevertheless() {
    let bare = "{kind: ProxyConfig, metadata: {namespace: shop, name: a}}".to_owned();
    let parts = [mesh(3), bare, object("ProxyConfig", "shop/b", None, "2026-01-01T00:00:00Z", 9)];
    assert_eq!(concurrency(Precedence::Istio, &parts, &pod()), 3);
}

#[test]
fn the_root_namespace_is_the_mesh_configurations() {
    let parts = [
        "meshConfig: {rootNamespace: mesh}".to_owned(),
        object("ProxyConfig", "mesh/a", None, "", 5),
        object("ProxyConfig", "istio-system/a", None, "", 6),
    ];
    assert_eq!(concurrency(Precedence::Istio, &parts, &pod()), 5);
    let resolver = Resolver::default().root_namespace("istio-system");
    assert_eq!(resolver.resolve(&objects(&parts), &pod()).config.concurrency, Some(6));
}

/// What Istio's injection hands over is above the mesh configuration, and below the objects.
#[test]
fn defaults_are_overlaid() {
    let document =
        Document::parse("PROXY_CONFIG", "{concurrency: 4, discoveryAddress: 'istiod:15012'}").unwrap();
    let overlaid = |parts: &[String]| {
        let objects = objects(parts).overlay_defaults(&document, Mode::Strict).unwrap().value;
        (Resolver::default().resolve(&objects, &pod()).config, objects)
    };
    let mesh = "meshConfig: {defaultConfig: {concurrency: 3, drainDuration: 7s}}".to_owned();
    let (config, found) = overlaid(std::slice::from_ref(&mesh));
    assert_eq!((config.concurrency, config.drain_duration.unwrap().as_secs()), (Some(4), 7));
    let passed_over: Vec<_> = found.passed_over().iter().map(ToString::to_string).collect();
    assert_eq!(passed_over, ["PROXY_CONFIG:1:36: discoveryAddress"]);
    let (config, _) = overlaid(&[mesh, object("ProxyConfig", "shop/a", None, "", 5)]);
    assert_eq!(config.concurrency, Some(5));
}

/// A provider's settings are overlaid one by one.
#[test]
fn a_provider_is_overlaid_setting_by_setting() {
    let mesh =
        "meshConfig: {defaultConfig: {privateKeyProvider: {cryptomb: {pollDelay: 10ms, fallback: true}}}}";
    let pod = pod().annotation("proxy.istio.io/config", "privateKeyProvider: {cryptomb: {pollDelay: 2ms}}");
    let resolved = Resolver::default().resolve(&objects(&[mesh.to_owned()]), &pod);
    let cryptomb = resolved.config.private_key_provider.as_ref().unwrap();
    assert_eq!((cryptomb.poll_delay.unwrap().as_millis(), cryptomb.fallback), (2, Some(true)));
    let text = resolved.explanation.to_string();
    assert!(text.contains("privateKeyProvider.fallback = true\n    from meshConfig.defaultConfig"), "{text}");
    assert!(text.contains("privateKeyProvider.pollDelay = \"2ms\"\n    from annotation"), "{text}");
}

fn with_annotation(text: &str) -> Resolved {
    let pod = pod().annotation("proxy.istio.io/config", text);
    Resolver::default().resolve(&objects(&[mesh(3)]), &pod)
}

/// What the annotation's other fields say counts, whatever is wrong with one.
#[test]
fn broken_fields_of_annotations_are_left_out_alone() {
    const GOOD: &str = "terminationDrainDuration: 30s";
    for (broken, at) in [
        ("concurrency: many", "1:14: concurrency: expected a whole number, found a string"),
        ("concurrency: -1", "1:14: concurrency: the value is out of range"),
        ("privateKeyProvider: {}", "1:21: privateKeyProvider: a provider is required"),
        (
            "privateKeyProvider: {cryptomb: {pollDelay: soon}}",
            "1:44: privateKeyProvider.cryptomb.pollDelay: ",
        ),
        ("drainDuration: 10", "1:16: drainDuration: expected a duration"),
    ] {
        let resolved = with_annotation(&format!("{broken}\n{GOOD}"));
        assert_eq!(resolved.config.concurrency, Some(3), "{broken}");
        assert_eq!(resolved.config.termination_drain_duration.unwrap().as_secs(), 30, "{broken}");
        let [error] = &resolved.errors[..] else { panic!("{broken}: {:?}", resolved.errors) };
        let expected = format!("annotation proxy.istio.io/config shop/cart-0:{at}");
        assert!(error.to_string().starts_with(&expected), "{error}");
        let explained = resolved.explanation.to_string();
        assert!(
            explained.contains("annotation proxy.istio.io/config shop/cart-0: left out: "),
            "{explained}"
        );
    }
    let two = with_annotation("concurrency: many\ndrainDuration: 10\nterminationDrainDuration: 30s");
    assert_eq!((two.errors.len(), two.config.termination_drain_duration.unwrap().as_secs()), (2, 30));
    for whole in ["concurrency: [", "- 1", "text", "a: 1\n---\nb: 1"] {
        let resolved = with_annotation(whole);
        assert_eq!((resolved.errors.len(), resolved.config.concurrency), (1, Some(3)), "{whole}");
    }
    assert!(with_annotation("").errors.is_empty());
}

#[test]
fn misspelt_fields_of_annotations_are_warnings_that_name_the_nearest() {
    let resolved = with_annotation(
        "{konkurrenz: 4, concurrency: 5, tracing: {zipkn: {}}, discoveryAddress: x, proxyHeaders: {}}",
    );
    let warnings: Vec<_> =
        resolved.warnings.iter().map(|w| format!("{}: {}", w.location.path, w.message)).collect();
    assert_eq!(
        warnings,
        [
            "konkurrenz: there is no such field; did you mean concurrency?",
            "tracing.zipkn: there is no such field; did you mean zipkin?"
        ]
    );
    assert!(resolved.errors.is_empty());
    assert_eq!(resolved.config.concurrency, Some(5));
    let passed_over: Vec<_> = resolved.passed_over.iter().map(|at| at.path.to_string()).collect();
    assert_eq!(passed_over, ["tracing", "discoveryAddress", "proxyHeaders"]);
}

fn explained() -> Resolved {
    let parts = [
        mesh(3),
        object("ProxyConfig", "shop/cart", Some("app: cart"), "", 7),
        object("ProxyConfig", "shop/pay", Some("app: pay"), "", 8),
        object("ASMCustomProxyConfigInjectionTemplate", "shop/asm", None, "", 9),
    ];
    let pod = pod().annotation(
        "proxy.istio.io/config",
        "{privateKeyProvider: {cryptomb: {pollDelay: 10ms}}, proxyMetadata: {A: x}}",
    );
    Resolver::default().resolve(&objects(&parts), &pod)
}

#[test]
fn the_explanation_is_for_people() {
    assert_eq!(
        explained().explanation.to_string(),
        "concurrency = 7
    from ProxyConfig shop/cart (objects.yaml:3:68)
    over 3 from meshConfig.defaultConfig (objects.yaml:1:29)
    over 2 from built-in
drainDuration = \"45s\"
    from built-in
holdApplicationUntilProxyStarts = false
    from built-in
parentShutdownDuration = \"60s\"
    from built-in
privateKeyProvider = \"cryptomb\"
    from annotation proxy.istio.io/config shop/cart-0
privateKeyProvider.pollDelay = \"10ms\"
    from annotation proxy.istio.io/config shop/cart-0
proxyMetadata.A = \"x\"
    from annotation proxy.istio.io/config shop/cart-0
terminationDrainDuration = \"5s\"
    from built-in
without a say:
    ASMCustomProxyConfigInjectionTemplate shop/asm (objects.yaml:7:93): not looked at: the precedence is \
         Istio's
    ProxyConfig shop/pay (objects.yaml:5:67): its selector does not match
"
    );
}

#[test]
fn the_explanation_is_for_programs_too() {
    let json = explained().explanation.to_json();
    assert_eq!(
        json["fields"][0],
        json!({
            "field": "concurrency",
            "value": 7,
            "origin": {
                "kind": "ProxyConfig",
                "namespace": "shop",
                "name": "cart",
                "location": { "file": "objects.yaml", "line": 3, "column": 68, "path": "spec" },
            },
            "overridden": [
                [3, {
                    "kind": "meshConfig.defaultConfig",
                    "location": {
                        "file": "objects.yaml", "line": 1, "column": 29, "path": "meshConfig.defaultConfig",
                    },
                }],
                [2, { "kind": "built-in" }],
            ],
        })
    );
    assert_eq!(json["notes"][1]["reason"], "its selector does not match");
}

/// The explanation and the settings are two views of the same.
#[test]
fn the_explanation_says_what_is_set() {
    let resolved = explained();
    let mut settings = serde_json::to_value(&resolved.config).unwrap();
    let provider = settings["privateKeyProvider"].as_object_mut().unwrap();
    provider.retain(|_, value| !value.is_null());
    for explained in &resolved.explanation.fields {
        if explained.field == "privateKeyProvider" {
            assert_eq!(explained.value, "cryptomb");
            continue;
        }
        match explained.field.split_once('.') {
            Some((map, key)) => {
                assert_eq!(settings[map].as_object_mut().unwrap().remove(key).unwrap(), explained.value)
            }
            None => assert_eq!(
                settings.as_object_mut().unwrap().remove(&explained.field).unwrap(),
                explained.value
            ),
        }
    }
    let left: Vec<_> =
        settings.as_object().unwrap().values().filter(|v| !v.is_null() && **v != json!({})).collect();
    assert!(left.is_empty(), "{left:?}");
}

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
        "{{kind: {kind}, metadata: {{namespace: {namespace}, name: {name}{age}}}, spec: {{{selector}{settings}}}}}"
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
        ("shop/x", Some(""), true),
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
            assert_eq!(concurrency(precedence, &[young.clone(), old.clone(), unknown.clone()], &pod()), 9);
            assert_eq!(
                concurrency(precedence, &[unknown.clone(), old.clone(), as_old, young.clone()], &pod()),
                6
            );
            assert_eq!(concurrency(precedence, &[unknown, young], &pod()), 8);
        }
    }
}

/// Siblings are not merged: what only the younger one says is not said.
#[test]
fn siblings_are_not_merged_and_rows_are_field_by_field() {
    let parts = [
        "meshConfig: {defaultConfig: {drainDuration: 1s, concurrency: 3, proxyMetadata: {A: mesh, B: mesh}}}".to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: a}, spec: {concurrency: 4}}".to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: b}, spec: {environmentVariables: {A: b}}}".to_owned(),
        "{kind: ProxyConfig, metadata: {namespace: shop, name: c}, spec: {selector: {}, environmentVariables: {B: c}}}".to_owned(),
    ];
    let config = Resolver::default().resolve(&objects(&parts), &pod()).config;
    assert_eq!((config.concurrency, config.drain_duration.unwrap().as_secs()), (Some(4), 1));
    assert_eq!((config.proxy_metadata["A"].as_str(), config.proxy_metadata["B"].as_str()), ("mesh", "c"));
}

fn with_annotation(text: &str, mode: Mode) -> Resolved {
    let pod = pod().annotation("proxy.istio.io/config", text);
    Resolver::default().mode(mode).resolve(&objects(&[mesh(3)]), &pod)
}

#[test]
fn broken_annotations_are_left_out_and_shown() {
    for text in ["concurrency: [", "concurrency: many", "konkurrenz: 4", "- 1", ""] {
        let resolved = with_annotation(text, Mode::Strict);
        assert_eq!(resolved.config.concurrency, Some(3));
        let [warning] = &resolved.warnings[..] else { panic!("{text}: {:?}", resolved.warnings) };
        assert!(
            warning.to_string().starts_with("annotation proxy.istio.io/config shop/cart-0:1:"),
            "{warning}"
        );
        let explained = resolved.explanation.to_string();
        let expected = "annotation proxy.istio.io/config shop/cart-0: not understood, left out: ";
        assert!(explained.contains(expected), "{explained}");
    }
    let lenient = with_annotation("{konkurrenz: 4, concurrency: 5}", Mode::Lenient);
    assert_eq!((lenient.config.concurrency, lenient.warnings.len()), (Some(5), 1));
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
privateKeyProvider = {\"fallback\":false,\"pollDelay\":\"10ms\"}
    from annotation proxy.istio.io/config shop/cart-0
proxyMetadata.A = \"x\"
    from annotation proxy.istio.io/config shop/cart-0
terminationDrainDuration = \"5s\"
    from built-in
without a say:
    ASMCustomProxyConfigInjectionTemplate shop/asm (objects.yaml:7:93): not looked at: the precedence is Istio's
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
                    "location": { "file": "objects.yaml", "line": 1, "column": 29, "path": "meshConfig.defaultConfig" },
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
    for explained in &resolved.explanation.fields {
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

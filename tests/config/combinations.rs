//! Precedence, compared with a model of Istio's rules on generated objects, each combination another one.

use rustls_multibuffer::config::istio::{Objects, Pod, Resolver};
use rustls_multibuffer::config::{Document, Mode};
use std::collections::BTreeMap;

const COMBINATIONS: u64 = 2_000;

/// Labels, or a message's map.
type Map = BTreeMap<&'static str, &'static str>;

/// What one source says; `None` and an empty map are not said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Settings {
    concurrency: Option<u32>,
    variables: Map,
    /// Milliseconds of `pollDelay`, and `fallback`, if a provider is there.
    provider: Option<(Option<u64>, Option<bool>)>,
    hold: Option<bool>,
}

#[derive(Clone, Debug)]
struct Object {
    namespace: &'static str,
    name: &'static str,
    /// Seconds of an hour; `None`: not said.
    created: Option<u64>,
    /// A selector, and its labels, which may be left out.
    selector: Option<Option<Map>>,
    /// `None`: there is no `spec`.
    settings: Option<Settings>,
}

#[derive(Debug)]
struct Case {
    root: Option<&'static str>,
    mesh: Option<Settings>,
    objects: Vec<Object>,
    annotation: Option<Settings>,
    namespace: &'static str,
    labels: Map,
}

/// The rules, from the weakest to the strongest, as Istio's control plane has them.
mod model {
    use super::{Case, Object, Settings};

    /// The first of those objects, by age and name, that fits.
    fn first<'a>(case: &'a Case, namespace: &str, fits: impl Fn(&Object) -> bool) -> Option<&'a Settings> {
        let mut objects: Vec<_> = case.objects.iter().filter(|o| o.namespace == namespace).collect();
        // Go's zero time is before every other.
        objects.sort_by_key(|o| (o.created.map_or(i64::MIN, |s| s as i64), o.name));
        static NOTHING: std::sync::LazyLock<Settings> = std::sync::LazyLock::new(Settings::default);
        objects.into_iter().find(|o| fits(o)).map(|o| o.settings.as_ref().unwrap_or(&NOTHING))
    }

    fn is_for_all(object: &Object) -> bool {
        object.settings.is_none() || object.selector.is_none()
    }

    fn is_for_workload(object: &Object, case: &Case) -> bool {
        match &object.selector {
            Some(Some(labels)) if object.settings.is_some() => {
                !labels.is_empty() && labels.iter().all(|(k, v)| case.labels.get(k) == Some(v))
            }
            _ => false,
        }
    }

    fn merge(below: &mut Settings, above: &Settings) {
        below.concurrency = above.concurrency.or(below.concurrency);
        below.hold = above.hold.or(below.hold);
        below.variables.extend(above.variables.iter());
        below.provider = match (below.provider, above.provider) {
            (Some((delay, fallback)), Some((over_delay, over_fallback))) => {
                Some((over_delay.or(delay), over_fallback.or(fallback)))
            }
            (below, above) => above.or(below),
        };
    }

    pub(super) fn effective(case: &Case) -> Settings {
        let root = case.root.unwrap_or("istio-system");
        let mut rows = vec![case.mesh.as_ref(), first(case, root, is_for_all)];
        if case.namespace != root {
            rows.push(first(case, case.namespace, is_for_all));
        }
        rows.push(case.annotation.as_ref());
        rows.push(first(case, case.namespace, |object| is_for_workload(object, case)));
        let mut settings = Settings { concurrency: Some(2), hold: Some(false), ..Settings::default() };
        rows.into_iter().flatten().for_each(|row| merge(&mut settings, row));
        settings
    }
}

/// A generator with a fixed start, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % n
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| value(self))
    }

    fn map(&mut self, keys: &[&'static str], values: &[&'static str]) -> Map {
        let mut map = Map::new();
        for key in keys {
            if self.below(2) == 0 {
                map.insert(key, self.one(values));
            }
        }
        map
    }

    /// `is_whole`: with the fields that a `ProxyConfig` object does not have.
    fn settings(&mut self, is_whole: bool) -> Settings {
        Settings {
            concurrency: self.maybe(|r| r.below(9) as u32),
            variables: self.map(&["A", "B", "C"], &["1", "2", "3"]),
            provider: self
                .maybe(|r| (r.maybe(|r| 1 + r.below(9)), r.maybe(|r| r.below(2) == 0)))
                .filter(|_| is_whole),
            hold: self.maybe(|r| r.below(2) == 0).filter(|_| is_whole),
        }
    }

    fn object(&mut self, name: &'static str) -> Object {
        Object {
            namespace: self.one(&["shop", "shop", "istio-system", "mesh", "other"]),
            name,
            created: self.one(&[None, Some(0), Some(1), Some(1), Some(2)]),
            selector: self.one(&[0u32, 1, 1, 2]).checked_sub(1).map(|kind| match kind {
                0 => Some(self.map(&["app", "version"], &["cart", "v1"])),
                _ => self.maybe(|_| Map::new()),
            }),
            settings: (self.below(6) > 0).then(|| self.settings(false)),
        }
    }

    fn case(&mut self) -> Case {
        let mut names = ["a", "b", "b-1", "c", "z", "B"];
        for i in (1..names.len()).rev() {
            names.swap(i, self.below(i as u64 + 1) as usize);
        }
        let count = self.below(names.len() as u64 + 1) as usize;
        Case {
            root: self.one(&[None, None, Some("mesh"), Some("shop")]),
            mesh: self.maybe(|r| r.settings(true)),
            objects: names[..count].iter().map(|name| self.object(name)).collect(),
            annotation: self.maybe(|r| r.settings(true)),
            namespace: self.one(&["shop", "shop", "shop", "istio-system", "mesh"]),
            labels: self.map(&["app", "version"], &["cart", "v1"]),
        }
    }
}

fn map_text(map: &Map) -> String {
    let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}: '{value}'")).collect();
    format!("{{{}}}", entries.join(", "))
}

/// `variables` is what the field with the variables is called.
fn text(settings: &Settings, variables: &str) -> String {
    let mut fields = Vec::new();
    fields.extend(settings.concurrency.map(|n| format!("concurrency: {n}")));
    fields.extend(settings.hold.map(|hold| format!("holdApplicationUntilProxyStarts: {hold}")));
    if !settings.variables.is_empty() {
        fields.push(format!("{variables}: {}", map_text(&settings.variables)));
    }
    fields.extend(settings.provider.map(|(delay, fallback)| {
        let said: Vec<_> = delay
            .map(|ms| format!("pollDelay: {ms}ms"))
            .into_iter()
            .chain(fallback.map(|fallback| format!("fallback: {fallback}")))
            .collect();
        format!("privateKeyProvider: {{cryptomb: {{{}}}}}", said.join(", "))
    }));
    fields.join(", ")
}

fn object_text(object: &Object) -> String {
    let Object { namespace, name, created, selector, settings } = object;
    let created = created.map(|s| format!(", creationTimestamp: '2026-01-01T00:00:{s:02}Z'"));
    let selector = selector.as_ref().map(|labels| match labels {
        Some(labels) => format!("selector: {{matchLabels: {}}}, ", map_text(labels)),
        None => "selector: {}, ".to_owned(),
    });
    let spec = settings.as_ref().map(|settings| {
        format!(", spec: {{{}{}}}", selector.unwrap_or_default(), text(settings, "environmentVariables"))
    });
    format!(
        "{{kind: ProxyConfig, metadata: {{namespace: {namespace}, name: {name}{}}}{}}}",
        created.unwrap_or_default(),
        spec.unwrap_or_default()
    )
}

fn resolved(case: &Case) -> Settings {
    let mut parts: Vec<_> = case.objects.iter().map(object_text).collect();
    let root = case.root.map(|root| format!("rootNamespace: {root}, ")).unwrap_or_default();
    let mesh = case.mesh.as_ref().map(|mesh| format!("defaultConfig: {{{}}}", text(mesh, "proxyMetadata")));
    parts.push(format!("meshConfig: {{{root}{}}}", mesh.unwrap_or_default()));
    let documents = Document::parse_all("objects.yaml", &parts.join("\n---\n")).unwrap();
    let objects = Objects::read(&documents, Mode::Strict).unwrap_or_else(|e| panic!("{e}: {case:#?}")).value;
    let mut pod = Pod::new(case.namespace, "cart-0");
    pod.labels = case.labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    if let Some(annotation) = &case.annotation {
        pod = pod.annotation("proxy.istio.io/config", &format!("{{{}}}", text(annotation, "proxyMetadata")));
    }
    let resolved = Resolver::default().resolve(&objects, &pod);
    assert!(resolved.errors.is_empty() && resolved.warnings.is_empty(), "{resolved:#?}");
    let config = resolved.config;
    let known = |text: &String| ["1", "2", "3"].into_iter().find(|known| known == text).unwrap();
    let variables = ["A", "B", "C"]
        .into_iter()
        .filter_map(|name| Some((name, known(config.proxy_metadata.get(name)?))))
        .collect();
    Settings {
        concurrency: config.concurrency,
        variables,
        provider: config
            .private_key_provider
            .map(|cryptomb| (cryptomb.poll_delay.map(|delay| delay.as_millis() as u64), cryptomb.fallback)),
        hold: config.hold_application_until_proxy_starts,
    }
}

#[test]
fn precedence_is_istios() {
    let mut random = Random(1);
    let mut outcomes = BTreeMap::<_, u64>::new();
    for number in 0..COMBINATIONS {
        let case = random.case();
        let expected = model::effective(&case);
        assert_eq!(resolved(&case), expected, "combination {number}: {case:#?}");
        *outcomes.entry(expected.concurrency).or_default() += 1;
    }
    // Every row of the table has decided often.
    assert!(outcomes.len() >= 9 && outcomes.values().all(|n| *n > COMBINATIONS / 100), "{outcomes:?}");
}

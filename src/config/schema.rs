//! The JSON schema and the table of fields are made from the types that are read, and the committed files are
//! these.

use super::acceleration::RawTlsAcceleration;
use super::envoy::{Downstream, Upstream};
use super::identity::RawTlsIdentity;
use super::istio::{ProxyConfigSpec, RawProxyConfig, TemplateSpec};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The messages by name, as the types have them.
fn messages() -> (Vec<Value>, BTreeMap<String, Value>) {
    let mut generator = SchemaGenerator::from(SchemaSettings::draft2020_12());
    let roots = [
        generator.subschema_for::<Downstream>(),
        generator.subschema_for::<Upstream>(),
        generator.subschema_for::<RawTlsAcceleration>(),
        generator.subschema_for::<RawTlsIdentity>(),
        generator.subschema_for::<RawProxyConfig>(),
        generator.subschema_for::<ProxyConfigSpec>(),
        generator.subschema_for::<TemplateSpec>(),
    ];
    let mut definitions: BTreeMap<_, _> = generator.take_definitions(true).into_iter().collect();
    definitions.values_mut().for_each(join_lines);
    (roots.into_iter().map(Value::from).collect(), definitions)
}

/// Makes one line of each description, as a row of the table needs.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    value => join_lines(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(join_lines),
        _ => {}
    }
}

/// `snake_case` as `lowerCamelCase`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap().to_owned();
    for word in words {
        camel.push_str(&word[..1].to_uppercase());
        camel.push_str(&word[1..]);
    }
    camel
}

/// Lets a message have its fields in either spelling, and no others.
fn close(message: &mut Value) {
    let Some(fields) = message.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let twins: Vec<_> = fields.iter().map(|(name, field)| (camel_case(name), field.clone())).collect();
    fields.extend(twins);
    message["additionalProperties"] = json!(false);
    message.as_object_mut().unwrap().remove("required");
}

fn schema() -> Value {
    let (roots, mut messages) = messages();
    messages.values_mut().for_each(close);
    let [downstream, upstream, acceleration, identity, proxy_config, object, template] = &roots[..] else {
        panic!()
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What rustls-multibuffer's module config reads",
        "anyOf": [
            downstream,
            upstream,
            field("tls_acceleration", acceleration),
            field("tls_identity", identity),
            field("defaultConfig", proxy_config),
            field("meshConfig", &field("defaultConfig", proxy_config)),
            object_of("ProxyConfig", object),
            object_of("ASMCustomProxyConfigInjectionTemplate", template),
        ],
        "$defs": messages,
    })
}

fn field(name: &str, value: &Value) -> Value {
    json!({ "type": "object", "properties": { name: value }, "required": [name] })
}

fn object_of(kind: &str, spec: &Value) -> Value {
    let properties = json!({ "kind": { "const": kind }, "spec": spec });
    json!({ "type": "object", "properties": properties, "required": ["kind", "spec"] })
}

/// What a field is, in words, with links to the messages.
fn type_of(field: &Value) -> String {
    let link = |reference: &str| {
        let name = reference.trim_start_matches("#/$defs/");
        format!("[{name}](#{})", name.to_lowercase())
    };
    if let Some(reference) = field.get("$ref").and_then(Value::as_str) {
        return link(reference);
    }
    if let Some(alternatives) = field.get("anyOf").and_then(Value::as_array) {
        let kinds = alternatives.iter().filter(|kind| kind["type"] != "null");
        return kinds.map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let kind = match &field["type"] {
        Value::Array(kinds) => kinds[0].as_str().unwrap(),
        kind => kind.as_str().unwrap(),
    };
    match kind {
        "array" => format!("list of {}", type_of(&field["items"])),
        "object" => "strings by name".to_owned(),
        kind => kind.to_owned(),
    }
}

fn rows(fields: &Map<String, Value>) -> String {
    let mut rows = String::from("\n| field | type | meaning |\n|---|---|---|\n");
    for (name, field) in fields {
        let meaning = field["description"].as_str().unwrap_or_else(|| panic!("{name} is not documented"));
        writeln!(rows, "| `{name}` | {} | {meaning} |", type_of(field)).unwrap();
    }
    rows
}

fn table() -> String {
    let (_, messages) = messages();
    let mut table = String::from("<!-- Made by config::schema from the types that are read. -->\n");
    for (name, message) in &messages {
        let description =
            message["description"].as_str().unwrap_or_else(|| panic!("{name} is not documented"));
        writeln!(table, "\n## {name}\n\n{description}").unwrap();
        if let Some(fields) = message.get("properties").and_then(Value::as_object)
            && !fields.is_empty()
        {
            table.push_str(&rows(fields));
        }
    }
    table
}

/// The committed file is what is made; with `UPDATE_CONFIG_DOCS` set, it becomes that.
#[track_caller]
fn assert_committed(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config").join(name);
    if std::env::var_os("UPDATE_CONFIG_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == made, "{name} is not what the types say; run the test with UPDATE_CONFIG_DOCS=1");
}

#[test]
fn the_committed_schema_is_what_the_types_say() {
    assert_committed("schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_committed_table_is_what_the_types_say() {
    assert_committed("fields.md", &table());
}

#[test]
fn either_spelling_is_in_the_schema_and_nothing_else() {
    let schema = schema();
    let context = &schema["$defs"]["CommonTlsContext"];
    assert!(context["properties"]["tls_certificates"].is_object());
    assert_eq!(context["properties"]["tls_certificates"], context["properties"]["tlsCertificates"]);
    assert_eq!(context["additionalProperties"], false);
    assert_eq!(camel_case("match_typed_subject_alt_names"), "matchTypedSubjectAltNames");
}

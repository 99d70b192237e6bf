//! Fields that must be there. The API server's own words for one that is not are `Required value`, and no more; rules say
//! what to write.

use super::EMBEDDED;
use serde_json::{Map, Value, json};

/// What could be written, by how the field's path ends; the first that fits counts.
const EXAMPLES: [(&str, &str); 11] = [
    ("imagePullSecrets.name", "registry"),
    ("modules.name", "game"),
    (".name", "chat-secrets"),
    (".key", "secret"),
    ("tls.secretName", "chat-tls"),
    ("external.url", "redis://redis.example.com:6379/0"),
    ("webhook.url", "http://127.0.0.1:7000/messages"),
    (".webhook", "{url: 'http://127.0.0.1:7000/hooks'}"),
    ("persistent.size", "1Gi"),
    ("events.event", "message"),
    ("events.do", "publish"),
];

/// Puts rules in the place of `required`, everywhere below but in Kubernetes' own types.
pub(super) fn into_rules(path: &str, schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let required = object.remove("required");
    for name in
        required.iter().flat_map(|names| names.as_array().into_iter().flatten()).filter_map(Value::as_str)
    {
        demand(&format!("{path}.{name}"), name, object);
    }
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if !EMBEDDED.contains(&name.as_str()) {
            into_rules(&format!("{path}.{name}"), property);
        }
    }
    if let Some(items) = object.get_mut("items") {
        into_rules(path, items);
    }
}

fn demand(path: &str, name: &str, object: &mut Map<String, Value>) {
    let (_, example) = EXAMPLES
        .iter()
        .find(|(end, _)| path.ends_with(end))
        .unwrap_or_else(|| panic!("{path} is required: write in EXAMPLES what could stand there"));
    let rules = object.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    rules.as_array_mut().expect("rules are a list").push(json!({
        "rule": rule(name), "message": format!("{name} is missing: write it too, for example {name}: {example}"),
        "reason": "FieldValueRequired", "fieldPath": format!(".{name}"),
    }));
}

fn rule(name: &str) -> String {
    format!("has(self.{name})")
}

/// Whether a rule is no more than that a field of this name must be there.
pub(in crate::crd) fn demands(validation: &Value, name: &str) -> bool {
    validation["reason"] == "FieldValueRequired" && validation["rule"] == rule(name)
}

//! The CustomResourceDefinition as it is installed: what the derive generates, made fit for people.

mod required;

pub(super) use required::demands;

use super::BrokerCluster;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

/// Fields whose schema is Kubernetes' own. Their inner descriptions would make up nine tenths of the definition and
/// are one `kubectl explain pod.spec...` away.
const EMBEDDED: [&str; 7] = [
    "resources",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "initContainers",
    "containers",
    "volumes",
];

/// What Kubernetes takes for a quantity, for the quantities deep inside embedded types; the operator's own fields have
/// rules with readable messages instead.
const QUANTITY_PATTERN: &str = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// The CustomResourceDefinition of `BrokerCluster`.
pub fn definition() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(BrokerCluster::crd()).expect("a definition is JSON");
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    tidy(schema);
    required::into_rules("spec", &mut schema["properties"]["spec"]);
    // The object has a rule for its spec.
    schema.as_object_mut().expect("a schema is an object").remove("required");
    serde_json::from_value(crd).expect("a tidied definition is still a definition")
}

/// Walks a schema: joins the lines of doc comments, drops `nullable` (a field is there or it is not) and the
/// descriptions inside Kubernetes' own types.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("nullable");
    // An empty default says nothing, and rules that want something inside would refuse the definition for it.
    if object.get("default").is_some_and(|default| *default == json!({})) {
        object.remove("default");
    }
    drop_integer_formats(object);
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = join_lines(text);
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            tidy(property);
            if EMBEDDED.contains(&name.as_str()) {
                let description = property.get("description").cloned();
                embed(property);
                if let Some(description) = description {
                    property["description"] = description;
                }
            }
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(inner) {
            tidy(inner);
        }
    }
}

/// The API server knows only Kubernetes' integer formats, and warns about others at every installation.
fn drop_integer_formats(schema: &mut Map<String, Value>) {
    let foreign = |format: &Value| format.as_str().is_some_and(|format| format.starts_with("uint"));
    if schema.get("format").is_some_and(foreign) {
        schema.remove("format");
    }
}

fn join_lines(text: &str) -> String {
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn embed(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let text = object.get("description").and_then(Value::as_str).unwrap_or_default();
            if text.starts_with("Quantity is a fixed-point")
                || object.contains_key("x-kubernetes-int-or-string")
            {
                let is_quantity = text.starts_with("Quantity is a fixed-point");
                if is_quantity {
                    object.insert("pattern".into(), json!(QUANTITY_PATTERN));
                }
            }
            if object.get("description").is_some_and(Value::is_string) {
                object.remove("description");
            }
            object.values_mut().for_each(embed);
        }
        Value::Array(items) => items.iter_mut().for_each(embed),
        _ => {}
    }
}

/// The paths of all fields of a BrokerCluster's spec that its schema does not know, each with the nearest known name.
/// The API server says the same about objects that reach it; this is for files that have not.
pub fn unknown_fields(object: &Value) -> Vec<String> {
    let crd = serde_json::to_value(definition()).expect("a definition is JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = Vec::new();
    if let Some(spec) = object.get("spec") {
        walk("spec", spec, schema, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), item, &schema["items"], found);
            }
        }
        Value::Object(fields) => {
            let Some(known) = schema["properties"].as_object() else { return };
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(schema) => walk(&path, value, schema, found),
                    None => found.push(format!("{path}: unknown field{}", hint(name, known))),
                }
            }
        }
        _ => {}
    }
}

fn hint(name: &str, known: &Map<String, Value>) -> String {
    let nearest = known.keys().map(|candidate| (distance(name, candidate), candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= 3 => format!(", did you mean {candidate}?"),
        _ => format!("; known here: {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// Levenshtein's distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_found_with_a_hint() {
        let found = unknown_fields(&json!({"spec": {
            "replica": 3,
            "redis": {"managed": {"storage": {"emptydir": {}}}},
            "channels": {"namespaces": [{"name": "a", "quota": 5}]},
            "podTemplate": {"nodeSelector": {"any/key": "is fine"}},
        }}));
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found[0],
            "spec.channels.namespaces[0].quota: unknown field; known here: history, joinLeave, name, presence, publish, rate, subscribe"
        );
        assert!(found.contains(&"spec.replica: unknown field, did you mean replicas?".into()));
        assert!(
            found.contains(
                &"spec.redis.managed.storage.emptydir: unknown field, did you mean emptyDir?".into()
            )
        );
    }

    #[test]
    fn no_field_of_ours_is_missed_without_words_of_ours() {
        fn check(path: &str, schema: &Value, found: &mut Vec<String>) {
            if schema["required"].is_array() {
                found.push(path.into());
            }
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if !EMBEDDED.contains(&name.as_str()) {
                    check(&format!("{path}.{name}"), property, found);
                    check(&format!("{path}.{name}[]"), &property["items"], found);
                }
            }
        }
        let crd = serde_json::to_value(definition()).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert!(schema["required"].is_null());
        let mut found = Vec::new();
        check("spec", &schema["properties"]["spec"], &mut found);
        assert!(found.is_empty(), "the API server refuses these without saying what to write: {found:?}");
        let rules = &schema["properties"]["spec"]["properties"]["endpoints"]["properties"]["tls"]["x-kubernetes-validations"];
        assert!(demands(&rules[0], "secretName"), "{rules}");
    }

    #[test]
    fn no_message_is_lost_for_the_end_of_a_line_in_the_value() {
        fn check(schema: &Value, messages: &mut usize) {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                if let Some(message) = rule["messageExpression"].as_str() {
                    assert!(message.contains(r#".replace("\n", "\\n")"#), "{message}");
                    *messages += 1;
                }
            }
            schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .for_each(|(_, field)| check(field, messages));
            if schema["items"].is_object() {
                check(&schema["items"], messages);
            }
        }
        let crd = serde_json::to_value(definition()).unwrap();
        let mut messages = 0;
        check(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut messages);
        assert!(messages >= 50, "only {messages} rules that repeat the value were found");
    }

    #[test]
    fn every_field_of_ours_is_described() {
        fn check(path: &str, schema: &Value, missing: &mut Vec<String>) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                if property["description"].as_str().unwrap_or_default().is_empty() {
                    missing.push(path.clone());
                }
                let kubernetes_own = EMBEDDED.contains(&name.as_str()) || name == "conditions";
                if !kubernetes_own {
                    check(&path, property, missing);
                    check(&path, &property["items"], missing);
                }
            }
        }
        let crd = serde_json::to_value(definition()).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut missing = Vec::new();
        check("spec", &schema["properties"]["spec"], &mut missing);
        check("status", &schema["properties"]["status"], &mut missing);
        assert!(missing.is_empty(), "no doc comment on: {missing:?}");
    }
}

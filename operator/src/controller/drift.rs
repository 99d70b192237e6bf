//! Whether an object still is what was applied. Pure.
//!
//! Only the fields that the operator sets are compared: others may set theirs, as server-side apply has it. The API
//! server normalises some values (a quantity `1000m` becomes `1`), so what it answered to an apply is remembered, as a
//! digest, and compared with instead; without that memory an object is applied once more, and then it is there.

use super::{build::APPLIED_HASH, resources::Kind, secrets::digest};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The digest of an object as it should be.
pub fn hash(body: &Value) -> String {
    digest([body.to_string().as_bytes()])
}

/// What `live` holds at the places where `desired` holds something.
fn project(live: &Value, desired: &Value) -> Value {
    match desired {
        Value::Object(fields) if live.is_object() => {
            let fields = fields.iter().map(|(key, desired)| (key.clone(), project(&live[key], desired)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) if live.is_array() => {
            project_list(live.as_array().map_or(&[], Vec::as_slice), items)
        }
        _ => live.clone(),
    }
}

/// Lists of named things (containers, ports, variables) may hold others' things too; other lists are whole.
fn project_list(live: &[Value], desired: &[Value]) -> Value {
    if desired.iter().all(|item| item["name"].is_string()) {
        let named = |name: &Value| live.iter().find(|item| item["name"] == *name).unwrap_or(&Value::Null);
        return desired.iter().map(|item| project(named(&item["name"]), item)).collect();
    }
    if live.len() != desired.len() {
        return Value::Null;
    }
    live.iter().zip(desired).map(|(live, desired)| project(live, desired)).collect()
}

/// What became of objects that were applied.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<Key, Applied>>);

/// Kind, namespace, name.
type Key = (Kind, String, String);

struct Applied {
    hash: String,
    answer: String,
}

/// How an object compares with what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is what it should be.
    Same,
    /// What it should be has changed, or it differs from that and nothing is remembered that could tell why.
    Outdated,
    /// Somebody else changed it.
    Drifted,
}

impl Memory {
    /// Notes what the API server answered to an apply.
    pub fn note(&self, key: Key, desired: &Value, hash: &str, answer: &Value) {
        let answer = self::hash(&project(answer, desired));
        self.0.lock().insert(key, Applied { hash: hash.to_owned(), answer });
    }

    /// Forgets objects of clusters that are gone.
    pub fn retain(&self, keep: impl Fn(&str, &str) -> bool) {
        self.0.lock().retain(|(_, namespace, name), _| keep(namespace, name));
    }

    /// Compares an object with what it should be.
    pub fn compare(&self, key: &Key, desired: &Value, hash: &str, live: &Value) -> Comparison {
        if live["metadata"]["annotations"][APPLIED_HASH].as_str() != Some(hash) {
            return Comparison::Outdated;
        }
        let projected = project(live, desired);
        let applied = self.0.lock();
        match applied.get(key).filter(|applied| applied.hash == hash) {
            Some(applied) if self::hash(&projected) == applied.answer => Comparison::Same,
            Some(_) => Comparison::Drifted,
            None if projected == *desired => Comparison::Same,
            // Nobody can be blamed: it may be what the API server made of it.
            None => Comparison::Outdated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compare(memory: &Memory, desired: &Value, live: Value) -> Comparison {
        let mut live = live;
        live["metadata"]["annotations"] = json!({APPLIED_HASH: hash(desired)});
        memory.compare(&key(), desired, &hash(desired), &live)
    }

    fn key() -> Key {
        (Kind::Service, "here".into(), "chat".into())
    }

    #[test]
    fn others_may_add_what_is_theirs() {
        let desired = json!({"spec": {"ports": [{"name": "client", "port": 8000}], "type": "ClusterIP"}});
        let live = json!({"spec": {
            "clusterIP": "10.0.0.1", "type": "ClusterIP",
            "ports": [{"name": "other", "port": 1}, {"name": "client", "port": 8000, "nodePort": 3}],
        }});
        assert_eq!(compare(&Memory::default(), &desired, live), Comparison::Same);
    }

    #[test]
    fn a_changed_removed_or_reordered_field_is_drift() {
        let desired = json!({"data": {"a": "1"}, "list": ["x", "y"], "empty": {}});
        for live in [
            json!({"data": {"a": "2"}, "list": ["x", "y"], "empty": {}}),
            json!({"data": {}, "list": ["x", "y"], "empty": {}}),
            json!({"data": {"a": "1"}, "list": ["y", "x"], "empty": {}}),
            json!({"data": {"a": "1"}, "list": ["x", "y", "z"], "empty": {}}),
            json!({"data": {"a": "1"}, "list": ["x", "y"]}),
        ] {
            let memory = Memory::default();
            assert_eq!(compare(&memory, &desired, live.clone()), Comparison::Outdated, "{live}");
            memory.note(key(), &desired, &hash(&desired), &desired);
            assert_eq!(compare(&memory, &desired, live.clone()), Comparison::Drifted, "{live}");
        }
    }

    #[test]
    fn another_hash_is_outdated() {
        let desired = json!({"data": {"a": "1"}});
        let live = json!({"metadata": {"annotations": {APPLIED_HASH: "old"}}, "data": {"a": "1"}});
        let outcome = Memory::default().compare(&key(), &desired, &hash(&desired), &live);
        assert_eq!(outcome, Comparison::Outdated);
    }

    #[test]
    fn what_the_api_server_made_of_a_value_is_not_drift() {
        let desired = json!({"cpu": "1000m"});
        let memory = Memory::default();
        assert_eq!(
            compare(&memory, &desired, json!({"cpu": "1"})),
            Comparison::Outdated,
            "nothing is remembered yet"
        );
        memory.note(key(), &desired, &hash(&desired), &json!({"cpu": "1", "more": true}));
        assert_eq!(compare(&memory, &desired, json!({"cpu": "1"})), Comparison::Same);
        assert_eq!(compare(&memory, &desired, json!({"cpu": "2"})), Comparison::Drifted);
    }
}

//! The description of the server API: it is there for everybody, and says what the API does.

use serde_json::{Map, Value, json};

use crate::support::{Broker, KEY, OPEN, request};

async fn document(broker: &Broker) -> Value {
    let answer = request(broker.client_address, "GET", "/openapi.json", "", b"").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// What of a value is not as a schema says: the part of JSON Schema that the document uses.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fault = |text: String| found.push(format!("{at}: {text}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" | "default" | "format" => {}
            "$ref" => {
                let target = document.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                faults(document, target, value, at).into_iter().for_each(&mut fault);
            }
            "oneOf" => {
                let fits = |schema: &&Value| faults(document, schema, value, at).is_empty();
                let count = rule.as_array().unwrap().iter().filter(fits).count();
                if count != 1 {
                    fault(format!("fits {count} of several schemas: {value}"));
                }
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{at}: no type {other}"),
                };
                if !rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is)) {
                    fault(format!("{value} is not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    fault(format!("{value} is none of {rule}"));
                }
            }
            "minimum" => {
                if value.as_f64() < rule.as_f64() && !value.is_null() {
                    fault(format!("{value} is less than {rule}"));
                }
            }
            "required" => {
                for field in rule.as_array().unwrap() {
                    if value.get(field.as_str().unwrap()).is_none() {
                        fault(format!("{field} is missing"));
                    }
                }
            }
            "properties" | "additionalProperties" => {
                let named = |field: &str| schema.get("properties").and_then(|fields| fields.get(field));
                for (field, part) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{field}");
                    match (keyword.as_str(), named(field)) {
                        ("properties", Some(schema)) => {
                            faults(document, schema, part, &at).into_iter().for_each(&mut fault);
                        }
                        ("additionalProperties", None) if rule == false => {
                            fault(format!("{field} is too much"))
                        }
                        ("additionalProperties", None) => {
                            faults(document, rule, part, &at).into_iter().for_each(&mut fault);
                        }
                        _ => {}
                    }
                }
            }
            "items" => {
                for part in value.as_array().into_iter().flatten() {
                    faults(document, rule, part, at).into_iter().for_each(&mut fault);
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|values| (values.len() as u64) < rule.as_u64().unwrap()) {
                    fault("too few".into());
                }
            }
            "minProperties" | "maxProperties" => {
                let count = value.as_object().map(Map::len).unwrap() as u64;
                let wanted = rule.as_u64().unwrap();
                if (keyword == "minProperties" && count < wanted)
                    || (keyword == "maxProperties" && count > wanted)
                {
                    fault(format!("{count} fields"));
                }
            }
            other => panic!("{at}: the keyword {other} is not known here"),
        }
    }
    found
}

/// The schemas and examples of each method: path, request, example, response, example.
fn operations(document: &Value) -> Vec<(String, [Value; 4])> {
    let paths = document["paths"].as_object().unwrap();
    let described = paths.iter().map(|(path, item)| {
        let content = |value: &Value| {
            let media = &value["content"]["application/json"];
            [media["schema"].clone(), media["example"].clone()]
        };
        let [request, asked] = content(&item["post"]["requestBody"]);
        let [response, answered] = content(&item["post"]["responses"]["200"]);
        (path.clone(), [request, asked, response, answered])
    });
    described.collect()
}

#[tokio::test]
async fn its_examples_are_what_its_schemas_say() {
    let document = document(&Broker::start(OPEN).await).await;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, [request, asked, response, answered]) in operations(&document) {
        assert_eq!(faults(&document, &request, &asked, &path), [""; 0]);
        assert_eq!(faults(&document, &response, &answered, &path), [""; 0]);
        let refused = json!({"error": {"code": 107, "message": "bad request"}});
        assert_eq!(faults(&document, &response, &refused, &path), [""; 0]);
        for wrong in [json!({"error": {"code": "x"}}), json!({}), json!({"result": 1}), json!([])] {
            assert!(!faults(&document, &response, &wrong, &path).is_empty(), "{path}: {wrong}");
        }
    }
}

#[tokio::test]
async fn every_path_answers_its_example_as_its_schema_says() {
    let namespaces = "channels: {namespaces: [{name: \"\", join_leave: true}, {name: room}, {name: kept, history: {size: 10}}]}\n";
    let broker =
        Broker::start(&format!("{OPEN}{namespaces}endpoints: {{socketio: {{enabled: true}}}}\n")).await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].as_str().unwrap().to_owned();
    client.subscribe("lobby").await;
    let document = document(&broker).await;
    let api = document["servers"][0]["url"].as_str().unwrap();
    let example = operations(&document)
        .into_iter()
        .find_map(|(path, [_, asked, ..])| {
            (path == "/note").then(|| asked["client"].as_str().unwrap().to_owned())
        })
        .unwrap();
    for (path, [_, asked, response, _]) in operations(&document) {
        // The client of the examples is the one that is here.
        let body = asked.to_string().replace(&example, &id);
        let full = format!("{api}{path}");
        let answer = request(broker.client_address, "POST", &full, KEY, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let answer = answer.json();
        assert!(answer.get("result").is_some(), "{path}: {answer}");
        assert_eq!(faults(&document, &response, &answer, &path), [""; 0], "{answer}");
        let keyless = request(broker.client_address, "POST", &full, "", body.as_bytes()).await;
        assert_eq!(keyless.status, 401, "{path}");
    }
    for (path, [_, _, response, _]) in operations(&document) {
        let answer = broker.api(path.trim_start_matches('/'), &json!([1])).await;
        assert!(answer.get("error").is_some(), "{path}: {answer}");
        assert_eq!(faults(&document, &response, &answer, &path), [""; 0], "{answer}");
    }
}

#[tokio::test]
async fn it_is_there_with_the_api_only_and_names_the_path_of_the_api() {
    let moved = Broker::start(&format!("{OPEN}endpoints: {{http: {{path: /backend/v1}}}}\n")).await;
    assert_eq!(document(&moved).await["servers"], json!([{"url": "/backend/v1"}]));
    let broker = Broker::start(&format!("{OPEN}instance: {{id: chat-7}}\n")).await;
    let text = document(&broker).await.to_string();
    assert!(!text.contains("chat-7") && !text.contains("key-of-the-tests"), "nothing of this installation");
    let posted = request(broker.client_address, "POST", "/openapi.json", "", b"").await;
    assert_eq!(posted.status, 405);
    let off = Broker::start(&format!("{OPEN}endpoints: {{http: {{enabled: false}}}}\n")).await;
    assert_eq!(request(off.client_address, "GET", "/openapi.json", "", b"").await.status, 404);
}

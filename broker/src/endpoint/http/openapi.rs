//! The server API's description as OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1>), at `/openapi.json`.
//!
//! It is made from the same closed set of methods that the routes are counted by, so that none can be missing.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::metrics::{ApiMethod, Label};

mod schemas;

use schemas::{Described, describe, shared};

/// Where the document is, without a key: it says nothing about the installation but the API's path.
const PATH: &str = "/openapi.json";

/// The route of the document of an API under `path`.
pub(super) fn router(path: &str) -> Router {
    let document = Bytes::from(document(path).to_string());
    Router::new().route(PATH, get(async move || ([(CONTENT_TYPE, "application/json")], document)))
}

fn document(path: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = shared();
    for method in ApiMethod::ALL {
        let (name, Some(described)) = (method.as_str(), describe(*method)) else { continue };
        paths.insert(format!("/{name}"), json!({"post": operation(name, &described)}));
        schemas.insert(request_name(name), described.request);
        schemas.insert(result_name(name), described.result);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Switchboard server API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For an application's backend. Every method is a POST with a JSON body and an API key; an \
                answer with status 200 has either `result` or `error`. Any instance answers for all of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": path}],
        "security": [{"key": []}, {"authorization": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"NoKey": {
                "description": "There is no key, or a wrong one.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }},
            "securitySchemes": {
                "key": {
                    "type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "One of auth.api_keys.",
                },
                "authorization": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "`apikey` and, after a space, one of auth.api_keys.",
                },
            },
        },
    })
}

fn operation(name: &str, described: &Described) -> Value {
    let reference = |name: String| json!({"$ref": format!("#/components/schemas/{name}")});
    let answer = json!({"oneOf": [
        {
            "type": "object", "required": ["result"], "additionalProperties": false,
            "properties": {"result": reference(result_name(name))},
        },
        reference("Failed".into()),
    ]});
    json!({
        "operationId": name,
        "summary": described.summary,
        "description": described.description,
        "requestBody": {
            "description": "An empty body counts as `{}`.",
            "content": {"application/json": {
                "schema": reference(request_name(name)),
                "example": described.asked,
            }},
        },
        "responses": {
            "200": {
                "description": "What became of it: a result, or an error with a code of the protocol.",
                "content": {"application/json": {
                    "schema": answer,
                    "example": {"result": described.answered},
                }},
            },
            "401": {"$ref": "#/components/responses/NoKey"},
        },
    })
}

/// `presence_stats` has the schema `PresenceStatsRequest`.
fn request_name(method: &str) -> String {
    camel(method) + "Request"
}

fn result_name(method: &str) -> String {
    camel(method) + "Result"
}

fn camel(name: &str) -> String {
    let capitalised = |part: &str| {
        let mut rest = part.chars();
        rest.next().map(|first| first.to_ascii_uppercase().to_string() + rest.as_str()).unwrap_or_default()
    };
    name.split('_').map(capitalised).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::endpoint::ErrorCode;

    /// Every object of a value, with where it is.
    fn objects(value: &Value, at: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                visit(at, object);
                object.iter().for_each(|(key, value)| objects(value, &format!("{at}/{key}"), visit));
            }
            Value::Array(values) => values.iter().for_each(|value| objects(value, at, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_method_is_described_once_and_every_reference_leads_somewhere() {
        let document = document("/api");
        let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let methods = ApiMethod::ALL.iter().filter(|method| **method != ApiMethod::Unknown);
        let methods: BTreeSet<_> = methods.map(|method| format!("/{}", method.as_str())).collect();
        assert_eq!(paths, methods);
        let mut used = BTreeSet::new();
        objects(&document, "#", &mut |at, object| {
            if let Some(reference) = object.get("$ref") {
                let target = reference.as_str().and_then(|text| text.strip_prefix('#')).unwrap();
                assert!(document.pointer(target).is_some(), "{at}: {target}");
                used.insert(target.rsplit('/').next().unwrap().to_owned());
            }
        });
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(used.contains(name), "{name} is used nowhere");
        }
    }

    #[test]
    fn every_field_says_what_it_is() {
        for (name, schema) in document("/api")["components"]["schemas"].as_object().unwrap() {
            objects(schema, name, &mut |at, object| {
                let Some(Value::Object(properties)) = object.get("properties") else { return };
                for (field, schema) in properties {
                    let said = schema.get("description").is_some() || schema.get("$ref").is_some();
                    assert!(said, "{at}: {field} has no description");
                }
                for field in object.get("required").and_then(Value::as_array).into_iter().flatten() {
                    assert!(properties.contains_key(field.as_str().unwrap()), "{at}: no field {field}");
                }
            });
        }
    }

    #[test]
    fn the_codes_are_those_of_the_protocol() {
        let document = document("/api");
        let codes = &document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        for code in [
            ErrorCode::Internal,
            ErrorCode::UnknownChannel,
            ErrorCode::NotFound,
            ErrorCode::LimitExceeded,
            ErrorCode::BadRequest,
            ErrorCode::NotAvailable,
        ] {
            assert!(codes.as_array().unwrap().contains(&json!(code.code())), "{code:?}");
        }
    }
}

//! `operator plan`: what a file of BrokerClusters would become, without a Kubernetes cluster.

use crate::{
    controller::{
        build::{Images, Inputs, build},
        secrets::{Generated, Lookup, References, Secret, secret_uses},
        validate::validate,
    },
    crd::{BrokerCluster, unknown_fields},
};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

/// Stands for the values that the operator generates when it first applies a cluster.
const GENERATED: &str = "generated-by-the-operator";

/// Why a file cannot become objects: one line per problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PlanError(Vec<String>);

/// The objects of all BrokerClusters in a YAML file, as YAML.
pub fn plan(text: &str, images: &Images) -> Result<String, PlanError> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text)
        .map_err(|error| PlanError(vec![format!("this is not YAML: {error}")]))?;
    let clusters: Vec<Value> =
        documents.into_iter().filter(|document| document["kind"] == "BrokerCluster").collect();
    if clusters.is_empty() {
        let hint = "there is no BrokerCluster in it: it needs apiVersion: switchboard.dev/v1alpha1 and kind: BrokerCluster";
        return Err(PlanError(vec![hint.into()]));
    }
    let mut output = String::new();
    for cluster in clusters {
        let cluster = parse(cluster)?;
        let mut references = References::default();
        for used in secret_uses(&cluster.spec) {
            references.insert(&used, Lookup::Found(GENERATED.into()));
        }
        let valid =
            validate(&cluster, &references).map_err(|rejection| PlanError(vec![rejection.to_string()]))?;
        let generated =
            Generated { redis_password: Secret::kept(GENERATED), api_key: Secret::kept(GENERATED) };
        let inputs =
            Inputs { images, replicas: valid.spec.replicas, references: &references, generated: &generated };
        for object in build(&valid, &inputs).objects() {
            let yaml = serde_yaml::to_string(&object.body).expect("an object is YAML");
            let _ = write!(output, "---\n{yaml}");
        }
    }
    Ok(output)
}

/// Reads one BrokerCluster as strictly as the API server would, and with defaults filled in as it would.
fn parse(document: Value) -> Result<BrokerCluster, PlanError> {
    let mut problems = unknown_fields(&document);
    if document["apiVersion"] != "switchboard.dev/v1alpha1" {
        problems.push("apiVersion: write switchboard.dev/v1alpha1".into());
    }
    if document["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        problems.push("metadata.name is missing: write the cluster's name".into());
    }
    if document.get("spec").is_none() {
        problems.push("spec is missing: write at least spec.redis".into());
    }
    if !problems.is_empty() {
        return Err(PlanError(problems));
    }
    let cluster = BrokerCluster::deserialize(document).map_err(|error| PlanError(vec![error.to_string()]))?;
    cluster.validate_cel().map_err(|errors| PlanError(errors.iter().map(ToString::to_string).collect()))?;
    Ok(cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images { broker: "broker".into(), redis: "redis".into() }
    }

    fn failure(spec: &str) -> String {
        let file = format!(
            "apiVersion: switchboard.dev/v1alpha1\nkind: BrokerCluster\nmetadata: {{name: chat}}\nspec: {spec}\n"
        );
        plan(&file, &images()).unwrap_err().to_string()
    }

    #[test]
    fn a_small_file_becomes_objects() {
        let file = "apiVersion: switchboard.dev/v1alpha1\nkind: BrokerCluster\nmetadata: {name: chat}\n\
                    spec: {redis: {managed: {storage: {emptyDir: {}}}}}\n";
        let planned = plan(file, &images()).unwrap();
        assert!(planned.contains("kind: StatefulSet"));
        assert!(planned.contains("name: chat-redis"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(plan("a: [", &images()).unwrap_err().to_string().contains("not YAML"));
        assert!(plan("kind: Pod", &images()).unwrap_err().to_string().contains("no BrokerCluster"));
        let text = failure("{replica: 1, redis: {managed: {storage: {emptyDir: {}}}}}");
        assert_eq!(text, "spec.replica: unknown field, did you mean replicas?");
        assert!(failure("{}").contains("write exactly one of redis.managed"), "{}", failure("{}"));
        let text = failure("{limits: {messageSize: 64KB}, redis: {managed: {storage: {emptyDir: {}}}}}");
        assert!(text.contains("'64KB' is not a size"), "{text}");
        let text = failure("{log: {level: loud}, redis: {managed: {storage: {emptyDir: {}}}}}");
        assert!(text.contains("loud") && text.contains("info"), "{text}");
    }
}

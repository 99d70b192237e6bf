//! The Helm chart: rendered with real Helm, as it is committed in `tests/chart`.

use super::golden::{assert_golden, folder};
use std::{path::PathBuf, process::Command};

/// Helm, built with the cluster's binaries.
pub(crate) fn helm(arguments: &[&str]) -> Result<String, String> {
    let helm = binaries().join("helm");
    let output = Command::new(&helm)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}; {BUILD}", helm.display()));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("helm writes UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// What to do when a binary of the cluster is missing.
pub(crate) const BUILD: &str = "this builds it and runs these tests: cargo xtask test api";

/// Where the cluster's binaries are.
pub(crate) fn binaries() -> PathBuf {
    std::env::var_os("SWITCHBOARD_CLUSTER_BIN").map_or_else(|| folder("../target/cluster/bin"), PathBuf::from)
}

fn chart() -> String {
    folder("../charts/switchboard").display().to_string()
}

/// Without the definition, which has its own test.
fn render(arguments: &[&str]) -> String {
    let chart = chart();
    let mut all =
        vec!["template", "switchboard", &chart, "--namespace", "switchboard", "--set", "crds.install=false"];
    all.extend(arguments);
    helm(&all).unwrap_or_else(|error| panic!("the chart does not render: {error}"))
}

#[test]
fn it_renders_as_committed() {
    assert_golden(&folder("tests/chart/default.yaml"), &render(&[]));
    let one_namespace = render(&[
        "--set=watchNamespace=team",
        "--set=replicas=2",
        "--set=serviceAccount.create=false",
        "--set=serviceAccount.name=own",
        "--set=imagePullSecrets[0].name=registry",
        "--set=metrics.annotations=false",
        "--set=nodeSelector.disk=ssd",
        "--set=log.format=json",
    ]);
    assert_golden(&folder("tests/chart/one-namespace.yaml"), &one_namespace);
    assert!(!one_namespace.contains("ClusterRole"), "rights in one namespace need no cluster role");
}

#[test]
fn it_installs_the_definition_and_keeps_it() {
    let rendered = helm(&["template", "switchboard", &chart(), "--show-only", "templates/crd.yaml"])
        .expect("it renders");
    assert!(rendered.contains("helm.sh/resource-policy: keep"));
    let rendered: serde_json::Value = serde_yaml::from_str(&rendered).expect("it is YAML");
    let expected = serde_json::to_value(switchboard_operator::crd::definition()).expect("it is JSON");
    assert_eq!(rendered["spec"]["names"], expected["spec"]["names"]);
    let rules = |crd: &serde_json::Value| crd.to_string().matches("x-kubernetes-validations").count();
    assert_eq!(rules(&rendered), rules(&expected));
    assert!(rules(&expected) > 20);
}

#[test]
fn it_passes_lint() {
    helm(&["lint", "--strict", &chart()]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn wrong_values_are_refused() {
    for (value, expected) in [
        ("replicas=-1", "replicas"),
        ("replica=2", "replica"),
        ("log.format=xml", "format"),
        ("watchNamespace=A_B", "watchNamespace"),
        ("serviceAccount.create=false", "serviceAccount/name"),
    ] {
        let error = helm(&["template", "switchboard", &chart(), "--set", value]).expect_err(value);
        assert!(error.contains(expected), "{value}: {error}");
    }
}

//! The binary itself: what it prints, and how it ends.

use super::golden::folder;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn operator(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_operator"))
        .args(arguments)
        // What the chart sets must not come from whoever runs the tests.
        .env_remove("BROKER_IMAGE")
        .env_remove("REDIS_IMAGE")
        .env("KUBECONFIG", "/does/not/exist")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads or ends");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it writes UTF-8")
}

#[test]
fn crd_prints_the_definition() {
    let output = operator(&["crd"], "");
    assert!(output.status.success());
    let committed = std::fs::read_to_string(folder("../crds/brokercluster.yaml")).expect("it is committed");
    assert_eq!(text(&output.stdout), committed);
}

#[test]
fn plan_prints_objects_of_every_example() {
    for file in std::fs::read_dir(folder("../examples")).expect("there are examples") {
        let file = file.expect("an entry").path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let output = operator(&["plan", "-f", &file.display().to_string()], "");
            assert!(output.status.success(), "{}: {}", file.display(), text(&output.stderr));
            assert!(text(&output.stdout).contains("kind: StatefulSet"));
        }
    }
}

#[test]
fn plan_names_the_file_and_every_problem() {
    let file = "apiVersion: switchboard.dev/v1alpha1\nkind: BrokerCluster\nmetadata: {name: a}\n\
                spec: {replicsa: 2, redis: {manged: {}}}\n";
    let output = operator(&["plan", "-f", "-"], file);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(error.contains("did you mean replicas?") && error.contains("did you mean managed?"), "{error}");
    let output = operator(&["plan", "-f", "/does/not/exist.yaml"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/does/not/exist.yaml: cannot read the file"));
}

#[test]
fn run_without_a_cluster_says_what_to_do() {
    let output = operator(&["run", "--admin-address", "127.0.0.1:0"], "");
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("cannot find the API server: run inside a cluster, or point KUBECONFIG"),
        "{error}"
    );
}

//! `tests/golden/<case>/cluster.yaml` becomes exactly `expected.yaml`. `UPDATE_GOLDEN=1` writes what came out instead;
//! look at the difference before committing it.

use std::path::Path;
use switchboard_operator::{controller::build::Images, crd, plan::plan};

/// A path from the crate's folder.
pub(crate) fn folder(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares with a committed file, or writes it when that was asked for.
pub(crate) fn assert_golden(file: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, actual)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if let Some((number, (old, new))) =
        expected.lines().zip(actual.lines()).enumerate().find(|(_, (a, b))| a != b)
    {
        panic!(
            "{}:{}: expected {old:?}, got {new:?} (UPDATE_GOLDEN=1 accepts it)",
            file.display(),
            number + 1
        );
    }
    let (old, new) = (expected.lines().count(), actual.lines().count());
    assert_eq!(old, new, "{} has another number of lines (UPDATE_GOLDEN=1 accepts it)", file.display());
}

#[test]
fn clusters_become_their_objects() {
    let images = Images {
        broker: "example.test/switchboard/broker:1".into(),
        redis: "example.test/switchboard/redis:1".into(),
    };
    let mut cases = 0;
    for case in std::fs::read_dir(folder("tests/golden")).expect("tests/golden is a folder") {
        let case = case.expect("a folder entry").path();
        let cluster = std::fs::read_to_string(case.join("cluster.yaml")).expect("a case has a cluster.yaml");
        let planned = plan(&cluster, &images).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        assert_golden(&case.join("expected.yaml"), &planned);
        cases += 1;
    }
    assert!(cases >= 5, "only {cases} golden cases were found");
}

#[test]
fn the_definition_is_what_the_types_say() {
    let yaml = serde_yaml::to_string(&crd::definition()).expect("a definition is YAML");
    assert_golden(&folder("../crds/brokercluster.yaml"), &yaml);
    assert_golden(&folder("../charts/switchboard/files/brokercluster.yaml"), &yaml);
}

#[test]
fn the_reference_page_is_what_the_types_say() {
    assert_golden(&folder("../docs/crd.md"), &crd::markdown());
}

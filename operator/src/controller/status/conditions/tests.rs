use super::*;
use crate::controller::{
    Error,
    health::{RedisReport, Report},
    observe::ObservedPod,
    secrets::{Generated, References, Secret},
    validate::{Rejection, Valid, validate},
};
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// A cluster of two with everything running; each test breaks something.
struct World {
    cluster: BrokerCluster,
    observed: Observed,
    replicas: i32,
    before: Vec<Condition>,
}

fn world() -> World {
    let cluster = json!({
        "apiVersion": "switchboard.dev/v1alpha1", "kind": "BrokerCluster",
        "metadata": {"name": "chat", "namespace": "here", "uid": "u", "generation": 3},
        "spec": {"auth": {"anonymous": true}, "redis": {"managed": {"storage": {"emptyDir": {}}}}},
    });
    let mut world = World {
        cluster: serde_json::from_value(cluster).unwrap(),
        observed: Observed {
            references: References::default(),
            generated: Generated { redis_password: Secret::kept("p"), api_key: Secret::kept("k") },
            live: BTreeMap::new(),
            brokers: Some(set(2)),
            redis: Some(set(1)),
            pods: BTreeMap::new(),
            redis_pod: None,
            health: BTreeMap::new(),
        },
        replicas: 2,
        before: Vec::new(),
    };
    world.pod(0, true);
    world.pod(1, true);
    world.report(0, true, Some(0.2));
    world.report(1, true, Some(0.3));
    let valid = world.valid();
    let outcome = applied(&valid, 2);
    world.before =
        Facts::new(&world.cluster, &world.observed, &outcome).conditions(&[], 3, Timestamp::UNIX_EPOCH);
    world
}

fn set(ready: i32) -> Arc<StatefulSet> {
    let set = json!({
        "metadata": {"generation": 1}, "spec": {"replicas": ready, "selector": {}, "serviceName": "x", "template": {}},
        "status": {
            "replicas": ready, "readyReplicas": ready, "observedGeneration": 1,
            "currentRevision": "a", "updateRevision": "a",
        },
    });
    Arc::new(serde_json::from_value(set).unwrap())
}

impl World {
    fn pod(&mut self, ordinal: i32, ready: bool) {
        let pod = ObservedPod { id: format!("chat-{ordinal}"), ready, ip: None, trouble: None };
        self.observed.pods.insert(ordinal, pod);
    }

    fn report(&mut self, ordinal: i32, connected: bool, probe_ms: Option<f64>) {
        let others = (0..2).filter(|other| *other != ordinal).map(|other| format!("chat-{other}/e{other}"));
        let redis = RedisReport { connected, probe_ms, heard: Some(others.collect()) };
        let (instance, epoch) = (format!("chat-{ordinal}"), format!("e{ordinal}"));
        self.observed.health.insert(instance.clone(), Report { instance, epoch, connections: 1, redis });
    }

    fn said_by(&mut self, ordinal: i32) -> &mut Report {
        self.observed.health.get_mut(&format!("chat-{ordinal}")).unwrap()
    }

    fn valid(&self) -> Valid {
        validate(&self.cluster, &References::default()).unwrap()
    }

    /// Every condition as `Status Reason`.
    fn conditions(&self) -> BTreeMap<String, String> {
        self.conditions_after(&applied(&self.valid(), self.replicas))
    }

    fn conditions_after(&self, outcome: &Outcome<'_>) -> BTreeMap<String, String> {
        let facts = Facts::new(&self.cluster, &self.observed, outcome);
        let conditions = facts.conditions(&self.before, 3, Timestamp::UNIX_EPOCH);
        conditions.into_iter().map(|c| (c.type_, format!("{} {}", c.status, c.reason))).collect()
    }
}

fn applied(valid: &Valid, replicas: i32) -> Outcome<'_> {
    Outcome::Applied { valid, replicas, pods_change: false }
}

#[track_caller]
fn check(conditions: &BTreeMap<String, String>, expected: [&str; 5]) {
    let types = ["Ready", "Progressing", "Degraded", "RedisReady", "DataPathReady"];
    let actual = types.map(|type_| conditions[type_].as_str());
    assert_eq!(actual, expected);
}

#[test]
fn clients_are_admitted_by_a_hook_instead_of_a_token() {
    let mut world = world();
    world.cluster.spec.auth.anonymous = false;
    assert_eq!(world.conditions()["Ready"], "True ServerApiOnly");
    let hook = json!({"webhook": {"url": "http://127.0.0.1:7000/hooks"}, "insteadOfToken": true});
    world.cluster.spec.hooks.connect = Some(serde_json::from_value(hook).unwrap());
    assert_eq!(world.conditions()["Ready"], "True Ready");
}

#[test]
fn all_is_well() {
    let expected = ["True Ready", "False Complete", "False AsExpected", "True Connected", "True ProbesCross"];
    check(&world().conditions(), expected);
}

#[test]
fn instances_are_counted_by_their_pods_when_their_set_is_seen_later() {
    let mut world = world();
    world.observed.brokers = Some(set(0));
    let valid = world.valid();
    let status = crate::controller::status::status(
        &world.cluster,
        &world.observed,
        &applied(&valid, 2),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!((status.replicas, status.ready_replicas), (2, 2));
}

#[test]
fn nothing_is_there_yet() {
    let mut world = world();
    world.observed.brokers = None;
    world.observed.redis = None;
    world.observed.pods.clear();
    world.observed.health.clear();
    world.before.clear();
    let expected =
        ["False Starting", "True Starting", "False AsExpected", "False Starting", "Unknown NoInstances"];
    check(&world.conditions(), expected);
}

#[test]
fn redis_is_slower_than_the_instances() {
    let mut world = world();
    world.observed.redis = Some(set(0));
    world.report(0, false, None);
    world.report(1, false, None);
    world.before.clear();
    let expected =
        ["False Starting", "True Starting", "False AsExpected", "False Starting", "False ProbesLost"];
    check(&world.conditions(), expected);
    let trouble = Some("its container redis is in CrashLoopBackOff".into());
    world.observed.redis_pod =
        Some(ObservedPod { id: "chat-redis-0".into(), ready: false, ip: None, trouble });
    assert_eq!(world.conditions()["Degraded"], "True PodTrouble");
}

#[test]
fn instances_that_have_not_met_their_new_redis_yet_are_starting() {
    let mut world = world();
    world.before.clear();
    world.report(1, false, None);
    let expected =
        ["False Starting", "True Starting", "False AsExpected", "False Starting", "False ProbesLost"];
    check(&world.conditions(), expected);
}

#[test]
fn one_instance_is_missing() {
    let mut world = world();
    world.pod(1, false);
    world.observed.health.remove("chat-1");
    let expected =
        ["False ScalingUp", "True ScalingUp", "False AsExpected", "True Connected", "True ProbesCross"];
    check(&world.conditions(), expected);
}

#[test]
fn a_pod_that_cannot_run_is_shown() {
    let mut world = world();
    world.pod(1, false);
    let pod = world.observed.pods.get_mut(&1).unwrap();
    pod.trouble = Some("its container broker is in ImagePullBackOff".into());
    let facts = world.valid();
    let outcome = applied(&facts, 2);
    let conditions =
        Facts::new(&world.cluster, &world.observed, &outcome).conditions(&[], 3, Timestamp::UNIX_EPOCH);
    let degraded = conditions.iter().find(|condition| condition.type_ == "Degraded").unwrap();
    assert_eq!((degraded.status.as_str(), degraded.reason.as_str()), ("True", "PodTrouble"));
    assert_eq!(degraded.message, "chat-1: its container broker is in ImagePullBackOff");
}

#[test]
fn an_instance_more_than_wanted_is_leaving() {
    let mut world = world();
    world.pod(2, false);
    let expected =
        ["True Ready", "True ScalingDown", "False AsExpected", "True Connected", "True ProbesCross"];
    check(&world.conditions(), expected);
}

#[test]
fn redis_is_down() {
    let mut world = world();
    world.observed.redis = Some(set(0));
    world.report(0, false, None);
    world.report(1, false, None);
    let expected =
        ["False RedisNotReady", "False Complete", "True RedisDown", "False NotRunning", "False ProbesLost"];
    check(&world.conditions(), expected);
}

#[test]
fn one_instance_has_lost_redis() {
    let mut world = world();
    world.report(1, false, None);
    let expected =
        ["False RedisNotReady", "False Complete", "True RedisDown", "False Disconnected", "False ProbesLost"];
    check(&world.conditions(), expected);
}

#[test]
fn connected_but_messages_do_not_cross() {
    let mut world = world();
    world.report(1, true, None);
    let expected =
        ["False DataPathNotReady", "False Complete", "True ProbesLost", "True Connected", "False ProbesLost"];
    check(&world.conditions(), expected);
}

#[test]
fn what_was_written_just_now_is_on_its_way() {
    let world = world();
    let valid = world.valid();
    let outcome = Outcome::Applied { valid: &valid, replicas: 2, pods_change: true };
    let conditions = world.conditions_after(&outcome);
    assert_eq!(conditions["Progressing"], "True RollingOut");
    assert_eq!(conditions["Degraded"], "False AsExpected");
}

#[test]
fn redis_is_replaced_because_it_was_asked_for() {
    let mut world = world();
    let mut redis = (*set(0)).clone();
    redis.status.as_mut().unwrap().update_revision = Some("b".into());
    world.observed.redis = Some(Arc::new(redis));
    world.report(0, false, None);
    world.report(1, false, None);
    let expected = [
        "False RedisNotReady",
        "True RollingOut",
        "False AsExpected",
        "False NotRunning",
        "False ProbesLost",
    ];
    check(&world.conditions(), expected);
}

#[test]
fn what_never_becomes_ready_is_wrong_in_the_end() {
    let mut world = world();
    // Its pod cannot even be created: a quota, or a priority class that is not there.
    world.observed.pods.remove(&1);
    world.observed.health.remove("chat-1");
    let valid = world.valid();
    let outcome = applied(&valid, 2);
    let mut at = |seconds: i64| {
        let facts = Facts::new(&world.cluster, &world.observed, &outcome);
        world.before = facts.conditions(&world.before, 3, Timestamp::from_second(seconds).unwrap());
        let degraded = world.before.iter().find(|condition| condition.type_ == "Degraded").unwrap();
        format!("{} {}", degraded.status, degraded.reason)
    };
    assert_eq!(at(1), "False AsExpected");
    assert_eq!(at(300), "False AsExpected");
    assert_eq!(at(302), "True NotBecomingReady");
}

#[test]
fn one_instance_does_not_hear_another() {
    let expected =
        ["False DataPathNotReady", "False Complete", "True HellosLost", "True Connected", "False HellosLost"];
    let mut world = self::world();
    world.said_by(1).redis.heard = Some([].into());
    check(&world.conditions(), expected);
    // What it heard came from an instance of that name that is no more.
    let mut world = self::world();
    world.said_by(0).epoch = "e9".into();
    check(&world.conditions(), expected);
}

#[test]
fn an_instance_that_does_not_say_whom_it_hears_is_believed() {
    let mut world = world();
    world.said_by(0).redis.heard = None;
    world.said_by(1).redis.heard = Some([].into());
    assert_eq!(world.conditions()["DataPathReady"], "True ProbesCross");
}

#[test]
fn the_operator_cannot_reach_the_instances() {
    let mut world = world();
    world.observed.health.clear();
    let expected = ["True Ready", "False Complete", "False AsExpected", "True Running", "Unknown NoReports"];
    check(&world.conditions(), expected);
}

#[test]
fn one_instance_does_not_answer() {
    let mut world = world();
    world.observed.health.remove("chat-1");
    let expected =
        ["True Ready", "False Complete", "False AsExpected", "Unknown SomeSilent", "Unknown SomeSilent"];
    check(&world.conditions(), expected);
}

#[test]
fn the_spec_is_wrong() {
    let world = world();
    let rejection = Rejection::Spec(vec!["no".into()]);
    let conditions = world.conditions_after(&Outcome::Rejected(&rejection));
    let expected =
        ["False InvalidSpec", "False Stopped", "True InvalidSpec", "True Connected", "True ProbesCross"];
    check(&conditions, expected);
}

#[test]
fn an_object_cannot_be_applied() {
    let world = world();
    let valid = world.valid();
    let error = Error::Leaving { object: "Service chat".into() };
    let conditions = world.conditions_after(&Outcome::Failed(&valid, &error));
    assert_eq!(conditions["Ready"], "False WaitingForDeletion");
    assert_eq!(conditions["Degraded"], "True WaitingForDeletion");
}

#[test]
fn the_time_of_a_condition_is_that_of_its_last_change() {
    let mut world = world();
    let valid = world.valid();
    let outcome = applied(&valid, 2);
    let later = Timestamp::from_second(60).unwrap();
    let old = Facts::new(&world.cluster, &world.observed, &outcome).conditions(&[], 3, Timestamp::UNIX_EPOCH);
    world.observed.redis = Some(set(0));
    let new = Facts::new(&world.cluster, &world.observed, &outcome).conditions(&old, 3, later);
    let time = |type_: &str| new.iter().find(|c| c.type_ == type_).unwrap().last_transition_time.0;
    assert_eq!(time("RedisReady"), later);
    assert_eq!(time("Progressing"), Timestamp::UNIX_EPOCH);
}

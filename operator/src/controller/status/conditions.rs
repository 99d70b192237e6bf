//! The conditions: each one a question that a user or a script asks, answered with a reason and a sentence. Pure.

use super::Outcome;
use crate::{
    controller::{health::Report, observe::Observed, validate::ValidRedis},
    crd::BrokerCluster,
};
use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use std::time::Duration;

/// After so long without being Ready, what is still on its way is taken to be stuck.
const OVERDUE: Duration = Duration::from_secs(300);

/// The reason of what has not been there yet.
const STARTING: &str = "Starting";

/// One condition without its bookkeeping.
struct Answer {
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn yes(reason: &'static str, message: impl Into<String>) -> Answer {
    Answer { status: "True", reason, message: message.into() }
}

fn no(reason: &'static str, message: impl Into<String>) -> Answer {
    Answer { status: "False", reason, message: message.into() }
}

fn unknown(reason: &'static str, message: impl Into<String>) -> Answer {
    Answer { status: "Unknown", reason, message: message.into() }
}

/// What the conditions follow from.
pub(super) struct Facts<'a> {
    observed: &'a Observed,
    outcome: &'a Outcome<'a>,
    /// How many instances were asked for.
    desired: i32,
    /// How many take clients.
    ready: i32,
    /// How many exist, leaving ones included.
    existing: i32,
    /// Whether some pods run an older template.
    rolling: bool,
    /// The same of Redis' pod.
    redis_rolling: bool,
    /// Whether any client could connect at all.
    admits_clients: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(cluster: &BrokerCluster, observed: &'a Observed, outcome: &'a Outcome<'a>) -> Self {
        let auth = &cluster.spec.auth;
        Self {
            observed,
            outcome,
            desired: cluster.spec.replicas,
            ready: observed.pods.values().filter(|pod| pod.ready).count() as i32,
            existing: observed.pods.len() as i32,
            rolling: observed.brokers.as_deref().is_some_and(is_rolling),
            redis_rolling: observed.redis.as_deref().is_some_and(is_rolling),
            admits_clients: cluster.spec.endpoints.take_clients()
                && (auth.anonymous || auth.jwt.is_some() || cluster.spec.hooks.instead_of_token()),
        }
    }

    /// All conditions, with the time of the last change of each.
    pub(super) fn conditions(&self, old: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
        let redis = self.redis(old);
        let data_path = self.data_path();
        let progressing = self.progressing(&redis);
        let overdue = is_overdue(old, now);
        let degraded = self.degraded(&redis, &data_path, &progressing, overdue);
        let ready = self.is_ready(&redis, &data_path, &progressing);
        let answers = [
            ("Ready", ready),
            ("Progressing", progressing),
            ("Degraded", degraded),
            ("RedisReady", redis),
            ("DataPathReady", data_path),
        ];
        let conditions = answers.into_iter().map(|(type_, answer)| {
            let since = old.iter().find(|old| old.type_ == type_ && old.status == answer.status);
            Condition {
                type_: type_.into(),
                status: answer.status.into(),
                reason: answer.reason.into(),
                message: answer.message,
                observed_generation: Some(generation),
                last_transition_time: since.map_or(Time(now), |old| old.last_transition_time.clone()),
            }
        });
        conditions.collect()
    }

    fn reports(&self) -> usize {
        self.observed.health.len()
    }

    /// A Redis that never ran in this cluster is starting; one that did is missing.
    fn redis(&self, old: &[Condition]) -> Answer {
        let connected = self.observed.health.values().filter(|report| report.redis.connected).count();
        let is_managed = match self.outcome.valid() {
            Some(valid) => matches!(valid.redis, ValidRedis::Managed { .. }),
            None => self.observed.redis.is_some(),
        };
        let before = old.iter().find(|old| old.type_ == "RedisReady").map(|old| old.reason.as_str());
        let is_first = is_managed && matches!(before, None | Some(STARTING));
        if is_managed {
            let status = self.observed.redis.as_ref().and_then(|set| set.status.as_ref());
            if status.and_then(|status| status.ready_replicas).unwrap_or_default() < 1 {
                let reason = if is_first { STARTING } else { "NotRunning" };
                return no(reason, "Redis' pod is not ready; instances serve their own clients meanwhile");
            }
        }
        match (connected, self.reports()) {
            (connected, all) if is_first && self.desired > 0 && (self.ready == 0 || connected < all) => no(
                STARTING,
                format!("Redis runs; {connected} of {} instances are connected to it", self.desired),
            ),
            (_, 0) if is_managed => {
                yes("Running", "Redis runs; no instance has told yet whether it is connected")
            }
            (_, 0) => unknown("NoInstances", "no instance has told yet whether it is connected"),
            (connected, all) if connected == all && all < self.ready as usize => unknown(
                "SomeSilent",
                format!(
                    "{all} instances are connected, {} did not answer the operator",
                    self.ready - all as i32
                ),
            ),
            (connected, all) if connected == all => {
                yes("Connected", format!("all {all} instances are connected"))
            }
            (connected, all) => {
                no("Disconnected", format!("{} of {all} instances are not connected", all - connected))
            }
        }
    }

    fn data_path(&self) -> Answer {
        let reports = self.reports();
        if reports == 0 {
            return match (self.desired, self.ready) {
                (0, _) => unknown("Stopped", "there are no instances"),
                (_, 0) => unknown("NoInstances", "no instance is ready yet"),
                _ => unknown("NoReports", "the operator cannot reach the instances' admin port 9000"),
            };
        }
        let deaf = self.observed.health.values().filter(|report| !report.hears_itself()).count();
        if deaf > 0 {
            let message = format!("{deaf} of {reports} instances do not get their probes back through Redis");
            return no("ProbesLost", message);
        }
        if let Some((listener, speaker)) = self.unheard() {
            return no("HellosLost", format!("{listener} does not hear {speaker} through Redis"));
        }
        let (silent, ready) = (self.ready - reports as i32, self.ready);
        match reports {
            _ if silent > 0 => {
                unknown("SomeSilent", format!("{silent} of {ready} instances did not answer the operator"))
            }
            1 => yes("ProbesCross", "the instance hears itself through Redis"),
            _ => yes("ProbesCross", "every instance hears itself and each of the others through Redis"),
        }
    }

    /// Two instances of which the first does not hear the second.
    fn unheard(&self) -> Option<(&str, &str)> {
        let reports = &self.observed.health;
        let speakers = reports.iter().filter_map(|(id, report)| Some((id.as_str(), report.speaker()?)));
        speakers.into_iter().find_map(|(speaker, address)| {
            let deaf = |(id, report): &(&String, &Report)| *id != speaker && !report.hears(&address);
            reports.iter().find(deaf).map(|(listener, _)| (listener.as_str(), speaker))
        })
    }

    fn progressing(&self, redis: &Answer) -> Answer {
        let Outcome::Applied { replicas, pods_change, .. } = self.outcome else {
            return no("Stopped", "nothing is changed until the condition Degraded is mended");
        };
        let (desired, existing, ready) = (self.desired, self.existing, self.ready);
        if *replicas > desired || existing > desired {
            return yes("ScalingDown", format!("{existing} instances, going to {desired} one at a time"));
        }
        if self.rolling {
            return yes("RollingOut", "instances are replaced one at a time");
        }
        if ready < desired {
            let reason = if ready == 0 { STARTING } else { "ScalingUp" };
            return yes(reason, format!("{ready} of {desired} instances are ready{}", self.trouble()));
        }
        if redis.reason == STARTING && desired > 0 {
            return yes(STARTING, format!("the instances are ready, Redis is starting{}", self.trouble()));
        }
        if self.redis_rolling {
            return yes("RollingOut", "Redis is replaced");
        }
        if *pods_change {
            return yes("RollingOut", "the pods' template was written just now");
        }
        no("Complete", "everything is as it was asked for")
    }

    /// The first pod that Kubernetes says something about.
    fn trouble(&self) -> String {
        let pods = self.observed.pods.values().chain(&self.observed.redis_pod);
        let troubled = pods.into_iter().find_map(|pod| Some((&pod.id, pod.trouble.as_ref()?)));
        troubled.map_or_else(String::new, |(id, trouble)| format!("; {id}: {trouble}"))
    }

    fn degraded(&self, redis: &Answer, data_path: &Answer, progressing: &Answer, overdue: bool) -> Answer {
        match self.outcome {
            Outcome::Rejected(rejection) => return yes(rejection.reason(), rejection.to_string()),
            Outcome::Failed(_, error) => return yes(error.reason(), error.to_string()),
            Outcome::Applied { .. } => {}
        }
        let trouble = self.trouble();
        if !trouble.is_empty() {
            return yes("PodTrouble", trouble.trim_start_matches("; "));
        }
        // While instances come up, what they lack is on its way.
        let incomplete = self.ready < self.desired || redis.reason == STARTING;
        let starting = progressing.status == "True" && (incomplete || self.redis_rolling) && !overdue;
        if redis.status == "False" && !starting {
            return yes("RedisDown", redis.message.clone());
        }
        if data_path.status == "False" && !starting {
            return yes(data_path.reason, data_path.message.clone());
        }
        if overdue && incomplete {
            let minutes = OVERDUE.as_secs() / 60;
            let message = format!(
                "not everything has become ready within {minutes} minutes: ask kubectl describe about the StatefulSets and pods"
            );
            return yes("NotBecomingReady", message);
        }
        no("AsExpected", "nothing is wrong")
    }

    fn is_ready(&self, redis: &Answer, data_path: &Answer, progressing: &Answer) -> Answer {
        match self.outcome {
            Outcome::Rejected(rejection) => return no(rejection.reason(), rejection.to_string()),
            Outcome::Failed(_, error) => return no(error.reason(), error.to_string()),
            Outcome::Applied { .. } => {}
        }
        let (desired, ready) = (self.desired, self.ready);
        if desired == 0 {
            return no("Stopped", "spec.replicas is 0: no instance runs");
        }
        if ready < desired {
            let reason = if progressing.status == "True" { progressing.reason } else { "NotReady" };
            return no(reason, format!("{ready} of {desired} instances are ready{}", self.trouble()));
        }
        if redis.status != "True" && redis.reason != "SomeSilent" {
            let reason = if redis.reason == STARTING { STARTING } else { "RedisNotReady" };
            return no(reason, format!("{}{}", redis.message, self.trouble()));
        }
        if data_path.status == "False" {
            return no("DataPathNotReady", data_path.message.clone());
        }
        if !self.admits_clients {
            return yes(
                "ServerApiOnly",
                "all instances are ready, but no client can connect: enable an endpoint for clients, such as \
                 endpoints.websocket, and set auth.jwt, or hooks.connect.insteadOfToken: true (or auth.anonymous: true to try out)",
            );
        }
        yes("Ready", format!("{ready} of {desired} instances take clients"))
    }
}

/// Whether some pods of a StatefulSet run an older template.
fn is_rolling(set: &StatefulSet) -> bool {
    set.status.as_ref().is_some_and(|status| {
        status.update_revision != status.current_revision
            || status.observed_generation < set.metadata.generation
    })
}

/// Whether it has not been Ready for longer than anything should take.
fn is_overdue(old: &[Condition], now: Timestamp) -> bool {
    let ready = old.iter().find(|condition| condition.type_ == "Ready");
    ready.is_some_and(|ready| {
        ready.status != "True" && now.duration_since(ready.last_transition_time.0).unsigned_abs() > OVERDUE
    })
}

#[cfg(test)]
mod tests;

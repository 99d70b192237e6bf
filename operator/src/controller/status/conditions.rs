//! The conditions: each one a question that a user or a script asks, answered with a reason and a sentence. Pure.

use super::Outcome;
use crate::{
    controller::{observe::Observed, validate::ValidRedis},
    crd::BrokerCluster,
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

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
    /// Whether any client could connect at all.
    admits_clients: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(cluster: &BrokerCluster, observed: &'a Observed, outcome: &'a Outcome<'a>) -> Self {
        let set = observed.brokers.as_ref();
        let generation = set.and_then(|set| set.metadata.generation);
        let status = set.and_then(|set| set.status.as_ref());
        let rolling = status.is_some_and(|status| {
            status.update_revision != status.current_revision || status.observed_generation < generation
        });
        let auth = &cluster.spec.auth;
        Self {
            observed,
            outcome,
            desired: cluster.spec.replicas,
            ready: observed.pods.values().filter(|pod| pod.ready).count() as i32,
            existing: observed.pods.len() as i32,
            rolling,
            admits_clients: cluster.spec.endpoints.websocket.enabled
                && (auth.anonymous || auth.jwt.is_some()),
        }
    }

    /// All conditions, with the time of the last change of each.
    pub(super) fn conditions(&self, old: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
        let redis = self.redis(old);
        let data_path = self.data_path();
        let progressing = self.progressing(&redis);
        let degraded = self.degraded(&redis, &data_path, &progressing);
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
        if is_managed {
            let status = self.observed.redis.as_ref().and_then(|set| set.status.as_ref());
            if status.and_then(|status| status.ready_replicas).unwrap_or_default() < 1 {
                let before = old.iter().find(|old| old.type_ == "RedisReady").map(|old| old.reason.as_str());
                let reason = if matches!(before, None | Some(STARTING)) { STARTING } else { "NotRunning" };
                return no(reason, "Redis' pod is not ready; instances serve their own clients meanwhile");
            }
        }
        match (connected, self.reports()) {
            (_, 0) if is_managed => {
                yes("Running", "Redis runs; no instance has told yet whether it is connected")
            }
            (_, 0) => unknown("NoInstances", "no instance has told yet whether it is connected"),
            (connected, all) if connected == all => {
                yes("Connected", format!("all {all} instances are connected"))
            }
            (connected, all) => {
                no("Disconnected", format!("{} of {all} instances are not connected", all - connected))
            }
        }
    }

    fn data_path(&self) -> Answer {
        let crossing = (self.observed.health.values())
            .filter(|report| report.redis.connected && report.redis.probe_ms.is_some())
            .count();
        match (crossing, self.reports()) {
            (_, 0) if self.desired == 0 => unknown("Stopped", "there are no instances"),
            (_, 0) if self.ready == 0 => unknown("NoInstances", "no instance is ready yet"),
            (_, 0) => unknown("NoReports", "the operator cannot reach the instances' admin port 9000"),
            (crossing, all) if crossing == all && all < self.ready as usize => unknown(
                "SomeSilent",
                format!(
                    "{} of {} instances did not answer the operator",
                    self.ready - all as i32,
                    self.ready
                ),
            ),
            (crossing, all) if crossing == all => {
                yes("ProbesReturn", "every instance gets its own probes back through Redis")
            }
            (crossing, all) => no(
                "ProbesLost",
                format!("{} of {all} instances do not get their probes back through Redis", all - crossing),
            ),
        }
    }

    fn progressing(&self, redis: &Answer) -> Answer {
        let Outcome::Applied(_, replicas) = self.outcome else {
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
        no("Complete", "everything is as it was asked for")
    }

    /// The first pod that Kubernetes says something about.
    fn trouble(&self) -> String {
        let pods = self.observed.pods.values().chain(&self.observed.redis_pod);
        let troubled = pods.into_iter().find_map(|pod| Some((&pod.id, pod.trouble.as_ref()?)));
        troubled.map_or_else(String::new, |(id, trouble)| format!("; {id}: {trouble}"))
    }

    fn degraded(&self, redis: &Answer, data_path: &Answer, progressing: &Answer) -> Answer {
        match self.outcome {
            Outcome::Rejected(rejection) => return yes(rejection.reason(), rejection.to_string()),
            Outcome::Failed(_, error) => return yes(error.reason(), error.to_string()),
            Outcome::Applied(..) => {}
        }
        let trouble = self.trouble();
        if !trouble.is_empty() {
            return yes("PodTrouble", trouble.trim_start_matches("; "));
        }
        // While instances come up, what they lack is on its way.
        let starting =
            progressing.status == "True" && (self.ready < self.desired || redis.reason == STARTING);
        if redis.status == "False" && !starting {
            return yes("RedisDown", redis.message.clone());
        }
        if data_path.status == "False" && !starting {
            return yes("ProbesLost", data_path.message.clone());
        }
        no("AsExpected", "nothing is wrong")
    }

    fn is_ready(&self, redis: &Answer, data_path: &Answer, progressing: &Answer) -> Answer {
        match self.outcome {
            Outcome::Rejected(rejection) => return no(rejection.reason(), rejection.to_string()),
            Outcome::Failed(_, error) => return no(error.reason(), error.to_string()),
            Outcome::Applied(..) => {}
        }
        let (desired, ready) = (self.desired, self.ready);
        if desired == 0 {
            return no("Stopped", "spec.replicas is 0: no instance runs");
        }
        if ready < desired {
            let reason = if progressing.status == "True" { progressing.reason } else { "NotReady" };
            return no(reason, format!("{ready} of {desired} instances are ready{}", self.trouble()));
        }
        if redis.status != "True" {
            let reason = if redis.reason == STARTING { STARTING } else { "RedisNotReady" };
            return no(reason, format!("{}{}", redis.message, self.trouble()));
        }
        if data_path.status == "False" {
            return no("DataPathNotReady", data_path.message.clone());
        }
        if !self.admits_clients {
            return yes(
                "ServerApiOnly",
                "all instances are ready, but no client can connect: enable endpoints.websocket, and set auth.jwt (or \
                 auth.anonymous: true to try out)",
            );
        }
        yes("Ready", format!("{ready} of {desired} instances take clients"))
    }
}

#[cfg(test)]
mod tests;

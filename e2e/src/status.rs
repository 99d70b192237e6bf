//! A BrokerCluster's status, as users read it.

use std::fmt::{self, Display};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Deserialize;

/// The status of a BrokerCluster.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "kubectl explain bc.status says what each field is")]
pub struct Status {
    pub observed_generation: i64,
    pub replicas: i32,
    pub ready_replicas: i32,
    pub selector: String,
    pub connections: i64,
    pub conditions: Vec<Condition>,
}

impl Status {
    /// Whether a condition is true.
    pub fn is(&self, condition: &str) -> bool {
        self.condition(condition) == "True"
    }

    /// A condition's status; empty when it is not there.
    pub fn condition(&self, name: &str) -> &str {
        self.conditions.iter().find(|condition| condition.type_ == name).map_or("", |found| &found.status)
    }
}

impl Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ready {}/{}", self.ready_replicas, self.replicas)?;
        for condition in &self.conditions {
            write!(out, "  {}={}", condition.type_, condition.status)?;
            // The reason of what is as it should be tells nothing new.
            let is_good = ["Progressing", "Degraded"].contains(&condition.type_.as_str());
            if (condition.status == "False") != is_good {
                write!(out, " ({})", condition.reason)?;
            }
        }
        Ok(())
    }
}

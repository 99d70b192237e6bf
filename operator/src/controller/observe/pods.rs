//! What a pod's status says, as far as users of a cluster care. Pure.

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::ResourceExt;
use std::net::IpAddr;

/// A new pod is often unschedulable for a moment, until its volume is there.
const UNSCHEDULABLE_SECONDS: i64 = 10;

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPod {
    /// Its name, which is a broker's instance ID.
    pub id: String,
    /// Whether it takes clients.
    pub ready: bool,
    /// Where it is reached.
    pub ip: Option<IpAddr>,
    /// Why it does not run, if Kubernetes says so: an image that cannot be pulled, a crash.
    pub trouble: Option<String>,
}

pub(super) fn observe(pod: &Pod, now: Timestamp) -> ObservedPod {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_ready =
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let is_leaving = pod.metadata.deletion_timestamp.is_some();
    ObservedPod {
        id: pod.name_any(),
        ready: is_ready && !is_leaving,
        ip: status.and_then(|status| status.pod_ip.as_ref()).and_then(|ip| ip.parse().ok()),
        trouble: if is_leaving { None } else { unschedulable(pod, now).or_else(|| waiting(pod)) },
    }
}

fn unschedulable(pod: &Pod, now: Timestamp) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let since = condition.last_transition_time.as_ref()?.0;
    if now.as_second() - since.as_second() < UNSCHEDULABLE_SECONDS {
        return None;
    }
    Some(format!("no node takes it: {}", condition.message.as_deref().unwrap_or("no reason given")))
}

/// The first container that waits for something else than its own creation; sidecars, which the others wait for, first.
fn waiting(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = [&status.init_container_statuses, &status.container_statuses].into_iter().flatten();
    containers.flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting
            .reason
            .as_deref()
            .filter(|reason| !["ContainerCreating", "PodInitializing"].contains(reason))?;
        Some(match waiting.message.as_deref().and_then(|message| message.lines().next()) {
            Some(message) => format!("its container {} is in {reason}: {message}", container.name),
            None => format!("its container {} is in {reason}", container.name),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn observed(status: Value, seconds: i64) -> ObservedPod {
        let pod = serde_json::from_value(json!({"metadata": {"name": "chat-0"}, "status": status})).unwrap();
        observe(&pod, Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn a_running_pod_is_ready_and_has_an_address() {
        let pod =
            observed(json!({"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]}), 0);
        assert!(pod.ready && pod.trouble.is_none());
        assert_eq!(pod.ip.unwrap().to_string(), "10.0.0.7");
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_trouble_and_a_start_is_not() {
        let container = |waiting: Value| {
            json!({"containerStatuses": [{"name": "broker", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": waiting}}]})
        };
        assert_eq!(observed(container(json!({"reason": "ContainerCreating"})), 0).trouble, None);
        let pod =
            observed(container(json!({"reason": "ErrImagePull", "message": "no such image\nat all"})), 0);
        assert_eq!(pod.trouble.unwrap(), "its container broker is in ErrImagePull: no such image");
    }

    #[test]
    fn a_sidecar_that_does_not_start_is_trouble() {
        let container = |name: &str, reason: &str| {
            json!([{"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 3,
                "state": {"waiting": {"reason": reason}}}])
        };
        let status = json!({
            "initContainerStatuses": container("receiver", "CrashLoopBackOff"),
            "containerStatuses": container("broker", "PodInitializing"),
        });
        assert_eq!(observed(status, 0).trouble.unwrap(), "its container receiver is in CrashLoopBackOff");
    }

    #[test]
    fn waiting_for_a_node_is_trouble_after_a_while() {
        let status = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "too little memory", "lastTransitionTime": "1970-01-01T00:00:00Z"}]});
        assert_eq!(observed(status.clone(), 5).trouble, None);
        assert_eq!(observed(status, 15).trouble.unwrap(), "no node takes it: too little memory");
    }
}

//! How many instances the StatefulSet may have right now.

/// What is there before a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// What the StatefulSet asks for; absent while there is none.
    pub current: Option<i32>,
    /// The highest ordinal among existing pods, also those that are leaving.
    pub highest_ordinal: Option<i32>,
}

/// The replicas to set next. Growing happens at once. Shrinking goes one ordinal at a time: under the Parallel policy
/// a StatefulSet would end all surplus pods together, and all their clients would move at once.
pub fn next_replicas(desired: i32, scale: Scale) -> i32 {
    // A StatefulSet that was taken away from under its pods takes them up again, and no step is left out.
    let Some(current) = scale.current.or(scale.highest_ordinal.map(|ordinal| ordinal + 1)) else {
        return desired;
    };
    if desired >= current {
        return desired;
    }
    let leaving = scale.highest_ordinal.is_some_and(|ordinal| ordinal >= current);
    if leaving { current } else { current - 1 }
}

/// The ordinal at the end of a pod's name, if the pod belongs to the StatefulSet.
pub fn ordinal(stateful_set: &str, pod: &str) -> Option<i32> {
    pod.strip_prefix(stateful_set)?.strip_prefix('-')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(current: i32, highest_ordinal: i32) -> Scale {
        Scale { current: Some(current), highest_ordinal: Some(highest_ordinal) }
    }

    #[test]
    fn a_new_cluster_starts_whole() {
        assert_eq!(next_replicas(3, Scale::default()), 3);
    }

    #[test]
    fn growing_happens_at_once() {
        assert_eq!(next_replicas(5, scale(2, 1)), 5);
        assert_eq!(next_replicas(5, scale(2, 4)), 5);
    }

    #[test]
    fn shrinking_takes_one_and_waits_until_its_pod_is_gone() {
        assert_eq!(next_replicas(1, scale(4, 3)), 3);
        assert_eq!(next_replicas(1, scale(3, 3)), 3, "pod 3 is still draining");
        assert_eq!(next_replicas(1, scale(3, 2)), 2);
        assert_eq!(next_replicas(1, scale(2, 1)), 1);
        assert_eq!(next_replicas(1, scale(1, 0)), 1);
        assert_eq!(next_replicas(0, scale(1, 0)), 0);
    }

    #[test]
    fn pods_without_their_stateful_set_leave_one_at_a_time_too() {
        let orphans = Scale { current: None, highest_ordinal: Some(3) };
        assert_eq!(next_replicas(1, orphans), 3);
        assert_eq!(next_replicas(6, orphans), 6);
    }

    #[test]
    fn shrinking_goes_on_when_no_pod_was_ever_there() {
        assert_eq!(next_replicas(0, Scale { current: Some(3), highest_ordinal: None }), 2);
    }

    #[test]
    fn ordinals_are_read_from_own_pods_only() {
        assert_eq!(ordinal("chat", "chat-12"), Some(12));
        assert_eq!(ordinal("chat", "chat-redis-0"), None);
        assert_eq!(ordinal("chat", "chatter-0"), None);
    }
}

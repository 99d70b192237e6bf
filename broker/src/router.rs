//! Where a message goes: a pure function of its targets and of who is here.

use ahash::HashSet;
use smallvec::SmallVec;

use crate::message::{Channel, ClientId, InstanceId, LogicName, Target};

/// The steps a message takes after routing. Each receiver stands in it once, however often it was named.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Channels whose subscribers get it, here and elsewhere.
    pub channels: SmallVec<[&'a Channel; 1]>,
    /// Clients of this instance that get it.
    pub here: SmallVec<[ClientId; 1]>,
    /// Clients that get it if another instance has them.
    pub elsewhere: SmallVec<[ClientId; 1]>,
    /// Whether every client of every instance gets it; then no client stands in the plan by itself.
    pub everyone: bool,
    /// Logic modules that get it, and on which instance if not where they run for this one.
    pub logic: SmallVec<[(&'a LogicName, Option<&'a InstanceId>); 1]>,
}

impl Plan<'_> {
    /// Whether clients get it, and not logic alone.
    pub fn leaves(&self) -> bool {
        self.everyone || !self.channels.is_empty() || !self.here.is_empty() || !self.elsewhere.is_empty()
    }
}

/// Makes the plan for a message with these targets; `is_here` knows the clients of this instance.
pub fn route(targets: &[Target], is_here: impl Fn(ClientId) -> bool) -> Plan<'_> {
    let mut plan = Plan { everyone: targets.contains(&Target::Everyone), ..Plan::default() };
    // Nearly every message has one target, which cannot be there twice.
    let mut seen = HashSet::default();
    for target in targets {
        if targets.len() > 1 && !seen.insert(target) {
            continue;
        }
        match target {
            Target::Channel(channel) => plan.channels.push(channel),
            Target::Client(_) | Target::Everyone if plan.everyone => {}
            Target::Client(client) if is_here(*client) => plan.here.push(*client),
            Target::Client(client) => plan.elsewhere.push(*client),
            Target::Logic(name) => plan.logic.push((name, None)),
            Target::LogicAt(name, instance) => plan.logic.push((name, Some(instance))),
            Target::Everyone => {}
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    fn target() -> impl Strategy<Value = Target> {
        let (channel, logic) = (|n| Channel::trusted(&format!("c{n}")), |n| LogicName::new(&format!("l{n}")));
        prop_oneof![
            4 => (0u8..5).prop_map(move |n| Target::Channel(channel(n))),
            4 => (0u8..8).prop_map(|n| Target::Client(client(n))),
            1 => Just(Target::Everyone),
            2 => (0u8..3).prop_map(move |n| Target::Logic(logic(n))),
            2 => (0u8..3, 0u8..3).prop_map(move |(n, at)| {
                Target::LogicAt(logic(n), InstanceId::new(&format!("i{at}")))
            }),
        ]
    }

    /// The targets that a plan stands for.
    fn named(plan: &Plan<'_>) -> Vec<Target> {
        let clients = plan.here.iter().chain(&plan.elsewhere).map(|client| Target::Client(*client));
        let channels = plan.channels.iter().map(|channel| Target::Channel((*channel).clone()));
        let logic = plan.logic.iter().map(|(name, at)| match at {
            Some(at) => Target::LogicAt((*name).clone(), (*at).clone()),
            None => Target::Logic((*name).clone()),
        });
        let everyone = plan.everyone.then_some(Target::Everyone);
        channels.chain(clients).chain(logic).chain(everyone).collect()
    }

    proptest! {
        #[test]
        fn every_target_is_in_the_plan_once_and_nothing_else_is(targets in proptest::collection::vec(target(), 0..20)) {
            let plan = route(&targets, |id| id.as_bytes()[0] % 2 == 0);
            let named = named(&plan);
            let distinct: HashSet<_> = named.iter().collect();
            prop_assert_eq!(distinct.len(), named.len(), "nothing twice");
            for target in &targets {
                let covered = plan.everyone && matches!(target, Target::Client(_));
                prop_assert!(covered != distinct.contains(target), "{:?}", target);
            }
            prop_assert!(named.iter().all(|target| targets.contains(target)), "nothing invented");
            prop_assert!(plan.here.iter().all(|id| id.as_bytes()[0] % 2 == 0));
            prop_assert!(plan.elsewhere.iter().all(|id| id.as_bytes()[0] % 2 == 1));
            prop_assert_eq!(plan.leaves(), named.iter().any(|target| !matches!(target, Target::Logic(_) | Target::LogicAt(..))));
        }
    }
}

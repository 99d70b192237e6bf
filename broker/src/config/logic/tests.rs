use super::*;

fn problems(modules: &[Module]) -> Vec<String> {
    let mut problems = Vec::new();
    Logic { modules: modules.to_vec() }.check(&mut problems);
    problems.into_iter().map(|problem| problem.path).collect()
}

fn broadcaster(name: &str) -> Module {
    Module { broadcaster: Some(Broadcaster {}), ..Module::named(name) }
}

fn monitor() -> Module {
    Module { inactivity: Some(Inactivity::default()), ..Module::named("idle") }
}

#[test]
fn each_module_is_one_thing_with_a_name_of_its_own() {
    assert_eq!(problems(&[broadcaster("all"), monitor()]), Vec::<String>::new());
    assert_eq!(problems(&[Module::named("nothing")]), ["logic.modules[0].name"]);
    let both = Module { inactivity: Some(Inactivity::default()), ..broadcaster("both") };
    assert_eq!(problems(&[both]), ["logic.modules[0].name"]);
    let webhook = Module { webhook: Some(Webhook::at("http://h")), ..Module::named("game") };
    assert_eq!(problems(std::slice::from_ref(&webhook)), Vec::<String>::new());
    let both = Module { broadcaster: Some(Broadcaster {}), ..webhook };
    assert_eq!(problems(&[both]), ["logic.modules[0].name"]);
    let webhook = Some(Webhook { batch: 0, ..Webhook::at("h") });
    let places = ["logic.modules[0].webhook.url", "logic.modules[0].webhook.batch"];
    assert_eq!(problems(&[Module { webhook, ..Module::named("game") }]), places);
    assert_eq!(problems(&[broadcaster("a"), broadcaster("a")]), ["logic.modules[1].name"]);
    for bad in ["", "a b", &"x".repeat(65)] {
        assert_eq!(problems(&[broadcaster(bad)]), ["logic.modules[0].name"], "{bad:?}");
    }
}

#[test]
fn limits_are_not_zero() {
    let zero = Period::from_secs(0);
    let module = Module { concurrency: 0, queue: 0, time_limit: zero, ..broadcaster("all") };
    let place = |key: &str| format!("logic.modules[0].{key}");
    assert_eq!(problems(&[module]), ["concurrency", "queue", "time_limit"].map(place));
    let inactivity = Some(Inactivity { after: zero, every: zero });
    let places = ["inactivity.after", "inactivity.every"].map(place);
    assert_eq!(problems(&[Module { inactivity, ..monitor() }]), places);
}

#[test]
fn a_monitor_receives_nothing_and_runs_everywhere() {
    let module = Module { receives: vec![Receives::Rpc], placement: Placement::OneInstance, ..monitor() };
    assert_eq!(problems(&[module]), ["logic.modules[0].receives", "logic.modules[0].placement"]);
}

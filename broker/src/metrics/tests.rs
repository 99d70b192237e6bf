use std::collections::BTreeSet;

use super::*;

#[test]
fn every_metric_has_its_name_and_labels() {
    let metrics = Metrics::new();
    let websocket = metrics.endpoint("websocket");
    websocket.connections.inc();
    metrics.webhook("game").posts.breaker.set(1);
    metrics.hook("publish").calls.inc(HookOutcome::Refused);
    let text = metrics.encode();
    for line in [
        concat!("switchboard_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "switchboard_connections{endpoint=\"websocket\"} 1",
        "switchboard_connects_total{endpoint=\"websocket\"} 0",
        "switchboard_disconnects_total{endpoint=\"websocket\",reason=\"slow\"} 0",
        "switchboard_received_total{command=\"publish\",endpoint=\"websocket\"} 0",
        "switchboard_rejected_total{reason=\"malformed\",stage=\"codec\"} 0",
        "switchboard_publishes_total{source=\"client\"} 0",
        "switchboard_publishes_total{source=\"api\"} 0",
        "switchboard_publishes_total{source=\"logic\"} 0",
        "switchboard_publish_failures_total{reason=\"disconnected\"} 0",
        "switchboard_deliveries_total{origin=\"local\"} 0",
        "switchboard_deliveries_total{origin=\"remote\"} 0",
        "switchboard_delivery_failures_total{reason=\"slow\"} 0",
        "switchboard_envelopes_total{direction=\"sent\"} 0",
        "switchboard_envelopes_total{direction=\"received\"} 0",
        "switchboard_envelopes_dropped_total{reason=\"malformed\"} 0",
        "switchboard_channels 0",
        "switchboard_subscriptions 0",
        "switchboard_boards 0",
        "switchboard_board_flushes_total 0",
        "switchboard_board_movements_total{outcome=\"told\"} 0",
        "switchboard_redis_up 0",
        "switchboard_redis_reconnects_total 0",
        "switchboard_redis_probe_seconds_bucket{le=\"0.00005\"} 0",
        "switchboard_redis_command_seconds_count{command=\"publish\"} 0",
        "switchboard_outbox_bytes 0",
        "switchboard_tls_not_after_seconds 0",
        "switchboard_tls_reloads_total 0",
        "switchboard_tls_reload_failures_total 0",
        "switchboard_webhook_attempts_total{module=\"game\",outcome=\"server_error\"} 0",
        "switchboard_webhook_bad_replies_total{module=\"game\"} 0",
        "switchboard_webhook_actions_total{module=\"game\",outcome=\"failed\"} 0",
        "switchboard_webhook_breaker{module=\"game\"} 1",
        "switchboard_hook_calls_total{hook=\"publish\",outcome=\"refused\"} 1",
        "switchboard_hook_attempts_total{hook=\"publish\",outcome=\"ok\"} 0",
        "switchboard_hook_pending{hook=\"publish\"} 0",
        "switchboard_hook_breaker{hook=\"publish\"} 0",
        "switchboard_hook_seconds_count{hook=\"publish\"} 0",
        "switchboard_auth_keys 0",
        "switchboard_auth_key_reloads_total 0",
        "switchboard_auth_key_reload_failures_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    #[cfg(target_os = "linux")]
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[test]
fn counting_shows() {
    let metrics = Metrics::new();
    metrics.deliveries.inc(Origin::Local);
    metrics.deliveries.add(Origin::Remote, 41);
    metrics.rejected.inc(Rejection::UnknownChannel);
    metrics.received::<ApiMethod>("http").inc(ApiMethod::Broadcast);
    metrics.redis_commands.get(RedisCommand::Publish).observe(0.0003);
    assert_eq!(metrics.deliveries.get(Origin::Remote), 41);
    let text = metrics.encode();
    for line in [
        "switchboard_deliveries_total{origin=\"local\"} 1",
        "switchboard_deliveries_total{origin=\"remote\"} 41",
        "switchboard_rejected_total{reason=\"unknown_channel\",stage=\"router\"} 1",
        "switchboard_received_total{command=\"broadcast\",endpoint=\"http\"} 1",
        "switchboard_redis_command_seconds_bucket{command=\"publish\",le=\"0.0002\"} 0",
        "switchboard_redis_command_seconds_bucket{command=\"publish\",le=\"0.0004\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn handles_of_one_endpoint_count_together() {
    let metrics = Metrics::new();
    let (one, two) = (metrics.endpoint("websocket"), metrics.endpoint("websocket"));
    one.received.inc(ClientCommand::Connect);
    two.received.inc(ClientCommand::Connect);
    one.disconnects.inc(Disconnect::Slow);
    assert_eq!(two.received.get(ClientCommand::Connect), 2);
    assert_eq!(two.disconnects.get(Disconnect::Slow), 1);
}

#[test]
fn two_brokers_in_one_process_count_apart() {
    let (one, two) = (Metrics::new(), Metrics::new());
    one.publishes.inc(Source::Client);
    assert_eq!((one.publishes.get(Source::Client), two.publishes.get(Source::Client)), (1, 0));
}

#[test]
fn no_label_can_grow_with_clients_or_channels() {
    let metrics = Metrics::new();
    metrics.endpoint("websocket");
    let labels: BTreeSet<String> = metrics
        .registry()
        .gather()
        .iter()
        .flat_map(|family| family.get_metric().to_vec())
        .flat_map(|metric| metric.get_label().iter().map(|l| l.name().to_owned()).collect::<Vec<_>>())
        .collect();
    let closed =
        ["command", "direction", "endpoint", "origin", "outcome", "reason", "source", "stage", "version"];
    assert_eq!(labels, closed.iter().map(ToString::to_string).collect());
}

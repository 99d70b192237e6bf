//! The endpoint of boards, and the task that tells what happens on them.

use std::sync::Arc;

use axum::Router;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::session_settings;
use crate::{
    config::Config,
    endpoint::{
        Gateway,
        accept::Admission,
        presence::{Boards, Endpoint, Pace, Settings},
    },
};

/// The route of the endpoint, where the configuration wants it. The task runs on `servers` until `stop` is cancelled.
pub(super) fn boards(
    config: &Config,
    gateway: &Arc<Gateway>,
    (admission, connections): (&Arc<Admission>, &TaskTracker),
    (servers, stop): (&TaskTracker, &CancellationToken),
) -> Router {
    let presence = &config.endpoints.presence;
    if !presence.enabled {
        return Router::new();
    }
    let pace = Pace {
        cursor_rate: presence.cursor_rate,
        flush_interval: presence.flush_interval.get(),
        compress_above: presence.compress_above.bytes(),
    };
    let boards = Boards::new(gateway.hub.clone(), gateway.backplane.clone(), pace);
    let (telling, stop) = (boards.clone(), stop.clone());
    servers.spawn(async move { stop.run_until_cancelled(telling.run()).await });
    let settings = Settings {
        session: session_settings(config, presence.ping_interval.get(), presence.pong_timeout.get()),
        channel_prefix: presence.channel_prefix.clone(),
        announcements: presence.announcements.clone(),
        idle_timeout: presence.idle_timeout.get(),
    };
    let origins = config.client.allowed_origins.clone();
    let of_clients = (admission.clone(), connections.clone());
    Endpoint::new(gateway.clone(), (boards, settings), origins, of_clients).router(&presence.path)
}

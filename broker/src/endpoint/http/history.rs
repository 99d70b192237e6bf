//! Methods about what is kept of channels: `history`, `history_remove`.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Api, Failed, Method};
use crate::{
    backplane::{Kept, Past},
    channel::Since,
    endpoint::ErrorCode,
    message::Channel,
    metrics::ApiMethod,
};

#[derive(Deserialize)]
pub(super) struct History {
    channel: String,
    /// As in the command of clients: 0 for none but the position, a negative number for all.
    #[serde(default)]
    limit: i32,
    #[serde(default)]
    since: Option<Position>,
    #[serde(default)]
    reverse: bool,
}

#[derive(Deserialize)]
struct Position {
    offset: u64,
    #[serde(default)]
    epoch: String,
}

#[derive(Deserialize)]
pub(super) struct HistoryRemove {
    channel: String,
}

/// The channel, which has history.
fn channel(api: &Api, name: &str) -> Result<Channel, Failed> {
    let channel = api.gateway.channel(name)?;
    api.gateway.with_history(channel).map_err(|error| match error {
        ErrorCode::NotAvailable => Failed::of(
            error,
            "the namespace keeps nothing of what is published: see history of channels.namespaces",
        ),
        error => error.into(),
    })
}

impl Method for History {
    const LABEL: ApiMethod = ApiMethod::History;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let channel = channel(api, &self.channel)?;
        let since = self.since.as_ref().map(|since| Since::new(since.offset, &since.epoch));
        let has_no_such_epoch = |since: &Position| !since.epoch.is_empty();
        if since.is_some_and(|since| since.epoch.is_none())
            && self.since.as_ref().is_some_and(has_no_such_epoch)
        {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        let limit = usize::try_from(self.limit).ok();
        let past = api.gateway.history(&channel, since.as_ref(), limit, self.reverse).await?;
        let Past { top, publications } = past.ok_or(ErrorCode::UnrecoverablePosition)?;
        let publications: Vec<_> = publications.iter().map(describe).collect();
        Ok(json!({"publications": publications, "offset": top.offset, "epoch": top.epoch.as_str()}))
    }
}

impl Method for HistoryRemove {
    const LABEL: ApiMethod = ApiMethod::HistoryRemove;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let channel = channel(api, &self.channel)?;
        api.gateway.backplane.remove_history(&channel).await?;
        Ok(json!({}))
    }
}

/// A publication, as subscribers get it.
fn describe(kept: &Kept) -> Value {
    let publication = kept.publication();
    let mut described = json!({"offset": kept.offset});
    for (name, json) in [("data", publication.data), ("info", publication.info), ("tags", publication.tags)] {
        if let Ok(value) = serde_json::from_slice::<Box<RawValue>>(json) {
            described[name] = json!(value);
        }
    }
    described
}

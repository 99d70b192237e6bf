//! What was published in a channel, for one client.

use std::sync::Arc;

use super::Session;
use crate::{
    channel,
    codec::centrifuge::{History, Reply, Since},
    endpoint::{ErrorCode, Refusal},
    registry::Client,
};

/// A position as a client writes it in the command `history`: without an epoch it is of whatever stream there is.
fn since(since: &Since<'_>) -> Result<channel::Since, ErrorCode> {
    let position = channel::Since::new(since.offset, &since.epoch);
    match position.epoch {
        None if !since.epoch.is_empty() => Err(ErrorCode::UnrecoverablePosition),
        _ => Ok(position),
    }
}

impl Session {
    /// Reads from a channel's stream.
    pub(super) fn history(
        &self,
        client: &Arc<Client>,
        id: u32,
        history: &History<'_>,
    ) -> Result<(), Refusal> {
        let channel = self.gateway().history_channel(client, &history.channel)?;
        let since = history.since.as_ref().map(since).transpose()?;
        // A negative number stands for all.
        let (limit, reverse) = (usize::try_from(history.limit).ok(), history.reverse);
        let (service, outbox) = (self.service.clone(), self.outbox.clone());
        self.ask(async move {
            let past = service.gateway.history(&channel, since.as_ref(), limit, reverse).await;
            let past = past.map_err(|_| ErrorCode::Internal);
            let past = past.and_then(|past| past.ok_or(ErrorCode::UnrecoverablePosition));
            let answered = past.and_then(|past| service.try_answer(&outbox, id, &Reply::History(&past)));
            if let Err(error) = answered {
                service.refuse(&outbox, id, error);
            }
        })
    }
}

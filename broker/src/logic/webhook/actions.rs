//! Carrying out what the receiver asks for.

use futures_util::future::{BoxFuture, FutureExt};

use super::reply::Action;
use crate::{
    backplane::Unavailable,
    cluster::{Changed, Reach},
    logic::Context,
};

/// Does one thing after the other, and tells of each what became of it. When it ends, everything that was to be sent
/// has been taken by the backplane, or has failed.
pub(super) async fn carry_out(
    actions: impl IntoIterator<Item = Action>,
    context: &Context,
    mut tell: impl FnMut(Result<(), String>),
) {
    // What is sent in a row is waited for together: the order is that of the calls.
    let mut under_way: Vec<BoxFuture<'static, Result<(), Unavailable>>> = Vec::new();
    for action in actions {
        match action {
            Action::Send { targets, except, data, metadata } => {
                match context.post(targets, except, data, metadata) {
                    Ok(taken) => under_way.push(taken.boxed()),
                    Err(error) => tell(Err(format!("send: {error}"))),
                }
            }
            Action::Note(client, metadata) => tell(match context.note(client, &metadata).await {
                Reach::Delivered => Ok(()),
                Reach::Gone => Err(format!("note: no such client is connected: {client}")),
                Reach::Unreachable => Err(format!("note: the instance of {client} does not answer")),
            }),
            Action::Change(who, channel, change) => {
                let named = channel.as_str();
                tell(match context.change(&who, named, change).await {
                    Ok(Changed { full: 0, failed: 0, .. }) => Ok(()),
                    Ok(Changed { full, failed, .. }) => Err(format!(
                        "subscribe: {failed} could not be for now, and {full} have as many channels as they may have: {named}"
                    )),
                    Err(refusal) => Err(format!("subscriptions to {named}: {refusal}")),
                });
            }
            Action::Disconnect(who, reason, extent) => {
                // What was sent before shall arrive before.
                wait(&mut under_way, &mut tell).await;
                let ended = context.end(&who, reason, extent).await;
                tell(ended.map(|_| ()).map_err(|error| format!("disconnect: {error}")));
            }
        }
    }
    wait(&mut under_way, &mut tell).await;
}

async fn wait(
    under_way: &mut Vec<BoxFuture<'static, Result<(), Unavailable>>>,
    tell: &mut impl FnMut(Result<(), String>),
) {
    for taken in under_way.drain(..) {
        tell(taken.await.map_err(|error| format!("send: {error}")));
    }
}

//! Disconnects clients that have sent nothing for long.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::sleep;

use super::{Context, Logic};
use crate::{
    clock::now_ms,
    cluster::Who,
    endpoint::{Disconnect, EndpointKind},
    registry::Query,
};

/// Disconnects clients whose last message came long ago. Each instance watches its own, so nothing is done twice.
pub struct InactivityMonitor {
    /// How long a client may be silent.
    pub after: Duration,
    /// How often is looked.
    pub every: Duration,
}

impl Logic for InactivityMonitor {
    fn run<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()> {
        async move {
            while !context.is_stopped() {
                self.look(context).await;
                tokio::select! {
                    () = sleep(self.every) => {}
                    () = context.stopped() => {}
                }
            }
        }
        .boxed()
    }
}

impl InactivityMonitor {
    async fn look(&self, context: &Context) {
        let before = now_ms().saturating_sub(self.after.as_millis() as u64);
        let mut query = Query { silent_since: Some(before), limit: Query::LIMIT, ..Query::default() };
        loop {
            let page = context.local_clients(&query);
            // Who can only listen has nothing to send.
            let only_listens = EndpointKind::Sse.as_str();
            for found in page.clients.iter().filter(|found| found.client.endpoint != only_listens) {
                // The client is one of this instance, so nobody else is asked, and nothing can fail.
                let _ = context.disconnect(&Who::Client(found.client.id), Disconnect::Inactive).await;
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return,
            }
        }
    }
}

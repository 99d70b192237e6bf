//! Asking hooks for a client of the endpoint.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Talk, Wanted};
use crate::{
    auth::Identity,
    codec::presence::ToClient,
    endpoint::{Disconnect, EndpointKind, ErrorCode, Greeting},
    hooks::{Asked, ConnectHook, Granted, Verdict},
    message::ClientId,
    metrics::Rejection,
};

/// What a hook is asked, and what for.
pub(super) struct Asking {
    asked: Asked,
    /// Whether the client may connect at all.
    connect: Option<Connecting>,
    wanted: Wanted,
}

struct Connecting {
    id: ClientId,
    /// Who it is by its token.
    verified: Option<Identity>,
}

impl Talk {
    pub(super) fn ask_to_connect(
        &mut self,
        hook: &ConnectHook,
        token: &str,
        verified: Option<Identity>,
        wanted: Wanted,
    ) {
        let id = ClientId::generate();
        let greeting = Greeting { token, name: None, data: None };
        let kind = EndpointKind::Presence;
        let asked = self.gateway().ask_to_connect(hook, id, verified.as_ref(), kind, &greeting);
        self.asking = Some(Box::new(Asking { asked, connect: Some(Connecting { id, verified }), wanted }));
    }

    /// Asks whether the client may be on the board, where there is a hook for that, and lets it.
    pub(super) fn ask_to_join(&mut self, wanted: Wanted) {
        let Some(client) = &self.client else { return };
        let Some(hook) = self.gateway().hooks.subscribe(&wanted.channel) else {
            return self.sit_down(&wanted, None);
        };
        let (hook, client) = (Arc::clone(hook), client.clone());
        match self.gateway().ask_to_subscribe(&hook, &client, &wanted.channel, &wanted.pass) {
            Ok(asked) => self.asking = Some(Box::new(Asking { asked, connect: None, wanted })),
            Err(error) => self.service.refuse(&self.outbox, error),
        }
    }

    /// Goes on if the hook has answered.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Result<(), Disconnect> {
        while let Some(asking) = &mut self.asking {
            let Poll::Ready(verdict) = Pin::new(&mut asking.asked).poll(cx) else { return Ok(()) };
            let Some(asking) = self.asking.take() else { return Ok(()) };
            let Asking { connect, wanted, .. } = *asking;
            // Only a call that has panicked brings none.
            match verdict.unwrap_or(Verdict::Failed(ErrorCode::Internal)) {
                Verdict::Allowed(granted) => match connect {
                    Some(connecting) => self.connected(connecting, granted, wanted)?,
                    None => self.sit_down(&wanted, granted.info),
                },
                Verdict::Refused(refusal) => {
                    self.service.count(Rejection::Hook);
                    self.service.tell(&self.outbox, &ToClient::Error(refusal.code, &refusal.message));
                }
                Verdict::Ended(farewell) => {
                    self.service.count(Rejection::Hook);
                    self.outbox.close_with(farewell);
                }
                Verdict::Failed(error) => self.service.refuse(&self.outbox, error),
            }
        }
        Ok(())
    }

    fn connected(
        &mut self,
        Connecting { id, verified }: Connecting,
        granted: Granted,
        wanted: Wanted,
    ) -> Result<(), Disconnect> {
        let service = self.service.clone();
        let hook = service.gateway.hooks.connect.as_ref();
        let Some((identity, end)) = hook.and_then(|hook| hook.identity(verified, granted)) else {
            service.count(Rejection::NoToken);
            return Err(Disconnect::PermissionDenied);
        };
        self.let_in(id, identity, end)?;
        self.ask_to_join(wanted);
        Ok(())
    }
}

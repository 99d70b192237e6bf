//! The answer to an event of a client, if it wants one.

use std::sync::Arc;

use super::{Namespace, session::Session};
use crate::{
    codec::{centrifuge::write_string, socketio::write_ack},
    endpoint::{ErrorCode, Refusal},
};

/// What an event is answered with: `{"status":"ok"}` and what belongs to it, or `{"status":"error"}` and why.
#[derive(Clone)]
pub(super) struct Reply {
    session: Arc<Session>,
    namespace: Arc<Namespace>,
    /// The event's number; without one nobody wants an answer.
    id: Option<u64>,
    /// What is told beside: fields of an object, each with a comma in front.
    more: String,
}

impl Reply {
    /// To the event of this number.
    pub(super) fn new(session: &Arc<Session>, namespace: &Arc<Namespace>, id: Option<u64>) -> Self {
        Self { session: session.clone(), namespace: namespace.clone(), id, more: String::new() }
    }

    /// The same, with these fields: each with a comma in front.
    pub(super) fn with(self, more: String) -> Self {
        Self { more, ..self }
    }

    /// Whether somebody wants it.
    pub(super) fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// It is done.
    pub(super) fn ok(&self) {
        if self.is_wanted() {
            self.args(format!(r#"[{{"status":"ok"{}}}]"#, self.more).as_bytes());
        }
    }

    /// It is not done, which is counted.
    pub(super) fn refuse(&self, why: impl Into<Refusal>) {
        let why = why.into();
        let code = why.code();
        if let Some(rejection) = code.rejection() {
            self.session.endpoint.count(rejection);
        }
        if !self.is_wanted() {
            return;
        }
        let mut json = format!(r#"[{{"status":"error","code":{},"message":"#, code.code()).into_bytes();
        write_string(why.message(), &mut json);
        json.extend_from_slice(if code.is_temporary() { br#","temporary":true}]"# } else { b"}]" });
        self.args(&json);
    }

    /// These arguments: a JSON array.
    pub(super) fn args(&self, json: &[u8]) {
        let Some(id) = self.id else { return };
        let outbox = &self.session.outbox;
        let mut frame = Vec::with_capacity(json.len() + 32);
        write_ack(&self.namespace.name, id, json, &mut frame);
        // One that the outbox cannot hold would close the client, which would come back and ask again.
        match frame.len() <= outbox.limit() {
            true => drop(outbox.push(&frame)),
            false => self.refuse(ErrorCode::AnswerTooLarge),
        }
    }
}

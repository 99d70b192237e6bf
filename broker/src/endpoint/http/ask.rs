//! The method `ask`: an event that clients of Socket.IO answer.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Api, Failed, LABEL, Method, except::LeftOut, publish::payload};
use crate::{
    cluster::{AskError, Asked},
    endpoint::ErrorCode,
    message::{ClientId, Message, Source},
    metrics::ApiMethod,
};

/// Clients that can be named in one question.
pub(super) const CLIENTS: usize = 1000;

/// The longest that clients may be waited for, in milliseconds.
pub(super) const TIMEOUT: u64 = 60_000;

/// An event, who is to answer it, and for how long that is waited for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    clients: Vec<ClientId>,
    /// Of those in the channel.
    #[serde(default)]
    except: Option<LeftOut>,
    data: Box<RawValue>,
    /// In milliseconds.
    #[serde(default)]
    timeout: Option<u64>,
}

impl Method for Ask {
    const LABEL: ApiMethod = ApiMethod::Ask;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let gateway = &api.gateway;
        let whom = match (self.channel, self.clients) {
            (Some(name), clients) if clients.is_empty() => {
                let channel = gateway.channel(&name)?;
                gateway.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
                Asked::Channel(channel, LeftOut::read(self.except, gateway)?)
            }
            (None, _) if self.except.is_some() => {
                return Err(Failed::bad("except goes with channel".to_owned()));
            }
            (None, mut clients) if !clients.is_empty() => {
                if clients.len() > CLIENTS {
                    return Err(Failed::bad(format!("{} clients; name at most {CLIENTS}", clients.len())));
                }
                clients.sort_unstable();
                clients.dedup();
                Asked::Clients(clients)
            }
            _ => return Err(Failed::bad("write one of channel and clients".to_owned())),
        };
        if self.timeout.is_some_and(|timeout| !(1..=TIMEOUT).contains(&timeout)) {
            return Err(Failed::bad(format!("timeout is in milliseconds, from 1 to {TIMEOUT}")));
        }
        let mut message = Message::to(Source::Api, [].into_iter().collect(), payload(&self.data));
        message.endpoint = Some(LABEL);
        let answered = gateway.pipeline.ask(message, whom, self.timeout.map(Duration::from_millis)).await?;
        Ok(json!(answered))
    }
}

impl From<AskError> for Failed {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Off => Self::of(ErrorCode::NotAvailable, &error.to_string()),
            AskError::NoEvent(_) => Self::bad(error.to_string()),
            AskError::Busy => Self::of(ErrorCode::TooManyRequests, &error.to_string()),
            AskError::Rejected(rejection) => rejection.into(),
            AskError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

//! Who does not get what others get.

use serde::Deserialize;

use super::Failed;
use crate::{
    endpoint::{ErrorCode, Gateway},
    message::{ClientId, Except},
};

/// Clients that can be left out.
pub(super) const CLIENTS: usize = 1000;

/// Channels whose subscribers can be left out.
pub(super) const CHANNELS: usize = 100;

/// Clients, and channels whose subscribers are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeftOut {
    #[serde(default)]
    clients: Vec<ClientId>,
    #[serde(default)]
    channels: Vec<String>,
}

impl LeftOut {
    /// As it stands in a message; nothing if nobody is named.
    ///
    /// # Errors
    /// It names too many, or a channel that cannot be.
    pub(super) fn read(named: Option<Self>, gateway: &Gateway) -> Result<Option<Box<Except>>, Failed> {
        let Some(Self { clients, channels }) = named else { return Ok(None) };
        if clients.len() > CLIENTS || channels.len() > CHANNELS {
            let message = format!("except: name at most {CLIENTS} clients and {CHANNELS} channels");
            return Err(Failed::bad(message));
        }
        if clients.is_empty() && channels.is_empty() {
            return Ok(None);
        }
        let find = |name: &String| {
            let channel = gateway.channel(name)?;
            gateway.namespaces.of(name).map(|_| channel).ok_or(ErrorCode::UnknownChannel)
        };
        let found: Result<Vec<_>, _> = channels.iter().map(find).collect();
        let channels = found.map_err(|code| Failed::of(code, "a channel in except"))?;
        Ok(Some(Box::new(Except { clients, channels })))
    }
}

//! Clients of other instances that are to answer.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;

use super::Answers;
use crate::{
    backplane::{
        ANSWER_WITHIN, Excluded, Unavailable,
        envelope::{take, take_u32},
    },
    cluster::Asked,
    endpoint::socketio::{Endpoint, elsewhere::Op},
    message::{Address, Channel, ClientId},
};

impl Endpoint {
    /// The other instances that clients who are to answer may be on, and whom each is to ask.
    ///
    /// # Errors
    /// Nobody knows that now.
    pub(super) async fn others_with(&self, whom: &Asked) -> Result<Vec<(Address, Asked)>, Unavailable> {
        let cluster = &self.gateway.pipeline.cluster;
        let ids = match whom {
            Asked::Channel(..) => {
                let others = cluster.others().await?;
                return Ok(others.into_iter().map(|other| (other, whom.clone())).collect());
            }
            Asked::Clients(ids) => ids,
        };
        let elsewhere: Vec<_> =
            ids.iter().copied().filter(|id| self.gateway.hub.registry.get(*id).is_none()).collect();
        if elsewhere.is_empty() {
            return Ok(Vec::new());
        }
        let located = cluster.backplane.locate(&elsewhere).await?;
        let mut places: HashMap<Address, Vec<ClientId>> = HashMap::new();
        for (client, located) in elsewhere.into_iter().zip(located) {
            // A record of this very instance is of a client that has just gone.
            if let Some(located) = located.filter(|located| located.address != self.gateway.hub.address) {
                places.entry(located.address).or_default().push(client);
            }
        }
        Ok(places.into_iter().map(|(address, clients)| (address, Asked::Clients(clients))).collect())
    }

    /// Asks clients of other instances; nothing for an instance that does not say what they answered.
    pub(super) async fn ask_elsewhere(
        &self,
        others: Vec<(Address, Asked)>,
        data: &[u8],
        within: Duration,
    ) -> Vec<(Address, Option<Answers>)> {
        let milliseconds = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let asked = others.into_iter().map(|(other, whom)| async move {
            let mut rest = milliseconds.to_le_bytes().to_vec();
            let (op, name) = match &whom {
                // What every version understands.
                Asked::Channel(channel, None) => (Op::Ask, channel.as_str()),
                Asked::Channel(channel, Some(left_out)) => {
                    let mut bytes = Vec::new();
                    let excluded = Excluded::write(left_out, &mut bytes).bytes();
                    rest.extend_from_slice(&u32::try_from(excluded.len()).unwrap_or_default().to_le_bytes());
                    rest.extend_from_slice(excluded);
                    (Op::AskOthers, channel.as_str())
                }
                Asked::Clients(clients) => {
                    rest.extend_from_slice(&u32::try_from(clients.len()).unwrap_or_default().to_le_bytes());
                    clients.iter().for_each(|client| rest.extend_from_slice(client.as_bytes()));
                    (Op::AskClients, "")
                }
            };
            rest.extend_from_slice(data);
            let answer = self.bring(other.clone(), op, name, &rest, within + ANSWER_WITHIN).await;
            (other, answer.ok().and_then(|answer| serde_json::from_slice(&answer).ok()))
        });
        join_all(asked).await
    }
}

/// What is behind the name in a question to clients: how long they have, who they are, and the event.
pub(in crate::endpoint::socketio) fn read<'a>(
    op: Op,
    name: &str,
    mut rest: &'a [u8],
) -> Option<(Duration, Asked, &'a [u8])> {
    let within = Duration::from_millis(take_u32(&mut rest).ok()?.into());
    let mut number = || Some(take_u32(&mut rest).ok()? as usize);
    let whom = match op {
        Op::AskClients => {
            let length = number()?.checked_mul(16)?;
            let (ids, _) = take(&mut rest, length).ok()?.as_chunks();
            Asked::Clients(ids.iter().map(|id| ClientId::from_bytes(*id)).collect())
        }
        Op::AskOthers => {
            let length = number()?;
            let excluded = Excluded::read(take(&mut rest, length).ok()?).ok()?;
            Asked::Channel(Channel::trusted(name), Some(Box::new(excluded.except())))
        }
        _ => Asked::Channel(Channel::trusted(name), None),
    };
    Some((within, whom, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            for op in [Op::Ask, Op::AskClients, Op::AskOthers] {
                let read = read(op, "room", &bytes);
                prop_assert!(read.is_none_or(|(_, _, event)| event.len() + 4 <= bytes.len()));
            }
        }
    }
}

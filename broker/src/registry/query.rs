//! What is known of clients, and how lists of them are asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::ClientId;

/// What one client says to others with its metadata: texts by name.
pub type Metadata = BTreeMap<String, String>;

/// What every instance can know of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Which client.
    pub id: ClientId,
    /// The user that it authenticated as; empty for anonymous.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The endpoint that it came through.
    pub endpoint: String,
    /// The namespace of Socket.IO that it is in; others have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When it connected, in milliseconds since 1970.
    pub connected: u64,
    /// When its last message came in, in milliseconds since 1970.
    pub last_message: u64,
    /// What logic modules and the server API have noted of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
}

/// Which clients are asked for. What is not given does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The last client of the page before; the list goes on behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ClientId>,
    /// How many at most; [`Query::LIMIT`] is the most, and what absence or 0 means [`Query::PAGE`].
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: usize,
    /// Of this user; the empty text means anonymous ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of this instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Of this endpoint, such as `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Subscribed to this channel. Instances of an earlier version do not know it, and leave such a question unanswered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// With this metadata, and perhaps more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// Whose last message came before this time, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<u64>,
}

fn is_zero(limit: &usize) -> bool {
    *limit == 0
}

impl Query {
    /// The most clients of a page.
    pub const LIMIT: usize = 1000;

    /// Clients of a page when nobody says how many.
    pub const PAGE: usize = 100;

    /// How many clients make a page.
    pub fn page(&self) -> usize {
        match self.limit {
            0 => Self::PAGE,
            limit => limit.min(Self::LIMIT),
        }
    }

    /// Whether a client is asked for. Instance and channel are not looked at: whoever answers knows its own.
    pub fn wants(&self, record: &ClientRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        is(&self.user, &record.user)
            && is(&self.endpoint, &record.endpoint)
            && self.silent_since.is_none_or(|time| record.last_message < time)
            && self.metadata.iter().all(|(key, value)| record.metadata.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ClientRecord {
        ClientRecord {
            id: ClientId::generate(),
            user: "ann".into(),
            endpoint: "websocket".into(),
            namespace: None,
            connected: 1,
            last_message: 10,
            metadata: Metadata::from([("room".into(), "7".into()), ("lang".into(), "de".into())]),
        }
    }

    #[test]
    fn each_filter_is_looked_at() {
        let wants = |query: Query| query.wants(&record());
        let metadata = |value: &str| Metadata::from([("room".to_owned(), value.to_owned())]);
        assert!(wants(Query::default()));
        for (good, bad) in [
            (
                Query { user: Some("ann".into()), ..Query::default() },
                Query { user: Some(String::new()), ..Query::default() },
            ),
            (
                Query { endpoint: Some("websocket".into()), ..Query::default() },
                Query { endpoint: Some("tcp".into()), ..Query::default() },
            ),
            (
                Query { silent_since: Some(11), ..Query::default() },
                Query { silent_since: Some(10), ..Query::default() },
            ),
            (
                Query { metadata: metadata("7"), ..Query::default() },
                Query { metadata: metadata("8"), ..Query::default() },
            ),
        ] {
            assert!(wants(good.clone()), "{good:?}");
            assert!(!wants(bad.clone()), "{bad:?}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        let page = |limit| Query { limit, ..Query::default() }.page();
        assert_eq!([page(0), page(1), page(5000)], [Query::PAGE, 1, Query::LIMIT]);
    }
}

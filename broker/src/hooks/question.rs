//! What is POSTed.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    endpoint::Farewell,
    message::{ClientId, InstanceId, MessageId},
    post::Parcel,
    registry::Metadata,
};

/// What is asked of a client.
#[derive(Serialize)]
pub struct Question<'a> {
    /// Its identity.
    pub client: ClientId,
    /// Its user, if that is known and it has one.
    #[serde(skip_serializing_if = "is_nobody")]
    pub user: Option<&'a str>,
    /// What others may know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<&'a RawValue>,
    /// What was noted of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it is connected by.
    pub transport: &'static str,
    /// Where it wants to subscribe or publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    /// What it publishes, or says when it connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// What it calls itself when it connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a RawValue>,
    /// What it connects with, where nobody has verified that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
}

/// A client that has gone.
#[derive(Debug, Serialize)]
pub struct Gone {
    /// Its identity.
    pub client: ClientId,
    /// Its user; empty if it had none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user: Box<str>,
    /// What others might know of it.
    #[serde(serialize_with = "as_json")]
    pub info: Bytes,
    /// What was noted of it.
    pub metadata: Metadata,
    /// What it was connected by.
    pub transport: &'static str,
    /// What it was told, or would have been.
    #[serde(flatten, serialize_with = "as_code_and_reason")]
    pub farewell: Farewell,
}

#[derive(Serialize)]
struct Body<'a, T> {
    id: Uuid,
    hook: &'static str,
    instance: &'a str,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Disconnects<'a> {
    disconnects: &'a [Gone],
}

fn is_nobody(user: &Option<&str>) -> bool {
    user.is_none_or(str::is_empty)
}

fn as_json<S: Serializer>(json: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_slice::<&RawValue>(json).ok().serialize(serializer)
}

fn as_code_and_reason<S: Serializer>(farewell: &Farewell, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Words<'a> {
        code: u16,
        reason: &'a str,
    }
    Words { code: farewell.code, reason: &farewell.reason }.serialize(serializer)
}

fn parcel(hook: &'static str, instance: &InstanceId, content: impl Serialize) -> Parcel {
    let id = MessageId::generate().0;
    let body = Body { id, hook, instance: instance.as_str(), content };
    // Texts, numbers and JSON into memory: that cannot fail.
    Parcel { id, body: serde_json::to_vec(&body).unwrap_or_default().into() }
}

impl Question<'_> {
    pub(super) fn parcel(&self, hook: &'static str, instance: &InstanceId) -> Parcel {
        parcel(hook, instance, self)
    }
}

impl Gone {
    pub(super) fn parcel(gone: &[Self], hook: &'static str, instance: &InstanceId) -> Parcel {
        parcel(hook, instance, Disconnects { disconnects: gone })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(parcel: &Parcel) -> Value {
        serde_json::from_slice(&parcel.body).unwrap()
    }

    #[test]
    fn a_question_has_what_is_known_and_nothing_else() {
        let client = ClientId::generate();
        let data = RawValue::from_string(r#"{"n": 1.50}"#.to_owned()).unwrap();
        let (user, info, metadata, name, token) = Default::default();
        let transport = "websocket";
        let mut question = Question {
            client,
            user,
            info,
            metadata,
            transport,
            channel: Some("a"),
            data: Some(&data),
            name,
            token,
        };
        let parcel = question.parcel("publish", &InstanceId::new("chat-0"));
        assert!(parcel.body.ends_with(br#""data":{"n": 1.50}}"#), "as it was written");
        let expected = json!({
            "id": parcel.id, "hook": "publish", "instance": "chat-0", "client": client, "transport": "websocket",
            "channel": "a", "data": {"n": 1.5},
        });
        assert_eq!(written(&parcel), expected);
        question.user = Some("");
        assert_eq!(written(&question.parcel("publish", &InstanceId::new("a"))).get("user"), None);
    }

    #[test]
    fn clients_that_have_gone_are_told_of_together() {
        let client = ClientId::generate();
        let gone = Gone {
            client,
            user: "ann".into(),
            info: Bytes::from_static(br#"{"user":"ann"}"#),
            metadata: Metadata::from([("level".to_owned(), "3".to_owned())]),
            transport: "tcp",
            farewell: Farewell { code: 3000, reason: "connection closed".into() },
        };
        let parcel = Gone::parcel(&[gone], "disconnect", &InstanceId::new("chat-0"));
        let expected = json!({
            "id": parcel.id, "hook": "disconnect", "instance": "chat-0", "disconnects": [{
                "client": client, "user": "ann", "info": {"user": "ann"}, "metadata": {"level": "3"},
                "transport": "tcp", "code": 3000, "reason": "connection closed",
            }],
        });
        assert_eq!(written(&parcel), expected);
    }
}

//! What the receiver is sent.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    logic::Context,
    message::{ClientId, Message, MessageId, Source},
    post::Parcel,
};

#[derive(Serialize)]
struct Body<'a> {
    id: Uuid,
    module: &'a str,
    instance: &'a str,
    messages: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: Uuid,
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logic: Option<&'a str>,
    rpc: bool,
    metadata: &'a BTreeMap<String, String>,
    data: Data<'a>,
}

/// JSON as it came; what is no JSON is a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

/// What of a client's description is lifted out of it.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow, default)]
    user: Cow<'a, str>,
}

/// These messages on their way to a module's receiver.
pub(super) fn parcel(messages: &[Message], context: &Context) -> serde_json::Result<Parcel> {
    let id = MessageId::generate().0;
    let messages = messages.iter().map(Entry::of).collect();
    let (module, instance) = (context.name().as_str(), context.instance().as_str());
    let body = serde_json::to_vec(&Body { id, module, instance, messages })?;
    Ok(Parcel { id, body: body.into() })
}

impl<'a> Entry<'a> {
    fn of(message: &'a Message) -> Self {
        let (from, client, info, logic) = match &message.source {
            Source::Client { id, info } => ("client", Some(*id), info.as_ref(), None),
            Source::Logic(name) => ("logic", None, &b""[..], Some(name.as_str())),
            Source::Api => ("api", None, &b""[..], None),
        };
        let known: Option<Known<'_>> = serde_json::from_slice(info).ok();
        let data = match serde_json::from_slice(&message.payload) {
            Ok(json) => Data::Json(json),
            Err(_) => Data::Text(String::from_utf8_lossy(&message.payload)),
        };
        Self {
            id: message.id.0,
            from,
            client,
            user: known.map(|known| known.user).filter(|user| !user.is_empty()),
            info: serde_json::from_slice(info).ok(),
            logic,
            rpc: message.wants_answer,
            metadata: &message.metadata,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::message::{LogicName, Target};

    fn entry(source: Source, payload: &'static [u8]) -> (Message, Value) {
        let target = Target::Logic(LogicName::new("game"));
        let mut message = Message::new(source, target, Bytes::from_static(payload));
        message.metadata.insert("room".into(), "7".into());
        message.wants_answer = true;
        let value = serde_json::to_value(Entry::of(&message)).unwrap();
        (message, value)
    }

    #[test]
    fn a_message_says_who_sent_it() {
        let id = ClientId::generate();
        let info = Bytes::from_static(br#"{"user":"ann","client":"c","conn_info":{"a":1}}"#);
        let (message, value) = entry(Source::Client { id, info: info.clone() }, b"{\"x\": 1.50}");
        let info: Value = serde_json::from_slice(&info).unwrap();
        let expected = json!({
            "id": message.id.0, "from": "client", "client": id, "user": "ann", "info": info, "rpc": true,
            "metadata": {"room": "7"}, "data": {"x": 1.5},
        });
        assert_eq!(value, expected);
        let (message, value) = entry(Source::Logic(LogicName::new("clock")), b"1");
        let expected = json!({
            "id": message.id.0, "from": "logic", "logic": "clock", "rpc": true, "metadata": {"room": "7"}, "data": 1,
        });
        assert_eq!(value, expected);
        let anonymous = Bytes::from_static(br#"{"user":"","client":"c"}"#);
        assert_eq!(entry(Source::Client { id, info: anonymous }, b"1").1.get("user"), None);
        assert_eq!(entry(Source::Api, b"1").1["from"], "api");
    }

    #[test]
    fn data_is_sent_as_it_came_and_what_is_no_json_as_a_text() {
        let target = Target::Logic(LogicName::new("game"));
        for (payload, expected) in
            [(&b"{\"n\":1.50e3,\"n\":2}"[..], "{\"n\":1.50e3,\"n\":2}"), (b"a\"}", "\"a\\\"}\"")]
        {
            let message = Message::new(Source::Api, target.clone(), Bytes::from_static(payload));
            assert!(
                serde_json::to_string(&Entry::of(&message))
                    .unwrap()
                    .ends_with(&format!("\"data\":{expected}}}"))
            );
        }
    }
}

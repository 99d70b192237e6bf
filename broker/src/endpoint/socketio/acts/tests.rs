use serde_json::{Value, json};

use super::*;

fn rule(room: &str) -> EventRule {
    EventRule { room: room.to_owned(), ..EventRule::new("e", Act::Publish) }
}

#[test]
fn a_room_is_found_where_the_rule_says() {
    for (pointer, args, expected) in [
        ("/0", r#""room""#, Ok("room")),
        ("/0", "42", Ok("42")),
        ("/1/in/~1a~0", r#"0,{"in":{"/a~":"room"}}"#, Ok("room")),
        ("/0/room", r#"{"room":null}"#, Err(ErrorCode::BadChannel)),
        ("/0/room", r#""room""#, Ok("room")),
        ("/0/room", r#"["room"]"#, Err(ErrorCode::BadChannel)),
        ("/1", r#""room""#, Err(ErrorCode::BadChannel)),
        ("/x", r#""room""#, Err(ErrorCode::BadChannel)),
        ("/0", "1.5", Err(ErrorCode::BadChannel)),
    ] {
        let json = format!(r#"["e",{args}]"#);
        let event = Event::read(&json).unwrap();
        assert_eq!(room(&rule(pointer), &event), expected.map(str::to_owned), "{pointer} in {args}");
    }
}

#[test]
fn what_is_published_under_its_own_name_is_not_touched() {
    let json = r#"["e", 1.0,{"a" :1}]"#;
    let (data, told) = published(&rule("/0"), &Event::read(json).unwrap(), json, "ann");
    assert_eq!((&*data, told), (json.as_bytes(), None));
}

#[test]
fn a_stamp_stands_for_what_the_client_has_written_there() {
    let rule = EventRule { emit: Some("new".into()), stamp: true, ..rule("/0") };
    let published = |json: &str| -> Value {
        let (data, told) = published(&rule, &Event::read(json).unwrap(), json, "ann");
        let value: Value = serde_json::from_slice(&data).unwrap();
        assert!(told.unwrap().contains(value[1]["id"].as_str().unwrap()));
        value
    };
    let value = published(r#"["e",{"text":"hi","user":"eve","id":"1","timestamp":0},2]"#);
    assert_eq!((&value[0], &value[1]["text"], &value[2]), (&json!("new"), &json!("hi"), &json!(2)));
    assert_eq!(value[1]["user"], "ann");
    assert!(value[1]["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(value[1].as_object().unwrap().len(), 4);
    assert_eq!(published(r#"["e","hi"]"#)[1]["value"], "hi");
    assert_eq!(published(r#"["e"]"#)[1]["value"], Value::Null);
}

#[test]
fn what_is_forwarded_is_an_event() {
    let forward = |args: &str| {
        let json = format!(r#"["publish",{args}]"#);
        forwarded(&Event::read(&json).unwrap()).map(|data| String::from_utf8(data.to_vec()).unwrap())
    };
    assert_eq!(forward(r#""room","news",1.0,{}"#).unwrap(), r#"["news",1.0,{}]"#);
    for args in [r#""room""#, r#""room",1"#, r#""room","connect""#] {
        assert_eq!(forward(args), Err(ErrorCode::BadRequest), "{args}");
    }
}

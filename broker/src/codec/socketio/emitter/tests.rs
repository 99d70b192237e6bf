use proptest::prelude::*;
use rmpv::{Value, encode::write_value};
use serde_json::{Value as Json, json};

use super::*;
use crate::codec::socketio::binary::split;

fn packed(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(&mut bytes, value).unwrap();
    bytes
}

/// JSON as an emitter writes it.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => number.as_f64().unwrap().into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(values) => values.iter().map(value).collect::<Vec<_>>().into(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| (Value::from(name.as_str()), value(field)));
            fields.collect::<Vec<_>>().into()
        }
    }
}

fn emit_of(data: Value, options: &Json) -> Vec<u8> {
    let packet: Vec<(Value, Value)> =
        vec![("type".into(), 2.into()), ("data".into(), data), ("nsp".into(), "/".into())];
    packed(&Value::Array(vec!["emitter".into(), packet.into(), value(options)]))
}

fn json_of(argument: Value) -> Result<String, Malformed> {
    let emit = Emit::read(&emit_of(vec!["e".into(), argument].into(), &json!({})))?;
    let json = String::from_utf8(emit.event).unwrap();
    Ok(json.strip_prefix(r#"["e","#).and_then(|rest| rest.strip_suffix(']')).unwrap().to_owned())
}

fn named(rooms: &[&str]) -> Vec<Room> {
    rooms.iter().map(|room| Room((*room).to_owned())).collect()
}

#[test]
fn an_emit_says_what_for_whom_and_for_whom_not() {
    let options =
        json!({"rooms": ["a", 42], "except": ["b"], "flags": {"volatile": true, "compress": false}});
    let emit = Emit::read(&emit_of(value(&json!(["news", {"n": 1.5}, -3, null])), &options)).unwrap();
    let to = Selection { rooms: named(&["a", "42"]), except: named(&["b"]) };
    let event = br#"["news",{"n":1.5},-3,null]"#.to_vec();
    assert_eq!(emit, Emit { namespace: "/".into(), event, to, is_volatile: true });
    let to_all = Emit::read(&emit_of(value(&json!(["news"])), &json!({"rooms": [], "flags": {}}))).unwrap();
    assert_eq!((to_all.to, to_all.is_volatile), (Selection::default(), false));
}

#[test]
fn bytes_come_out_as_bytes() {
    let json = json_of(Value::Binary(vec![0, 1, 255])).unwrap();
    assert_eq!(json, r#"{"$binary":"AAH/"}"#);
    let (text, attachments) = split(json.as_bytes()).unwrap();
    assert_eq!(text, br#"{"_placeholder":true,"num":0}"#);
    assert_eq!(attachments, [vec![0, 1, 255]]);
}

#[test]
fn times_are_written_as_javascript_writes_them() {
    let time = |bytes: Vec<u8>| json_of(Value::Ext(-1, bytes));
    let long = |nanoseconds: u32, seconds: i64| {
        time([&nanoseconds.to_be_bytes()[..], &seconds.to_be_bytes()[..]].concat())
    };
    assert_eq!(time(1_700_000_000u32.to_be_bytes().to_vec()).unwrap(), r#""2023-11-14T22:13:20.000Z""#);
    let both = (123_000_000u64 << 34) | 951_782_400;
    assert_eq!(time(both.to_be_bytes().to_vec()).unwrap(), r#""2000-02-29T00:00:00.123Z""#);
    assert_eq!(long(999_000_000, -1).unwrap(), r#""1969-12-31T23:59:59.999Z""#);
    assert_eq!(long(0, 8_640_000_000_000).unwrap(), r#""+275760-09-13T00:00:00.000Z""#);
    assert_eq!(long(0, -8_640_000_000_000).unwrap(), r#""-271821-04-20T00:00:00.000Z""#);
    assert!(long(1_000_000_000, 0).is_err() && long(0, i64::MAX).is_err() && time(vec![0; 5]).is_err());
}

#[test]
fn what_is_no_emit_is_refused() {
    let options = json!({"rooms": []});
    for data in [json!([]), json!("news"), json!([1]), json!(["disconnect"]), json!({"0": "news"})] {
        assert!(Emit::read(&emit_of(value(&data), &options)).is_err(), "{data}");
    }
    let data = || value(&json!(["news"]));
    for options in [json!({"rooms": "a"}), json!({"rooms": [[]]}), json!({"except": vec!["a"; ROOMS + 1]})] {
        assert!(Emit::read(&emit_of(data(), &options)).is_err());
    }
    let good = emit_of(data(), &options);
    for cut in 0..good.len() {
        assert!(Emit::read(&good[..cut]).is_err());
    }
    assert!(Emit::read(&[&good[..], b"\xc0"].concat()).is_err());
    assert_eq!(json_of(Value::F64(f64::NAN)).unwrap(), "null");
    assert!(json_of(Value::Ext(7, vec![1])).is_err());
    assert!(json_of(Value::Map(vec![(1.into(), 2.into())])).is_err());
}

#[test]
fn neither_depth_nor_a_promised_length_takes_memory() {
    let mut deep = Value::Nil;
    for _ in 0..1000 {
        deep = Value::Array(vec![deep]);
    }
    assert!(json_of(deep).is_err());
    // Arrays, texts and bytes of four billion.
    for kind in [0xdd, 0xdf, 0xdb, 0xc6] {
        assert!(Emit::read(&[0x93, 0xa1, b'e', kind, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
    }
}

#[test]
fn requests_are_told_apart() {
    let read = |json: Json| Request::read(json.to_string().as_bytes());
    let opts = json!({"rooms": ["a"], "except": [7]});
    let to = || Selection { rooms: named(&["a"]), except: named(&["7"]) };
    let order = |order| Ok(Request::Order(to(), order));
    assert_eq!(read(json!({"type": 2, "opts": opts, "rooms": ["b"]})), order(Order::Join(named(&["b"]))));
    assert_eq!(read(json!({"type": 3, "opts": opts, "rooms": ["b"]})), order(Order::Leave(named(&["b"]))));
    assert_eq!(read(json!({"type": 4, "opts": opts, "close": true})), order(Order::Disconnect(true)));
    assert_eq!(read(json!({"type": 6, "uid": "emitter", "data": ["hello"]})), Ok(Request::Other));
    for wrong in
        [json!([]), json!({"type": "2"}), json!({"type": 2, "rooms": "b"}), json!({"type": 2, "opts": 1})]
    {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(read(json!({"type": 2, "rooms": vec!["b"; ROOMS + 1]})).is_err());
}

/// Any JSON of some depth, without numbers that JSON does not write back as they were.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arguments_arrive_as_they_were_emitted(arguments in prop::collection::vec(any_json(), 0..4)) {
        let mut event = vec![json!("event")];
        event.extend(arguments);
        let event = Json::from(event);
        let emit = Emit::read(&emit_of(value(&event), &json!({"rooms": []}))).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Json>(&emit.event).unwrap(), event);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Emit::read(&bytes);
        let _ = Request::read(&bytes);
    }
}

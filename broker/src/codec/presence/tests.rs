use proptest::{collection::vec, option, prelude::*};

use super::*;

const PAGE: &str = include_str!("../../../../docs/presence-protocol.md");

fn ann() -> Member<'static> {
    Member {
        number: 3,
        user: "u1",
        name: "Ann",
        colour: Colour([0xe0, 0x40, 0x10]),
        cursor: None,
        selection: "",
    }
}

/// The messages that the page shows, by their names there.
fn shown() -> Vec<(&'static str, Vec<u8>)> {
    let origin = Origin::from_number(0x0605_0403_0201);
    let place = Point { x: 1200, y: -3 };
    let join = Join {
        board: "plan",
        user: "u1",
        name: "Ann",
        colour: Colour([0xe0, 0x40, 0x10]),
        token: "",
        pass: "",
    };
    let from_client = [
        ("join", FromClient::Join(join)),
        ("leave", FromClient::Leave),
        ("cursor", FromClient::Cursor(Some(place))),
        ("cursor away", FromClient::Cursor(None)),
        ("selection", FromClient::Selection("a7")),
        ("nothing selected", FromClient::Selection("")),
        ("heartbeat", FromClient::Heartbeat),
    ];
    let selecting = Member { number: 4, cursor: Some(place), selection: "a7", ..ann() };
    let roster = Roster { origin, members: vec![ann(), selecting] };
    let welcome =
        Welcome { number: 3, origin, instance: "b-0", rate: 30, every: 20, rosters: vec![roster.clone()] };
    let events = vec![
        Event { number: 3, what: What::Moved(place) },
        Event { number: 4, what: What::Away },
        Event { number: 40, what: What::Selected("a7") },
        Event { number: 5, what: What::Gone },
    ];
    let to_client = [
        ("welcome", ToClient::Welcome(welcome)),
        ("news", ToClient::News(origin, events)),
        ("roster", ToClient::Roster(roster)),
        ("joined", ToClient::Joined(origin, ann())),
        ("gone", ToClient::Gone(origin, 3)),
        ("announcement", ToClient::Announcement { channel: "board:plan", data: "{\"a\":1}" }),
        ("announcement to all", ToClient::Announcement { channel: "", data: "1" }),
        ("error", ToClient::Error(107, "no")),
        ("left", ToClient::Left(2501, "over")),
        ("ping", ToClient::Ping),
        ("alone", ToClient::Alone(true)),
        ("together", ToClient::Alone(false)),
    ];
    let mut shown = Vec::new();
    for (name, message) in from_client {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(FromClient::read(&bytes), Ok(message), "{name}");
        shown.push((name, bytes));
    }
    for (name, message) in to_client {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(ToClient::read(&bytes), Ok(message), "{name}");
        shown.push((name, bytes));
    }
    shown
}

fn vector(name: &str) -> Option<Vec<u8>> {
    let row = PAGE.lines().find_map(|line| line.strip_prefix(&format!("| {name} | `")))?;
    let hex = row.split('`').next()?;
    Some(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect())
}

#[test]
fn the_pages_vectors_are_what_is_written_and_read() {
    let shown = shown();
    for (name, bytes) in &shown {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = format!("| {name} | `{}` |", hex.join(" "));
        assert_eq!(vector(name).as_ref(), Some(bytes), "docs/presence-protocol.md is to say {expected}");
    }
    let packed = vector("packed").expect("a packed message");
    assert_eq!(*unpack(&packed, 100).unwrap(), *vector("roster").unwrap());
    let vectors = PAGE.lines().filter(|line| line.starts_with("| ") && line.matches('`').count() == 2);
    let vectors =
        vectors.filter(|line| line.split(" | ").next().is_some_and(|name| vector(&name[2..]).is_some()));
    assert_eq!(vectors.count(), shown.len() + 1, "each vector of the page is checked");
}

#[test]
fn a_place_is_as_small_as_the_page_says() {
    let size = |part: i32| {
        let mut bytes = Vec::new();
        FromClient::Cursor(Some(Point { x: part, y: 0 })).write(&mut bytes);
        bytes.len() - 2
    };
    for (largest, bytes) in [(63, 1), (8_191, 2), (1_048_575, 3), (134_217_727, 4), (i32::MAX, 5)] {
        assert_eq!((size(largest), size(-largest - 1)), (bytes, bytes), "{largest}");
    }
}

#[test]
fn numbers_have_one_form() {
    for (bytes, outcome) in [
        (&[0x85, 1, 2, 3, 4, 5, 6, 0x7f][..], Ok(())),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xff, 0x0f], Ok(())),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xff, 0x1f], Err(Malformed::Number)),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], Err(Malformed::Number)),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0x80, 0x00], Err(Malformed::Number)),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0x80], Err(Malformed::Truncated)),
        (&[0x85, 1, 2, 3, 4, 5, 6, 0x00, 0x00], Err(Malformed::Trailing)),
    ] {
        assert_eq!(ToClient::read(bytes).map(drop), outcome, "{bytes:x?}");
    }
}

#[test]
fn tokens_are_never_shown() {
    let join =
        Join { board: "b", user: "", name: "n", colour: Colour::default(), token: "hush", pass: "hush" };
    assert!(!format!("{:?}", FromClient::Join(join)).contains("hush"));
}

#[test]
fn colours_are_read_as_they_are_written() {
    for text in ["#000000", "#e04010", "#ffffff"] {
        assert_eq!(Colour::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "#fff", "e04010", "#e0401g", "#e04010f", "#é4010"] {
        assert_eq!(Colour::parse(text), None, "{text}");
    }
}

#[test]
fn what_unpacks_to_more_than_allowed_is_refused() {
    let mut message = vec![0; 1_000_000];
    pack(&mut message, 1000);
    assert!(message.len() < 2000, "{}", message.len());
    assert_eq!(unpack(&message, 1_000_000).unwrap().len(), 1_000_000);
    assert_eq!(unpack(&message, 999_999), Err(Malformed::Packed));
    message.pop();
    assert_eq!(unpack(&message, 1_000_000), Err(Malformed::Packed));
}

fn points() -> impl Strategy<Value = Point> {
    (any::<i32>(), any::<i32>()).prop_map(|(x, y)| Point { x, y })
}

proptest! {
    #[test]
    fn what_clients_say_reads_back(
        texts in vec(".{0,40}", 6),
        colour in any::<[u8; 3]>(),
        place in option::of(points()),
    ) {
        let [board, user, name, token, pass, selection] = &texts[..] else { unreachable!() };
        let join = Join { board, user, name, colour: Colour(colour), token, pass };
        for message in [FromClient::Join(join), FromClient::Cursor(place), FromClient::Selection(selection)] {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            prop_assert_eq!(FromClient::read(&bytes), Ok(message));
            bytes.truncate(bytes.len() - 1);
            // A cut selection is another selection: the frame's own length is there for that.
            if !matches!(message, FromClient::Selection(_)) {
                prop_assert_ne!(FromClient::read(&bytes), Ok(message));
            }
        }
    }

    #[test]
    fn news_and_rosters_read_back(
        origin in any::<u64>(),
        members in vec((0u32..1 << 30, "[a-zé]{0,9}", any::<[u8; 3]>(), option::of(points()), ".{0,9}"), 1..20),
    ) {
        let origin = Origin::from_number(origin);
        let member = |(number, name, colour, cursor, selection): &'_ (u32, String, [u8; 3], Option<Point>, String)| {
            (*number, name.clone(), Colour(*colour), *cursor, selection.clone())
        };
        let owned: Vec<_> = members.iter().map(member).collect();
        let members = owned.iter().map(|(number, name, colour, cursor, selection)| Member {
            number: *number, user: name, name, colour: *colour, cursor: *cursor, selection,
        });
        let events = owned.iter().flat_map(|(number, _, _, cursor, selection)| {
            let moved = cursor.map_or(What::Away, What::Moved);
            [moved, What::Selected(selection), What::Gone].map(|what| Event { number: *number, what })
        });
        for message in [
            ToClient::News(origin, events.collect()),
            ToClient::Roster(Roster { origin, members: members.collect() }),
        ] {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            prop_assert_eq!(ToClient::read(&bytes), Ok(message));
            let mut packed = bytes.clone();
            pack(&mut packed, 0);
            prop_assert!(packed.len() <= bytes.len());
            prop_assert_eq!(&*unpack(&packed, bytes.len()).unwrap(), &bytes[..]);
        }
    }
}

use proptest::{collection::vec, prelude::*};

use super::*;

const HERE: Origin = Origin::from_number(1);

fn at(x: i32, y: i32) -> Point {
    Point { x, y }
}

fn about(name: &str) -> About {
    About { user: format!("user of {name}").into(), name: name.into(), colour: Colour([1, 2, 3]) }
}

/// A board with these members of this instance on it, and their clients.
fn board_with(names: &[&str]) -> (Board, Vec<(u32, ClientId)>) {
    let mut board = Board::new(HERE, 30);
    let enter = |name: &&str| {
        let client = ClientId::generate();
        let number = board.reserve(client, about(name), 0);
        assert!(board.enter(number, client));
        (number, client)
    };
    let members = names.iter().map(enter).collect();
    (board, members)
}

fn described(origin: Origin, number: u32, name: &str) -> Described<'_> {
    Described { origin, number, user: "u".into(), name: name.into(), colour: Colour::default() }
}

/// The events of news.
fn events(news: &[u8]) -> Vec<Event<'_>> {
    match news.is_empty() {
        true => Vec::new(),
        false => match ToClient::read(news).unwrap() {
            ToClient::News(HERE, events) => events,
            other => panic!("{other:?}"),
        },
    }
}

/// The names on the board as a member is told, by instance.
fn names(board: &Board, number: u32) -> Vec<Vec<String>> {
    let mut bytes = Vec::new();
    board.welcome(number, "b", (30, 20), &mut bytes);
    let ToClient::Welcome(welcome) = ToClient::read(&bytes).unwrap() else { panic!("{bytes:?}") };
    let names = |roster: &Roster<'_>| roster.members.iter().map(|member| member.name.to_owned()).collect();
    welcome.rosters.iter().map(names).collect()
}

#[test]
fn the_first_member_has_the_others_asked_and_the_second_has_not() {
    let (mut board, _) = board_with(&["ann"]);
    assert!(board.tick(0).ask);
    let bob = ClientId::generate();
    let number = board.reserve(bob, about("bob"), 0);
    assert!(board.enter(number, bob));
    assert!(!board.enter(number, bob), "once");
    assert_eq!(board.tick(0), Tick::default());
    assert_eq!(names(&board, number), [["ann", "bob"]]);
}

#[test]
fn many_movements_are_one_and_the_last_counts() {
    let (mut board, members) = board_with(&["ann", "bob"]);
    let (ann, bob) = (members[0], members[1]);
    assert_eq!(board.moved(ann.0, ann.1, Some(at(1, 1)), 0), Some(false));
    assert_eq!(board.moved(bob.0, bob.1, Some(at(5, 5)), 0), Some(false));
    assert_eq!(board.moved(ann.0, ann.1, Some(at(2, -2)), 0), Some(true));
    assert!(board.selected(ann.0, ann.1, "a7", 0));
    let tick = board.tick(0);
    let expected = [
        Event { number: 0, what: What::Moved(at(2, -2)) },
        Event { number: 0, what: What::Selected("a7") },
        Event { number: 1, what: What::Moved(at(5, 5)) },
    ];
    assert_eq!(events(&tick.news), expected);
    assert_eq!((tick.moved, tick.again), (2, false));
    assert!(board.tick(1_000_000).news.is_empty(), "once");
}

#[test]
fn a_members_movements_are_told_so_often_and_the_last_gets_through() {
    let (mut board, members) = board_with(&["ann"]);
    let (number, client) = members[0];
    let (mut told, mut last, mut tick_at) = (0, None::<String>, 0);
    // Two seconds of a movement each millisecond, and ticks until nothing waits.
    for now in (0..2_000_000).step_by(1000) {
        board.moved(number, client, Some(at(now, 0)), now as u64);
        if now >= tick_at {
            tick_at = now + 20_000;
            let tick = board.tick(now as u64);
            told += events(&tick.news).len();
            last = events(&tick.news).last().map(|event| format!("{:?}", event.what)).or(last);
        }
    }
    assert!((59..=62).contains(&told), "{told} in two seconds");
    assert_ne!(last, Some(format!("{:?}", What::Moved(at(1_999_000, 0)))));
    let mut now = 2_000_000;
    loop {
        let tick = board.tick(now);
        if let Some(event) = events(&tick.news).last() {
            assert_eq!(event.what, What::Moved(at(1_999_000, 0)));
        }
        if !tick.again {
            break;
        }
        now += 20_000;
    }
    assert!(now < 2_100_000, "soon");
}

#[test]
fn who_left_is_told_of_once() {
    let (mut board, members) = board_with(&["ann", "bob"]);
    let (ann, bob) = (members[0], members[1]);
    board.moved(ann.0, ann.1, Some(at(1, 1)), 0);
    // The channel has told of it.
    board.left(HERE, ann.0);
    assert!(!board.is_here(ann.0, ann.1));
    assert!(board.release(ann.0, ann.1));
    assert!(!board.release(ann.0, ann.1));
    // The channel has not.
    assert!(board.release(bob.0, bob.1));
    assert!(board.is_vacant());
    assert_eq!(events(&board.tick(0).news), [Event { number: bob.0, what: What::Gone }]);
    assert!(board.is_vacant());
}

#[test]
fn a_number_is_used_again_only_after_the_tick() {
    let (mut board, members) = board_with(&["ann"]);
    let (number, client) = members[0];
    board.release(number, client);
    let other = ClientId::generate();
    let taken = board.reserve(other, about("bob"), 0);
    assert_ne!(taken, number);
    board.tick(0);
    assert_eq!(board.reserve(ClientId::generate(), about("cid"), 0), number);
    assert_eq!(board.moved(number, client, None, 0), None, "another's");
}

#[test]
fn what_others_tell_is_known_to_who_comes_later() {
    let (mut board, members) = board_with(&["ann"]);
    let there = Origin::from_number(2);
    board.joined(&described(there, 4, "cid"));
    let event = |number, what| Event { number, what };
    let news =
        vec![event(4, What::Moved(at(7, 8))), event(4, What::Selected("x")), event(9, What::Moved(at(1, 1)))];
    assert!(board.told(&ToClient::News(there, news)));
    let mut bytes = Vec::new();
    board.welcome(members[0].0, "b", (30, 20), &mut bytes);
    let ToClient::Welcome(welcome) = ToClient::read(&bytes).unwrap() else { panic!() };
    let cid = welcome.rosters[1].members[0];
    assert_eq!((cid.name, cid.cursor, cid.selection), ("cid", Some(at(7, 8)), "x"));
    assert_eq!(welcome.rosters.len(), 2, "who is not known is not made up");
    board.left(there, 4);
    assert_eq!(names(&board, members[0].0), [["ann"]]);
    assert!(!board.told(&ToClient::Ping), "instances do not say that");
}

#[test]
fn a_roster_takes_the_place_of_what_was_known() {
    let (mut board, members) = board_with(&["ann"]);
    let there = Origin::from_number(2);
    board.joined(&described(there, 4, "cid"));
    let dan = described(there, 5, "dan");
    assert!(board.told(&ToClient::Roster(Roster { origin: there, members: vec![dan.member()] })));
    assert_eq!(names(&board, members[0].0), [["ann"], ["dan"]]);
    assert!(board.told(&ToClient::Roster(Roster { origin: there, members: vec![] })));
    assert_eq!(names(&board, members[0].0), [["ann"]]);
}

#[test]
fn who_does_not_speak_up_after_a_doubt_is_forgotten() {
    let (mut board, members) = board_with(&["ann"]);
    let (silent, alive) = (Origin::from_number(2), Origin::from_number(3));
    board.joined(&described(silent, 0, "sid"));
    board.joined(&described(alive, 0, "ali"));
    board.tick(0);
    board.doubt();
    let tick = board.tick(0);
    assert!(tick.ask);
    let ToClient::Roster(roster) = ToClient::read(&tick.roster).unwrap() else { panic!() };
    assert_eq!((roster.origin, roster.members[0].name), (HERE, "ann"));
    let ali = described(alive, 0, "ali");
    board.told(&ToClient::Roster(Roster { origin: alive, members: vec![ali.member()] }));
    assert_eq!(board.forget_doubted(), [silent]);
    assert_eq!(names(&board, members[0].0), [["ann"], ["ali"]]);
    assert_eq!(board.forget_doubted(), []);
}

#[test]
fn who_was_taken_for_dead_is_here_again() {
    let (mut board, members) = board_with(&["ann"]);
    let (number, client) = members[0];
    board.left(HERE, number);
    assert_eq!(board.moved(number, client, None, 0), None);
    board.joined(&described(HERE, number, "ann"));
    assert_eq!(board.moved(number, client, None, 0), Some(false));
}

#[test]
fn idle_is_who_does_nothing_on_the_board() {
    let (mut board, members) = board_with(&["ann"]);
    let (number, client) = members[0];
    assert_eq!(board.active(number, client), Some(0));
    board.moved(number, client, None, 5);
    assert_eq!(board.active(number, client), Some(5));
    board.selected(number, client, "", 9);
    assert_eq!(board.active(number, client), Some(9));
    board.left(HERE, number);
    assert_eq!(board.active(number, client), None);
}

proptest! {
    /// Whatever is done in whatever order, another instance that is told the same knows the same.
    #[test]
    fn two_instances_know_the_same_in_the_end(
        steps in vec((0usize..4, 0u8..4, -3000i32..3000, 0u64..50_000), 1..80),
    ) {
        let (mut here, members) = board_with(&["a", "b", "c", "d"]);
        let (mut there, watcher) = (Board::new(Origin::from_number(2), 30), ClientId::generate());
        let number = there.reserve(watcher, about("w"), 0);
        there.enter(number, watcher);
        let mut now = 0;
        here.asked();
        let mut hear = |tick: Tick| {
            for bytes in [&tick.roster, &tick.news] {
                if !bytes.is_empty() {
                    assert!(there.told(&ToClient::read(bytes).unwrap()));
                }
            }
            tick.again
        };
        hear(here.tick(now));
        for (who, what, x, later) in steps {
            let (number, client) = members[who];
            now += later;
            match what {
                0 => drop(here.moved(number, client, Some(at(x, -x)), now)),
                1 => drop(here.moved(number, client, None, now)),
                2 => drop(here.selected(number, client, &x.to_string(), now)),
                _ => drop(hear(here.tick(now))),
            }
        }
        while hear(here.tick(now)) {
            now += 20_000;
        }
        let known = &there.others[&HERE].members;
        for (number, _) in members {
            let (mine, theirs) = (&here.seats[number as usize].shown, &known[&number]);
            prop_assert_eq!(mine.cursor, theirs.cursor);
            prop_assert_eq!(&mine.selection, &theirs.selection);
        }
    }
}

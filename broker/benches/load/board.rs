//! Movements on a board: their places, from which each is known again wherever it is shown, and who was shown which.

use std::collections::VecDeque;

use switchboard::codec::presence::{Event, Origin, Point, ToClient, What, unpack};

use crate::message::number;

/// A member moves less often than this.
const MOVEMENTS: usize = 6992;
/// Coordinates begin here and end below 8,192 quarters: all have two bytes, as most have on a large screen.
const LEFT: usize = 1000;
const TOP: usize = 100;
/// How far from each other members are, from top to bottom; there are at most 500 of them.
const APART: usize = 16;
/// A message that is unpacked may have so many bytes.
const LIMIT: usize = 1 << 20;

/// In front of a place in JSON, with four digits in place of the dashes.
const USER: &[u8] = br#"{"user":"member-"#;
/// Coordinates in JSON begin here, so that all have five digits.
const JSON_BASE: u64 = 10_000;

/// One movement of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// Whose, from 0.
    pub(crate) member: usize,
    /// Its number among those of the member, from 0.
    pub(crate) number: usize,
}

impl Movement {
    /// Where it leads.
    pub(crate) fn place(self) -> Point {
        let Self { member, number } = self;
        let x = LEFT + (number + 97 * member) % MOVEMENTS;
        let y = TOP + APART * member + number % APART;
        Point { x: x as i32, y: y as i32 }
    }

    /// The movement that leads there.
    pub(crate) fn to(place: Point) -> Option<Self> {
        let x = usize::try_from(place.x).ok()?.checked_sub(LEFT).filter(|x| *x < MOVEMENTS)?;
        let y = usize::try_from(place.y).ok()?.checked_sub(TOP)?;
        let member = y / APART;
        let number = (x + MOVEMENTS - 97 * member % MOVEMENTS) % MOVEMENTS;
        (number % APART == y % APART).then_some(Self { member, number })
    }

    /// The same as 60 bytes of JSON, as a page tells of it by Socket.IO.
    pub(crate) fn to_json(self) -> String {
        let Point { x, y } = self.place();
        let (x, y) = (JSON_BASE + x.unsigned_abs() as u64, JSON_BASE + y.unsigned_abs() as u64);
        format!(r##"{{"user":"member-{:04}","x":{x},"y":{y},"color":"#e04010"}}"##, self.member)
    }

    /// The movement that such JSON begins with.
    pub(crate) fn of_json(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(USER)?.get(4..)?;
        let x = rest.strip_prefix(br#"","x":"#)?;
        let y = x.get(5..)?.strip_prefix(br#","y":"#)?;
        let coordinate = |digits: &[u8]| i32::try_from(number(digits)?.checked_sub(JSON_BASE)?).ok();
        Self::to(Point { x: coordinate(x)?, y: coordinate(y)? })
    }
}

/// What is shown on the screens of all members: of each instance's, every second one.
///
/// Hundreds of members of an instance are told the same bytes, so these are read once and compared for the others: the
/// generator must stay cheaper than what it measures.
pub(crate) struct Screens {
    /// Of each instance, the news of each origin.
    news: [Vec<Stream>; 2],
    /// How many members each instance has.
    members: [usize; 2],
    /// How much each member has heard of each of its instance's streams.
    heard: Vec<Vec<usize>>,
    /// The number of the next movement of each member, as each instance or, where each is told by itself, each member
    /// was told.
    next: Vec<Vec<usize>>,
    told: Vec<Movement>,
    /// News that a member was not told.
    pub(crate) lost: u64,
    /// Movements that came twice or out of order.
    pub(crate) misordered: u64,
}

/// The news of one origin on one instance.
struct Stream {
    origin: Origin,
    /// How many have been forgotten, since everybody has heard them.
    forgotten: usize,
    news: VecDeque<News>,
}

struct News {
    bytes: Vec<u8>,
    movements: Vec<Movement>,
    heard: usize,
}

impl Screens {
    /// Screens on which nobody has moved.
    pub(crate) fn new(members: usize) -> Self {
        Self {
            news: [Vec::new(), Vec::new()],
            members: [members.div_ceil(2), members / 2],
            heard: vec![Vec::new(); members],
            next: vec![vec![0; members]; members],
            told: Vec::new(),
            lost: 0,
            misordered: 0,
        }
    }

    /// Shows a member what it was told, and returns the movements in it.
    pub(crate) fn show(&mut self, member: usize, told: &[u8]) -> &[Movement] {
        match Movement::of_json(told) {
            Some(movement) => {
                note(movement, &mut self.next[member], &mut self.misordered);
                self.told.clear();
                self.told.push(movement);
                &self.told
            }
            None => self.show_news(member, told).unwrap_or_default(),
        }
    }

    fn show_news(&mut self, member: usize, told: &[u8]) -> Option<&[Movement]> {
        let instance = member % 2;
        let streams = &mut self.news[instance];
        let heard = &mut self.heard[member];
        heard.resize(streams.len(), 0);
        let known = streams.iter().zip(heard.iter()).position(|(stream, heard)| {
            let next = stream.news.get(heard - stream.forgotten);
            next.is_some_and(|news| news.bytes == told)
        });
        let index = match known {
            Some(index) => index,
            None => {
                let (origin, movements) = read(told)?;
                movements.iter().for_each(|movement| {
                    note(*movement, &mut self.next[instance], &mut self.misordered);
                });
                let index = streams.iter().position(|stream| stream.origin == origin).unwrap_or_else(|| {
                    streams.push(Stream { origin, forgotten: 0, news: VecDeque::new() });
                    heard.push(0);
                    streams.len() - 1
                });
                let stream = &mut streams[index];
                let end = stream.forgotten + stream.news.len();
                self.lost += (end - heard[index]) as u64;
                heard[index] = end;
                while stream.news.front().is_some_and(|news| news.heard == self.members[instance]) {
                    stream.news.pop_front();
                    stream.forgotten += 1;
                }
                stream.news.push_back(News { bytes: told.to_vec(), movements, heard: 0 });
                index
            }
        };
        let stream = &mut streams[index];
        let news = &mut stream.news[heard[index] - stream.forgotten];
        heard[index] += 1;
        news.heard += 1;
        Some(&news.movements)
    }

    /// Whether both instances were told this movement, or a later one of the member.
    pub(crate) fn have_shown(&self, movement: Movement) -> bool {
        self.next[..2].iter().all(|next| next[movement.member] > movement.number)
    }
}

fn note(Movement { member, number }: Movement, next: &mut [usize], misordered: &mut u64) {
    match next.get_mut(member).filter(|next| **next <= number) {
        Some(next) => *next = number + 1,
        None => *misordered += 1,
    }
}

/// News, with the movements in them; nothing where it is something else.
fn read(told: &[u8]) -> Option<(Origin, Vec<Movement>)> {
    let message = unpack(told, LIMIT).ok()?;
    let ToClient::News(origin, events) = ToClient::read(&message).ok()? else { return None };
    let movement = |event: &Event<'_>| match event.what {
        What::Moved(place) => Movement::to(place),
        _ => None,
    };
    Some((origin, events.iter().filter_map(movement).collect()))
}

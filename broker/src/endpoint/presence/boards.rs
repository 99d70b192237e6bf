//! All boards that this instance has members on, and the one task that tells what happens on them.
//!
//! Whoever changes a board notes it; the first note wakes the task, which waits for the rest of the tick and then tells
//! everything at once, a message for each board: to the other instances, and to the board's clients here. While nothing
//! happens nothing is done, but for one look a second whether the backplane has come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ahash::HashMap;
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    backplane::{Ack, Backplane, Envelope},
    board::{About, Board},
    codec::presence::{Described, Origin, Roster, ToClient, pack, unpack},
    hub::{Hub, Listener},
    message::{Channel, ClientId},
    metrics,
};

mod alone;

/// A message of another instance may have so many bytes.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// How often is looked whether something may have been missed.
const LOOK: Duration = Duration::from_secs(1);

/// How many looks an instance has to say who it has, after something may have been missed.
const LOOKS_IN_DOUBT: u32 = 5;

/// After so many boards others have their turn.
const AT_ONCE: usize = 64;

/// How boards are kept.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Movements of a member that are told in a second.
    pub cursor_rate: u32,
    /// Between two tellings of one board.
    pub flush_interval: Duration,
    /// Larger messages are packed.
    pub compress_above: usize,
}

/// All boards that this instance has members on.
pub struct Boards {
    hub: Arc<Hub>,
    backplane: Arc<dyn Backplane>,
    origin: Origin,
    pace: Pace,
    started: Instant,
    open: RwLock<HashMap<Channel, Arc<Open>>>,
    /// Those that have something to be told, each once.
    noted: Mutex<Vec<Arc<Open>>>,
    wake: Notify,
}

/// A board that this instance has members on.
struct Open {
    channel: Channel,
    board: Mutex<Board>,
    noted: AtomicBool,
    /// Something could not be told to the other instances.
    unsaid: Arc<AtomicBool>,
}

/// A client's number on a board. It is given back when this is dropped.
pub struct Seat {
    boards: Arc<Boards>,
    open: Arc<Open>,
    client: ClientId,
    /// The number.
    pub number: u32,
}

impl Boards {
    /// No boards yet.
    pub fn new(hub: Arc<Hub>, backplane: Arc<dyn Backplane>, pace: Pace) -> Arc<Self> {
        let boards = Arc::new(Self {
            origin: Origin::of(&hub.address.to_string()),
            hub: hub.clone(),
            backplane,
            pace,
            started: Instant::now(),
            open: RwLock::default(),
            noted: Mutex::default(),
            wake: Notify::new(),
        });
        let listener: std::sync::Weak<Self> = Arc::downgrade(&boards);
        hub.listen(listener);
        boards
    }

    /// This instance, as members of boards are known by it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// A number for a client that wants to be on the board that this channel is.
    pub fn seat(self: &Arc<Self>, channel: &Channel, client: ClientId, about: About) -> Seat {
        let mut all = self.open.write();
        let open = all.entry(channel.clone()).or_insert_with(|| {
            self.hub.metrics.boards.inc();
            Arc::new(Open {
                channel: channel.clone(),
                board: Mutex::new(Board::new(self.origin, self.pace.cursor_rate)),
                noted: AtomicBool::new(false),
                unsaid: Arc::default(),
            })
        });
        let number = open.board.lock().reserve(client, about, self.now());
        Seat { boards: self.clone(), open: open.clone(), client, number }
    }

    /// The board has something to be told.
    fn note(&self, open: &Arc<Open>) {
        if open.noted.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut noted = self.noted.lock();
        noted.push(open.clone());
        if noted.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// Tells what happens on boards. Never ends by itself.
    pub async fn run(&self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut joins, mut in_doubt) = (self.backplane.joins(), 0);
        let mut alone = self.hub.alone();
        loop {
            tokio::select! {
                biased;
                Ok(()) = alone.changed() => {
                    self.tell_all_whether_alone(*alone.borrow_and_update());
                    looks.reset_immediately();
                }
                () = self.wake.notified() => {
                    sleep(self.pace.flush_interval).await;
                    self.flush().await;
                }
                _ = looks.tick() => {
                    let now = self.backplane.joins();
                    if std::mem::replace(&mut joins, now) != now {
                        in_doubt = LOOKS_IN_DOUBT;
                        self.all().iter().for_each(|open| self.doubt(open));
                    } else if in_doubt > 0 {
                        in_doubt -= 1;
                        if in_doubt == 0 {
                            self.all().iter().for_each(|open| self.forget_doubted(open));
                        }
                    } else {
                        self.say_again();
                    }
                }
            }
        }
    }

    fn all(&self) -> Vec<Arc<Open>> {
        self.open.read().values().cloned().collect()
    }

    /// What others have said may be out of date, and what was said to them too.
    fn doubt(&self, open: &Arc<Open>) {
        open.unsaid.store(false, Ordering::Release);
        open.board.lock().doubt();
        self.note(open);
    }

    fn forget_doubted(&self, open: &Open) {
        let gone = open.board.lock().forget_doubted();
        for origin in gone {
            let mut message = Vec::new();
            ToClient::Roster(Roster { origin, members: Vec::new() }).write(&mut message);
            self.hub.deliver(open.channel.as_str(), &Envelope::Board(&message), metrics::Origin::Local);
        }
    }

    /// Where something could not be told, such as for a queue that was full, all of it is told anew.
    fn say_again(&self) {
        for open in self.all().iter().filter(|open| open.unsaid.load(Ordering::Acquire)) {
            open.unsaid.store(false, Ordering::Release);
            open.board.lock().asked();
            self.note(open);
        }
    }

    /// Tells what has happened since the last time.
    async fn flush(&self) {
        let noted = std::mem::take(&mut *self.noted.lock());
        for (i, open) in noted.iter().enumerate() {
            if i % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            self.flush_one(open);
        }
    }

    fn flush_one(&self, open: &Arc<Open>) {
        // What is noted from here on is for the next time.
        open.noted.store(false, Ordering::Release);
        let mut tick = open.board.lock().tick(self.now());
        if tick.ask {
            self.backplane.publish(&open.channel, &Envelope::Board(b""), open.ack());
        }
        if !tick.roster.is_empty() {
            pack(&mut tick.roster, self.pace.compress_above);
            self.backplane.publish(&open.channel, &Envelope::Board(&tick.roster), open.ack());
        }
        if !tick.news.is_empty() {
            pack(&mut tick.news, self.pace.compress_above);
            let envelope = Envelope::Board(&tick.news);
            self.backplane.publish(&open.channel, &envelope, open.ack());
            self.hub.deliver(open.channel.as_str(), &envelope, metrics::Origin::Local);
            self.hub.metrics.board_flushes.inc();
            self.hub.metrics.board_movements.add(metrics::Movement::Told, tick.moved);
        }
        if tick.again {
            self.note(open);
        }
        self.close_if_vacant(open);
    }

    fn close_if_vacant(&self, open: &Arc<Open>) {
        if !open.board.lock().is_vacant() {
            return;
        }
        let mut all = self.open.write();
        // Somebody may have come in the meantime; or it was closed before, and this one is another.
        let is_this = all.get(&open.channel).is_some_and(|there| Arc::ptr_eq(there, open));
        if is_this && open.board.lock().is_vacant() {
            all.remove(&open.channel);
            self.hub.metrics.boards.dec();
        }
    }
}

impl Listener for Boards {
    fn heard(&self, channel: &str, envelope: &Envelope<'_>, origin: metrics::Origin) {
        let Some(open) = self.open.read().get(channel).cloned() else { return };
        match envelope {
            Envelope::Join(_, info) => {
                if let Some(described) = Described::read(info) {
                    open.board.lock().joined(&described);
                }
            }
            Envelope::Leave(_, info) => {
                if let Some(Described { origin, number, .. }) = Described::read(info) {
                    open.board.lock().left(origin, number);
                }
            }
            // The board has what was told here.
            Envelope::Board(_) if origin == metrics::Origin::Local => {}
            Envelope::Board(b"") => {
                open.board.lock().asked();
                self.note(&open);
            }
            Envelope::Board(message) => {
                let read = unpack(message, MESSAGE_LIMIT).ok();
                let told = read.is_some_and(|bytes| {
                    ToClient::read(&bytes).is_ok_and(|message| open.board.lock().told(&message))
                });
                if !told {
                    self.hub.metrics.envelopes_dropped.inc(metrics::EnvelopeDrop::Malformed);
                }
            }
            Envelope::Publication(_)
            | Envelope::PublicationBut(..)
            | Envelope::Everyone(_)
            | Envelope::EveryoneBut(..)
            | Envelope::Ask(..)
            | Envelope::Answer(..)
            | Envelope::Stream(_) => {}
        }
    }
}

impl Open {
    fn ack(&self) -> Ack {
        let unsaid = self.unsaid.clone();
        Ack::then(move |outcome| {
            if outcome.is_err() {
                unsaid.store(true, Ordering::Release);
            }
        })
    }
}

impl Seat {
    /// The board's channel.
    pub fn channel(&self) -> &Channel {
        &self.open.channel
    }

    /// Whether the client is on the board, or on its way there.
    pub fn is_taken(&self) -> bool {
        self.open.board.lock().is_seated(self.number, self.client)
    }

    /// What the channel's answer needs, which may come when this is gone.
    pub(super) fn claim(&self) -> Claim {
        let (boards, open) = (self.boards.clone(), self.open.clone());
        Claim { boards, open, client: self.client, number: self.number }
    }

    /// The client's cursor is here now; whether the client is on the board.
    pub fn moved(&self, place: Option<crate::codec::presence::Point>) -> bool {
        let moved = self.open.board.lock().moved(self.number, self.client, place, self.boards.now());
        if moved == Some(true) {
            self.boards.hub.metrics.board_movements.inc(metrics::Movement::Merged);
        }
        self.noted(moved.is_some())
    }

    /// The client has selected this; whether it is on the board.
    pub fn selected(&self, selection: &str) -> bool {
        let now = self.boards.now();
        let is_here = self.open.board.lock().selected(self.number, self.client, selection, now);
        self.noted(is_here)
    }

    fn noted(&self, is_here: bool) -> bool {
        if is_here {
            self.boards.note(&self.open);
        }
        is_here
    }

    /// For how long the client has done nothing on the board; nothing when it is not on it.
    pub fn idle(&self) -> Option<Duration> {
        let active = self.open.board.lock().active(self.number, self.client)?;
        Some(Duration::from_micros(self.boards.now().saturating_sub(active)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.claim().leave();
    }
}

/// A number on a board, whoever holds it.
pub(super) struct Claim {
    boards: Arc<Boards>,
    open: Arc<Open>,
    client: ClientId,
    number: u32,
}

impl Claim {
    /// The channel has let the client in: what it is told first, unless it has left meanwhile.
    pub(super) fn enter(&self) -> Option<Vec<u8>> {
        let Self { boards, open, client, number } = self;
        let mut message = Vec::new();
        {
            let mut board = open.board.lock();
            if !board.enter(*number, *client) {
                return None;
            }
            let pace = (boards.pace.cursor_rate, boards.pace.flush_interval.as_millis() as u32);
            board.welcome(*number, boards.hub.address.instance.as_str(), pace, &mut message);
        }
        // The others may have to be asked.
        boards.note(open);
        pack(&mut message, boards.pace.compress_above);
        Some(message)
    }

    /// The number is given back; whether it had not been before.
    pub(super) fn leave(&self) -> bool {
        let was_held = self.open.board.lock().release(self.number, self.client);
        if was_held {
            self.boards.note(&self.open);
        }
        was_held
    }
}

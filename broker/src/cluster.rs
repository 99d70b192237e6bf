//! What one instance can do with the clients of all of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    backplane::{
        ANSWER_WITHIN, Ack, Audience, Backplane, Envelope, Excluded, Located, Publication, Unavailable,
    },
    endpoint::{Disconnect, Gateway},
    hub::Hub,
    logic::Modules,
    message::{Address, ClientId, Epoch, InstanceId},
    metrics::{Label, Origin},
    registry::{ClientRecord, Metadata, Query},
};

mod asks;
mod inbound;
mod question;
mod sockets;

pub use asks::{Answers, Asks};
pub use inbound::{Answerer, Answering, Inbound};
pub use question::{Call, Change, Changed, Extent, Order, Question, QuestionError, Recipients, Who};
pub use sockets::{Answered, AskError, Asked, Asking, ClientAnswer, Sockets};

/// A list of channels, with the number of subscribers of each.
pub type Counts = BTreeMap<String, u64>;

/// How often the directory is told of last messages and metadata.
const SYNC: Duration = Duration::from_secs(1);

/// Clients that are named in one question.
const RECIPIENTS: usize = 1000;

/// What became of a message for one client, or of an order about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Its instance has carried it out: a message stands in the client's outbox.
    Delivered,
    /// No living instance has such a client, or it is on its way out.
    Gone,
    /// Its instance, or the way to it, did not answer in time. It may have arrived all the same.
    Unreachable,
}

/// A client, and the instance that it is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The instance's stable name.
    pub instance: String,
    /// The client.
    #[serde(flatten)]
    pub client: ClientRecord,
}

/// One page of a list of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The clients, in the order in which they connected.
    pub clients: Vec<Found>,
    /// Where the next page begins: its [`Query::after`]. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<ClientId>,
    /// Instances that did not answer in time: their clients are missing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<String>,
}

impl Page {
    fn of(clients: impl Iterator<Item = Found>, query: &Query) -> Self {
        let mut clients: Vec<_> = clients.collect();
        clients.sort_unstable_by_key(|found| found.client.id);
        let is_full = clients.len() >= query.page();
        clients.truncate(query.page());
        let next = clients.last().filter(|_| is_full).map(|last| last.client.id);
        Self { clients, next, silent: Vec::new() }
    }
}

/// All instances, seen from this one.
pub struct Cluster {
    /// What this instance holds.
    pub hub: Arc<Hub>,
    /// What joins it to the others.
    pub backplane: Arc<dyn Backplane>,
    asks: Arc<Asks>,
    gateway: Subscribing,
}

/// What subscribes clients, known only after everything else is built. It owns the backplane, and so whatever has this.
type Subscribing = Arc<OnceLock<Weak<Gateway>>>;

impl Cluster {
    /// The cluster that the backplane joins, and what the backplane is to be [started](Backplane::start) with.
    pub fn new(
        hub: Arc<Hub>,
        backplane: Arc<dyn Backplane>,
        logic: Arc<Modules>,
    ) -> (Arc<Self>, Arc<Inbound>) {
        let asks = Arc::new(Asks::default());
        let gateway = Subscribing::default();
        let way_back = Arc::downgrade(&backplane);
        let inbound = Inbound::new(hub.clone(), asks.clone(), logic, way_back, gateway.clone());
        (Arc::new(Self { hub, backplane, asks, gateway }), Arc::new(inbound))
    }

    /// What subscribes clients, while the broker runs.
    pub(crate) fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.get()?.upgrade()
    }

    /// Tells the directory each second of last messages and metadata, those that changed only. Never ends by itself.
    pub async fn sync(&self) {
        let mut tick = interval(SYNC);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let touched = self.hub.registry.take_touched();
            if !touched.is_empty() {
                self.backplane.touch(&touched.iter().map(|client| client.id).collect::<Vec<_>>());
            }
        }
    }

    /// Delivers to clients of other instances, and says of each, in their order, what became of it.
    pub async fn deliver_elsewhere(&self, clients: &[ClientId], publication: &Publication<'_>) -> Vec<Reach> {
        let Ok(located) = self.backplane.locate(clients).await else {
            return vec![Reach::Unreachable; clients.len()];
        };
        let mut reached = vec![Reach::Gone; clients.len()];
        let mut groups: BTreeMap<(InstanceId, Epoch), Vec<usize>> = BTreeMap::new();
        for (place, Located { address, .. }) in
            located.into_iter().enumerate().filter_map(|(i, l)| Some((i, l?)))
        {
            // A record of this very instance is of a client that has just gone.
            if address != self.hub.address {
                groups.entry((address.instance, address.epoch)).or_default().push(place);
            }
        }
        let groups = groups.iter().flat_map(|((instance, epoch), places)| {
            let address = Address { instance: instance.clone(), epoch: *epoch };
            places.chunks(RECIPIENTS).map(move |places| (address.clone(), places))
        });
        let outcomes = join_all(groups.map(async |(address, places)| {
            let ids: Vec<[u8; 16]> = places.iter().map(|place| *clients[*place].as_bytes()).collect();
            let question = Question::Deliver(Recipients::from(&*ids), *publication);
            let gone = self.ask_one(address, &question).await;
            (places, ids, gone)
        }));
        for (places, ids, gone) in outcomes.await {
            for (place, id) in places.iter().zip(ids) {
                reached[*place] = match &gone {
                    Ok(gone) if gone.as_chunks().0.contains(&id) => Reach::Gone,
                    Ok(_) => Reach::Delivered,
                    Err(_) => Reach::Unreachable,
                };
            }
        }
        reached
    }

    /// Delivers to every client of every instance, but for those who are excluded.
    pub fn deliver_to_everyone(
        &self,
        excluded: Option<Excluded<'_>>,
        publication: &Publication<'_>,
        ack: Ack,
    ) {
        let envelope = match excluded {
            None => Envelope::Everyone(*publication),
            Some(excluded) => Envelope::EveryoneBut(excluded, *publication),
        };
        self.backplane.tell(&Audience::Everyone, &envelope, ack);
        self.hub.deliver_to_everyone(excluded, publication, Origin::Local);
    }

    /// Where a client is, and what the directory knows of it.
    pub async fn find(&self, client: ClientId) -> Result<Option<Found>, Unavailable> {
        if let Some(client) = self.hub.registry.get(client) {
            let instance = self.hub.address.instance.to_string();
            return Ok(Some(Found { instance, client: client.record() }));
        }
        let mut located = self.backplane.locate(&[client]).await?;
        let found = located.pop().flatten().filter(|located| located.address != self.hub.address);
        Ok(found.map(|Located { address, client }| Found { instance: address.instance.to_string(), client }))
    }

    /// One page of the clients of this instance.
    pub fn local_clients(&self, query: &Query) -> Page {
        let instance = &self.hub.address.instance;
        let is_wanted = query.instance.as_ref().is_none_or(|name| name == instance.as_str());
        let records = if is_wanted { self.hub.list(query) } else { Vec::new() };
        Page::of(records.into_iter().map(|client| Found { instance: instance.to_string(), client }), query)
    }

    /// One page of the clients of all instances.
    pub async fn clients(&self, query: &Query) -> Result<Page, Unavailable> {
        let is_wanted =
            |address: &Address| query.instance.as_ref().is_none_or(|name| name == address.instance.as_str());
        let others = self.others().await?.into_iter().filter(is_wanted).collect();
        let question = Question::Order(Order::Clients(query.clone()));
        let (answers, silent) = self.survey::<Vec<ClientRecord>>(others, &question).await?;
        let there = answers.into_iter().flat_map(|(address, records)| {
            let instance = address.instance.to_string();
            records.into_iter().map(move |client| Found { instance: instance.clone(), client })
        });
        let mut page = Page::of(self.local_clients(query).clients.into_iter().chain(there), query);
        page.silent = silent.iter().map(|address| address.instance.to_string()).collect();
        Ok(page)
    }

    /// The channels that match the glob pattern and have subscribers on some instance, with how many. Without an answer
    /// in time from some instances the others' will do.
    pub async fn channels(&self, pattern: &str) -> Result<Counts, Unavailable> {
        let mut counts: Counts = self.hub.matching_channels(pattern).into_iter().collect();
        let others = self.others().await?;
        let asked = others.len();
        let question = Question::Order(Order::Channels(pattern.to_owned()));
        let (answers, silent) = self.survey::<Counts>(others, &question).await?;
        if asked > 0 && silent.len() == asked {
            return Err(Unavailable::Timeout);
        }
        for (channel, subscribers) in answers.into_iter().flat_map(|(_, counts)| counts) {
            *counts.entry(channel).or_default() += subscribers;
        }
        Ok(counts)
    }

    /// Ends a client, or all clients of a user, wherever they are. How many there were, and whether every instance that
    /// could have one has answered.
    pub async fn disconnect(
        &self,
        who: &Who,
        reason: Disconnect,
        extent: Extent,
    ) -> Result<(usize, bool), Unavailable> {
        let order = Order::Disconnect { who: who.clone(), reason: reason.as_str().to_owned(), extent };
        let here = self.hub.disconnect(who, reason, extent);
        let (there, complete) = self.order_about::<usize>(who, here > 0, order).await?;
        Ok((here + there.into_iter().sum::<usize>(), complete))
    }

    /// Has other instances subscribe clients to a channel, or end that. What became of them, and whether every instance
    /// that could have one has answered.
    pub(crate) async fn change_elsewhere(
        &self,
        who: &Who,
        is_here: bool,
        channel: &str,
        change: Change,
    ) -> Result<(Changed, bool), Unavailable> {
        let order = Order::Change { who: who.clone(), channel: channel.to_owned(), change };
        let (there, complete) = self.order_about::<Changed>(who, is_here, order).await?;
        Ok((there.into_iter().fold(Changed::default(), |all, one| all + one), complete))
    }

    /// Notes texts of a client, wherever it is: an empty one removes what was noted under that name.
    pub async fn note(&self, client: ClientId, metadata: &Metadata) -> Reach {
        if self.hub.note(client, metadata) {
            return Reach::Delivered;
        }
        let order = Order::Note(client, metadata.clone());
        match self.order_about::<bool>(&Who::Client(client), false, order).await {
            Ok((there, _)) if there.contains(&true) => Reach::Delivered,
            Ok((_, true)) => Reach::Gone,
            Ok((_, false)) | Err(_) => Reach::Unreachable,
        }
    }

    /// Gives an order to the instances that may have a client. Their answers, and whether all have answered.
    async fn order_about<A: DeserializeOwned>(
        &self,
        who: &Who,
        is_here: bool,
        order: Order,
    ) -> Result<(Vec<A>, bool), Unavailable> {
        let instances = match who {
            Who::Client(_) | Who::ClientOf(..) if is_here => Vec::new(),
            Who::Client(client) | Who::ClientOf(client, _) => {
                let located = self.backplane.locate(&[*client]).await?;
                let elsewhere = located.into_iter().flatten().map(|located| located.address);
                elsewhere.filter(|address| *address != self.hub.address).collect()
            }
            Who::User(_) | Who::Channel(_) => self.others().await?,
        };
        let (answers, silent) = self.survey(instances, &Question::Order(order)).await?;
        Ok((answers.into_iter().map(|(_, answer)| answer).collect(), silent.is_empty()))
    }

    /// Asks instances, and reads their JSON.
    async fn survey<A: DeserializeOwned>(
        &self,
        instances: Vec<Address>,
        question: &Question<'_>,
    ) -> Result<(Vec<(Address, A)>, Vec<Address>), Unavailable> {
        let Answers { given, mut silent } =
            self.asks.ask(&*self.backplane, instances, question, ANSWER_WITHIN).await?;
        let mut answers = Vec::new();
        for (address, bytes) in given {
            match serde_json::from_slice(&bytes) {
                Ok(answer) => answers.push((address, answer)),
                Err(_) => silent.push(address),
            }
        }
        Ok((answers, silent))
    }

    /// Asks one instance.
    pub(crate) async fn ask_one(
        &self,
        instance: Address,
        question: &Question<'_>,
    ) -> Result<bytes::Bytes, Unavailable> {
        self.ask_within(instance, question, ANSWER_WITHIN).await
    }

    /// Asks one instance that may take so long.
    pub(crate) async fn ask_within(
        &self,
        instance: Address,
        question: &Question<'_>,
        within: Duration,
    ) -> Result<bytes::Bytes, Unavailable> {
        let answers = self.asks.ask(&*self.backplane, vec![instance], question, within).await?;
        answers.given.into_iter().next().map(|(_, answer)| answer).ok_or(Unavailable::Timeout)
    }

    /// The other instances that live.
    pub async fn others(&self) -> Result<Vec<Address>, Unavailable> {
        let instances = self.backplane.instances().await?;
        let addresses = instances.iter().filter_map(|record| {
            let epoch = u64::from_str_radix(&record.epoch, 16).ok()?;
            Some(Address { instance: InstanceId::new(&record.id), epoch: Epoch(epoch) })
        });
        Ok(addresses.filter(|address| *address != self.hub.address).collect())
    }
}

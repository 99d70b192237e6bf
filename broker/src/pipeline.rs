//! The straight line from a message to its receivers.
//!
//! ```text
//! receive chain → router → logic      ──▶ may send: back to the router
//!                        ↘ send chain → backplane ══▶ other instances
//!                                     ↘ deliver   ──▶ local clients
//! ```

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use smallvec::smallvec;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    auth::Histories,
    backplane::{Ack, Envelope, Excluded, Keep, Publication, Unavailable},
    cluster::{Answered, AskError, Asked, Asking, Call, Cluster, Question, Reach},
    logic::{LogicError, Modules, Outcome, Place, read_outcome},
    message::{Channel, ClientId, InstanceId, LogicName, Message, Rejection, Source, Target},
    metrics::{self, DeliveryFailure, Metrics, Origin, Rejection as Rejected},
    middleware::Chain,
    router,
};

/// Messages that may be on their way to clients or logic of other instances with nobody waiting for them.
const UNAWAITED: usize = 4096;

/// What the asker allows for the way to another instance and back, beside a module's own time limit.
const WAY: Duration = Duration::from_millis(750);

/// Everything a message passes on its way.
pub struct Pipeline {
    receive: Chain,
    send: Chain,
    /// Where the line ends.
    pub cluster: Arc<Cluster>,
    /// The modules of this instance.
    pub logic: Arc<Modules>,
    histories: Histories,
    unawaited: Arc<Semaphore>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Whether the backplane has taken what was for channels or for everyone.
    pub elsewhere: Result<(), Unavailable>,
    /// What became of it for each client that it was for.
    pub clients: Vec<(ClientId, Reach)>,
    /// What each logic module made of it.
    pub logic: Vec<(LogicName, Outcome)>,
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(
        receive: Chain,
        send: Chain,
        cluster: Arc<Cluster>,
        logic: Arc<Modules>,
        histories: Histories,
    ) -> Arc<Self> {
        let unawaited = Arc::new(Semaphore::new(UNAWAITED));
        Arc::new(Self { receive, send, cluster, logic, histories, unawaited })
    }

    fn metrics(&self) -> &Metrics {
        &self.cluster.hub.metrics
    }

    /// Sends a message on its way. `ack` is told when the backplane has taken what is for channels or everyone; local
    /// clients have it in their outboxes when this returns, whatever the backplane says, but for channels with history:
    /// there they have it in the stream's order, or when the backplane has not taken it. After an error `ack` is told
    /// nothing.
    pub fn publish(self: &Arc<Self>, mut message: Message, ack: Ack) -> Result<(), Rejection> {
        if let Err(rejection) = self.receive(&mut message).and_then(|()| self.leaves_nobody_out_of(&message))
        {
            ack.cancel();
            return Err(rejection);
        }
        let targets = message.targets.clone();
        let plan = router::route(&targets, |id| self.cluster.hub.registry.get(id).is_some());
        for (name, at) in &plan.logic {
            match (at, self.logic.place(name)) {
                (None, Some(Place::Here)) => self.logic.hand(name, message.clone()),
                _ => self.spawn_call((*name).clone(), at.cloned(), message.clone()),
            }
        }
        if !plan.leaves() {
            ack.done(Ok(()));
            return Ok(());
        }
        if let Err(rejection) = self.leave(&mut message) {
            ack.cancel();
            return Err(rejection);
        }
        let tags = tags(&message);
        let publication = publication(&message, &tags);
        self.fan_out(&plan, &message, &publication, ack);
        if !plan.here.is_empty() {
            self.cluster.hub.deliver_to(plan.here.iter().copied(), &publication, Origin::Local);
        }
        if !plan.elsewhere.is_empty() {
            self.spawn_delivery(plan.elsewhere.to_vec(), message);
        }
        Ok(())
    }

    /// Sends a message on its way, waits, and tells what became of it for each target.
    pub async fn send(self: &Arc<Self>, mut message: Message) -> Result<Receipt, Rejection> {
        message.wants_answer = true;
        self.receive(&mut message)?;
        self.leaves_nobody_out_of(&message)?;
        let targets = message.targets.clone();
        let plan = router::route(&targets, |id| self.cluster.hub.registry.get(id).is_some());
        let calls = join_all(
            plan.logic
                .iter()
                .map(async |(name, at)| ((*name).clone(), self.call_at(name, *at, message.clone()).await)),
        );
        if !plan.leaves() {
            return Ok(Receipt { elsewhere: Ok(()), clients: Vec::new(), logic: calls.await });
        }
        let mut leaving = message.clone();
        self.leave(&mut leaving)?;
        let tags = tags(&leaving);
        let publication = publication(&leaving, &tags);
        let (ack, elsewhere) = Ack::channel();
        self.fan_out(&plan, &leaving, &publication, ack);
        let gone = self.cluster.hub.deliver_to(plan.here.iter().copied(), &publication, Origin::Local);
        let reach = |client: &ClientId| if gone.contains(client) { Reach::Gone } else { Reach::Delivered };
        let here = plan.here.iter().map(|client| (*client, reach(client)));
        let (elsewhere, there, logic) =
            tokio::join!(elsewhere, self.cluster.deliver_elsewhere(&plan.elsewhere, &publication), calls);
        let clients = here.chain(plan.elsewhere.iter().copied().zip(there)).collect();
        Ok(Receipt { elsewhere, clients, logic })
    }

    /// Calls a logic module and gives back what it made of the message.
    pub async fn call(&self, name: &LogicName, mut message: Message) -> Result<Outcome, Rejection> {
        message.targets = smallvec![Target::Logic(name.clone())];
        message.wants_answer = true;
        self.receive(&mut message)?;
        Ok(self.call_at(name, None, message).await)
    }

    /// Has a message pass both chains, for whoever delivers it by other means.
    ///
    /// # Errors
    /// A middleware stops it.
    pub fn examine(&self, message: &mut Message) -> Result<(), Rejection> {
        self.receive(message)?;
        self.leave(message)
    }

    /// Has clients of Socket.IO answer a message's payload, which is an event.
    ///
    /// # Errors
    /// Why nobody was asked.
    pub async fn ask(
        &self,
        mut message: Message,
        whom: Asked,
        within: Option<Duration>,
    ) -> Result<Answered, AskError> {
        let sockets = self.cluster.hub.sockets().ok_or(AskError::Off)?;
        message.targets = match &whom {
            Asked::Channel(channel, _) => smallvec![Target::Channel(channel.clone())],
            Asked::Clients(clients) => clients.iter().copied().map(Target::Client).collect(),
        };
        self.examine(&mut message).map_err(AskError::Rejected)?;
        sockets.ask(Asking { whom, event: message.payload, within }).await
    }

    /// The receive chain: for what comes in, not for what logic sends.
    fn receive(&self, message: &mut Message) -> Result<(), Rejection> {
        match message.source {
            Source::Logic(_) => Ok(()),
            Source::Client { .. } | Source::Api => self.pass(&self.receive, message),
        }
    }

    /// What a channel with history keeps is for all.
    fn leaves_nobody_out_of(&self, message: &Message) -> Result<(), Rejection> {
        if message.left_out.is_none() || message.skip_history {
            return Ok(());
        }
        let kept = message.targets.iter().find_map(|target| match target {
            Target::Channel(channel) => self.histories.of(channel.as_str()).map(|_| channel),
            _ => None,
        });
        let Some(channel) = kept else { return Ok(()) };
        self.metrics().rejected.inc(Rejected::Malformed);
        let channel = channel.as_str();
        let message = format!(
            "{channel:?} has history, which keeps a message for all: leave out except, or say skip_history"
        );
        Err(Rejection { reason: "history", message, is_temporary: false })
    }

    /// The send chain, once for all clients that get it.
    fn leave(&self, message: &mut Message) -> Result<(), Rejection> {
        self.pass(&self.send, message)?;
        self.metrics().publishes.inc(match &message.source {
            Source::Client { .. } => metrics::Source::Client,
            Source::Logic(_) => metrics::Source::Logic,
            Source::Api => metrics::Source::Api,
        });
        Ok(())
    }

    fn pass(&self, chain: &Chain, message: &mut Message) -> Result<(), Rejection> {
        chain.run(message).inspect_err(|rejection| {
            self.metrics().rejected.inc(match rejection.is_temporary {
                true => Rejected::RateLimit,
                false => Rejected::Middleware,
            });
        })
    }

    /// To channels and to everyone. The backplane first: its bytes are on their way while the local outboxes are filled.
    fn fan_out(&self, plan: &router::Plan<'_>, message: &Message, publication: &Publication<'_>, ack: Ack) {
        let mut bytes = Vec::new();
        let excluded = message.left_out.as_deref().map(|except| Excluded::write(except, &mut bytes));
        let envelope = match excluded {
            None => Envelope::Publication(*publication),
            Some(excluded) => Envelope::PublicationBut(excluded, *publication),
        };
        let mut acks = ack.split(plan.channels.len() + usize::from(plan.everyone));
        for channel in &plan.channels {
            let ack = acks.next().unwrap_or_else(Ack::ignore);
            if let Some(keep) = self.histories.of(channel.as_str())
                && !message.skip_history
            {
                self.publish_kept(channel, message, publication, keep, ack);
                continue;
            }
            self.cluster.backplane.publish(channel, &envelope, ack);
            self.cluster.hub.deliver_but(message.except, channel.as_str(), &envelope);
        }
        if plan.everyone {
            let ack = acks.next().unwrap_or_else(Ack::ignore);
            self.cluster.deliver_to_everyone(excluded, publication, ack);
        }
    }

    /// To a channel with history. The backplane brings it to the subscribers here too, in its place in the stream. What it
    /// does not take is delivered here all the same, without a place.
    fn publish_kept(
        &self,
        channel: &Channel,
        message: &Message,
        publication: &Publication<'_>,
        keep: Keep,
        ack: Ack,
    ) {
        let hub = self.cluster.hub.clone();
        let (of, data, except) = (channel.clone(), message.payload.clone(), message.except);
        let info = match &message.source {
            Source::Client { info, .. } => info.clone(),
            Source::Logic(_) | Source::Api => Bytes::new(),
        };
        let tags = Bytes::copy_from_slice(publication.tags);
        let ack = Ack::positioned(move |outcome| {
            // What may have been taken comes by the stream, if it was.
            if !matches!(outcome, Ok(Some(_)) | Err(Unavailable::Uncertain)) {
                let publication = Publication { info: &info, tags: &tags, data: &data };
                hub.deliver_but(except, of.as_str(), &Envelope::Publication(publication));
            }
            ack.told(outcome);
        });
        self.cluster.backplane.publish_kept(channel, publication, keep, ack);
    }

    /// Calls a module where it runs, or on this instance.
    async fn call_at(&self, name: &LogicName, at: Option<&InstanceId>, message: Message) -> Outcome {
        let own = &self.cluster.hub.address.instance;
        let place = match at {
            Some(at) if at == own => Place::Here,
            Some(at) => {
                let others = self.cluster.others().await.map_err(|_| LogicError::Unreachable)?;
                let newest = others.into_iter().filter(|other| other.instance == *at).max_by_key(|a| a.epoch);
                newest.map_or(Place::Unknown, Place::Elsewhere)
            }
            None => self.logic.place(name).ok_or(LogicError::Unknown)?,
        };
        match place {
            Place::Here => {
                let (sender, receiver) = oneshot::channel();
                self.logic.submit(name, message, move |outcome| drop(sender.send(outcome)));
                receiver.await.unwrap_or(Err(LogicError::Stopping))
            }
            Place::Unknown => Err(LogicError::Unreachable),
            Place::Elsewhere(address) => {
                let call = describe(name, &message);
                let question = Question::Call(call, &message.payload);
                let within = self.logic.time_limit(name) + WAY;
                let answer = self.cluster.ask_within(address, &question, within).await;
                answer.map_or(Err(LogicError::Unreachable), |answer| read_outcome(&answer))
            }
        }
    }

    /// Calls a module for a message that nobody waits for.
    fn spawn_call(self: &Arc<Self>, name: LogicName, at: Option<InstanceId>, message: Message) {
        let pipeline = self.clone();
        self.spawn(async move {
            if let Err(error) = pipeline.call_at(&name, at.as_ref(), message).await {
                tracing::debug!(logic = %name, %error, "a logic module did not take a message");
            }
        });
    }

    /// Delivers to clients of other instances what nobody waits for.
    fn spawn_delivery(self: &Arc<Self>, clients: Vec<ClientId>, message: Message) {
        let pipeline = self.clone();
        self.spawn(async move {
            let tags = tags(&message);
            let reached = pipeline.cluster.deliver_elsewhere(&clients, &publication(&message, &tags)).await;
            let lost = reached.iter().filter(|reach| **reach != Reach::Delivered).count();
            pipeline.metrics().delivery_failures.add(DeliveryFailure::NotFound, lost as u64);
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(turn) = self.unawaited.clone().try_acquire_owned() else {
            return self.metrics().delivery_failures.inc(DeliveryFailure::Busy);
        };
        tokio::spawn(async move {
            work.await;
            drop(turn);
        });
    }
}

/// What a module on another instance gets to know of a message.
fn describe(name: &LogicName, message: &Message) -> Call {
    let mut call = Call {
        logic: name.to_string(),
        client: None,
        info: String::new(),
        from: None,
        metadata: message.metadata.clone(),
        wants_answer: message.wants_answer,
    };
    match &message.source {
        Source::Client { id, info } => {
            call.client = Some(*id);
            call.info = String::from_utf8_lossy(info).into_owned();
        }
        Source::Logic(from) => call.from = Some(from.to_string()),
        Source::Api => {}
    }
    call
}

/// The metadata as it goes to clients: a JSON object, or nothing.
fn tags(message: &Message) -> Vec<u8> {
    match message.metadata.is_empty() {
        true => Vec::new(),
        false => serde_json::to_vec(&message.metadata).unwrap_or_default(),
    }
}

fn publication<'a>(message: &'a Message, tags: &'a [u8]) -> Publication<'a> {
    let info = match &message.source {
        Source::Client { info, .. } => info.as_ref(),
        Source::Logic(_) | Source::Api => b"",
    };
    Publication { info, tags, data: &message.payload }
}

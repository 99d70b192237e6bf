//! A module in another language: messages are POSTed to it, and what it answers is carried out.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::Instant;

use super::{Context, Logic, LogicError, Outcome};
use crate::{
    auth::Namespaces,
    config::{Config, logic::Module, logic::Webhook as Settings},
    message::Message,
    metrics::{Metrics, WebhookAction, WebhookAttempt, WebhookMetrics},
    post::{ENDLESS, Poster, Unanswered},
};

mod actions;
mod reply;
mod request;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use reply::fuzz;

use reply::Channels;

/// A receiver, as a logic module.
pub struct Webhook {
    poster: Poster,
    channels: Channels,
    /// When the receiver must have answered, retries included.
    within: Duration,
    metrics: WebhookMetrics,
}

/// Why a webhook cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook of the logic module {module:?} cannot be used: {why}")]
pub struct Unusable {
    module: String,
    why: String,
}

impl Webhook {
    /// The webhook of a module of the configuration, whose secrets have been read. Nothing is connected yet.
    ///
    /// # Errors
    /// When the certificates to trust cannot be read, or the configuration has not been checked.
    pub fn new(
        config: &Config,
        module: &Module,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, Unusable> {
        Self::build(config, module, settings, metrics)
            .map_err(|why| Unusable { module: module.name.clone(), why })
    }

    fn build(
        config: &Config,
        module: &Module,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let name = format!("logic module {}", module.name);
        let metrics = metrics.webhook(&module.name);
        Ok(Self {
            poster: Poster::new(name, settings, module.at_once(), metrics.posts.clone())?,
            channels: Channels {
                longest: config.limits.channel_length,
                namespaces: Namespaces::new(&config.channels),
            },
            // The rest is for carrying out the reply.
            within: module.time_limit.get().min(ENDLESS) * 19 / 20,
            metrics,
        })
    }

    /// Sends messages, and does what the reply says: an outcome for each.
    async fn deliver(&self, messages: &[Message], context: &Context) -> Result<Vec<Outcome>, LogicError> {
        let parcel = request::parcel(messages, context)
            .map_err(|error| LogicError::Failed(format!("the messages cannot be written: {error}")))?;
        let posted = self.poster.post(&parcel, Instant::now() + self.within).await;
        let body = posted.map_err(|why| match why {
            Unanswered::LeftAlone => LogicError::Unreachable,
            Unanswered::Failed(failure) => match failure.kind {
                WebhookAttempt::Unreachable => LogicError::Unreachable,
                WebhookAttempt::TimedOut => LogicError::TimedOut,
                _ => LogicError::Failed(failure.why),
            },
        })?;
        let replies = reply::read(&body, messages.len(), &self.channels).map_err(|why| {
            self.metrics.bad_replies.inc();
            LogicError::Failed(format!("the receiver's answer is no reply: {why}"))
        })?;
        let (mut outcomes, mut actions) = (Vec::with_capacity(replies.len()), Vec::new());
        for reply in replies {
            outcomes.push(reply.outcome);
            actions.extend(reply.actions);
            reply.wrong.into_iter().for_each(|why| self.acted(Err(why), context));
        }
        actions::carry_out(actions, context, |outcome| self.acted(outcome, context)).await;
        Ok(outcomes)
    }

    /// Counts what became of something that the receiver asked for.
    fn acted(&self, outcome: Result<(), String>, context: &Context) {
        match outcome {
            Ok(()) => self.metrics.actions.inc(WebhookAction::Done),
            Err(error) => {
                self.metrics.actions.inc(WebhookAction::Failed);
                if self.poster.may_log() {
                    tracing::warn!(logic = %context.name(), %error, "cannot do what a webhook's reply asks for");
                }
            }
        }
    }
}

impl Logic for Webhook {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let outcomes = self.deliver(std::slice::from_ref(&message), context).await?;
            outcomes.into_iter().next().unwrap_or(Ok(None))
        }
        .boxed()
    }

    fn receive_batch<'a>(
        &'a self,
        messages: Vec<Message>,
        context: &'a Context,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        async move {
            let outcomes = self.deliver(&messages, context).await;
            outcomes.unwrap_or_else(|error| messages.iter().map(|_| Err(error.clone())).collect())
        }
        .boxed()
    }
}

//! How whoever asks something of a backplane learns what became of it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Position, Unavailable};

/// Told once how a request ended. An `Ack` that is dropped untold says [`Unavailable::Closed`], so that
/// nobody waits for an answer that never comes.
pub struct Ack(Option<Box<Then>>);

type Then = dyn FnOnce(Taken) + Send;

/// How a request ended; for a publication that is kept, with its place in the channel's stream.
pub type Taken = Result<Option<Position>, Unavailable>;

impl Ack {
    /// Nobody wants to know.
    pub fn ignore() -> Self {
        Self(None)
    }

    /// Calls `then` with the outcome, on whichever task learns it: it must not block.
    pub fn then(then: impl FnOnce(Result<(), Unavailable>) + Send + 'static) -> Self {
        Self::positioned(move |outcome| then(outcome.map(drop)))
    }

    /// As [`Ack::then`], with the place in the stream of what is kept.
    pub fn positioned(then: impl FnOnce(Taken) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// An `Ack` and the future of its outcome.
    pub fn channel() -> (Self, impl Future<Output = Result<(), Unavailable>> + Send) {
        let (ack, outcome) = Self::positioned_channel();
        (ack, async { outcome.await.map(drop) })
    }

    /// As [`Ack::channel`], with the place in the stream of what is kept.
    pub fn positioned_channel() -> (Self, impl Future<Output = Taken> + Send) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let ack = Self::positioned(move |outcome| {
            let _ = sender.send(outcome);
        });
        (ack, async { receiver.await.unwrap_or(Err(Unavailable::Closed)) })
    }

    /// Nothing was asked of the backplane after all, and whoever waits is told by other means.
    pub fn cancel(mut self) {
        self.0 = None;
    }

    /// So many of them, for parts of one thing: this one is told when all of them are, of the first failure if there
    /// is one, and of no place in a stream if they are several. Without parts it is told at once that all is well.
    pub fn split(self, parts: usize) -> impl Iterator<Item = Self> {
        let (mut whole, mut shared) = (None, None);
        match parts {
            0 => self.done(Ok(())),
            1 => whole = Some(self),
            _ => shared = Some(Arc::new(Shared(Mutex::new((self, parts, Ok(())))))),
        }
        let parts = if shared.is_some() { parts } else { 0 };
        whole.into_iter().chain((0..parts).filter_map(move |_| shared.clone()).map(Shared::part))
    }

    /// Tells the outcome.
    pub fn done(self, outcome: Result<(), Unavailable>) {
        self.told(outcome.map(|()| None));
    }

    /// Tells the outcome, with the place in the stream of what is kept.
    pub fn told(mut self, outcome: Taken) {
        if let Some(then) = self.0.take() {
            then(outcome);
        }
    }
}

/// An ack, how many of its parts are not told, and the first failure.
struct Shared(Mutex<(Ack, usize, Result<(), Unavailable>)>);

impl Shared {
    fn part(self: Arc<Self>) -> Ack {
        Ack::then(move |outcome| {
            let mut state = self.0.lock();
            let (whole, left, first) = &mut *state;
            *left -= 1;
            *first = first.and(outcome);
            if *left == 0 {
                let (whole, first) = (std::mem::replace(whole, Ack::ignore()), *first);
                drop(state);
                whole.done(first);
            }
        })
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Unavailable::Closed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_ack_is_told_when_all_its_parts_are() {
        for (outcomes, expected) in [
            (vec![], Ok(())),
            (vec![Ok(())], Ok(())),
            (vec![Err(Unavailable::Timeout)], Err(Unavailable::Timeout)),
            (vec![Ok(()), Err(Unavailable::Refused), Err(Unavailable::Timeout)], Err(Unavailable::Refused)),
            (vec![Ok(()), Ok(())], Ok(())),
        ] {
            let (ack, told) = Ack::channel();
            let parts: Vec<_> = ack.split(outcomes.len()).collect();
            assert_eq!(parts.len(), outcomes.len());
            parts.into_iter().zip(outcomes).for_each(|(part, outcome)| part.done(outcome));
            assert_eq!(futures_util::FutureExt::now_or_never(told), Some(expected));
        }
        let (ack, told) = Ack::channel();
        drop(ack.split(2).collect::<Vec<_>>());
        assert_eq!(futures_util::FutureExt::now_or_never(told), Some(Err(Unavailable::Closed)));
    }
}

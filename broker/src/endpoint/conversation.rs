//! What is said on a connection, in whatever protocol, as the connection needs it.

use std::{task::Context, time::Duration};

use super::{Disconnect, session::Settings};

/// One client's conversation with the broker. The connection that it goes over polls it by hand, and writes what it puts
/// into its outbox. Errors are why the connection has to end.
pub trait Conversation: Unpin {
    /// How it is kept.
    fn settings(&self) -> &Settings;

    /// Whether the client has said who it is.
    fn is_connected(&self) -> bool;

    /// What comes now was not sent together with what came before.
    fn begin_message(&mut self) {}

    /// The client has sent a text.
    ///
    /// # Errors
    /// When it has to end for that.
    fn text(&mut self, _text: &str) -> Result<(), Disconnect> {
        Err(Disconnect::InappropriateProtocol)
    }

    /// The client has sent bytes.
    ///
    /// # Errors
    /// When it has to end for that.
    fn binary(&mut self, _bytes: &[u8]) -> Result<(), Disconnect> {
        Err(Disconnect::InappropriateProtocol)
    }

    /// Changes when something may expire earlier than [`Conversation::expires_in`] has said.
    fn expires(&self) -> Option<u64>;

    /// The time until [`Conversation::end_expired`] should be called; `None` when nothing expires.
    fn expires_in(&self) -> Option<Duration>;

    /// Ends what has expired.
    ///
    /// # Errors
    /// When it has to end itself.
    fn end_expired(&mut self) -> Result<(), Disconnect>;

    /// Something is asked of others, and [`Conversation::settle`] is to be called.
    fn is_asking(&self) -> bool;

    /// Goes on with what others have answered; `cx` is woken when there is more to do.
    ///
    /// # Errors
    /// When it has to end for that.
    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), Disconnect>;

    /// Asks the client whether it is there.
    fn ping(&mut self);

    /// Whether it has answered since.
    fn take_pong(&mut self) -> bool;

    /// Counts what ends the conversation for its form.
    fn count_refused(&self, reason: Disconnect);

    /// Appends what tells the client of the end.
    fn farewell(&self, reason: Disconnect, out: &mut Vec<u8>);

    /// It is over.
    fn end(&mut self, reason: Disconnect);
}

//! The streams of channels with history: a Redis stream for each, and a hash that says where it ends.
//!
//! | key | what |
//! | --- | --- |
//! | `{prefix}:{channel:NAME}:stream` | an entry for each message, whose ID is the message's number and whose field `p` is its envelope |
//! | `{prefix}:{channel:NAME}:position` | a hash: `offset`, the number of the last message, and `epoch` |
//!
//! Both are changed and read by scripts only, so that nobody sees one without the other, and what is published carries
//! the numbers that it has in the stream.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::{Cmd, Pipeline, cmd};

use super::{
    commands::{Commands, Failed},
    keys::Keys,
};
use crate::{
    backplane::{Envelope, Filter, Keep, Kept, Past, Position, StreamEpoch, Unavailable},
    message::Channel,
    metrics::RedisCommand,
};

/// Appends messages to a stream and publishes them as one packet. The answer is the number of the first, a space, and
/// the epoch.
pub(super) static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("streams/append.lua")));

/// Reads from a stream: the number of the last message, the epoch, and number and envelope of each message.
static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("streams/read.lua")));

/// A script, and the name that Redis gives it once it has it.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) sha: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { text, sha: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

fn key(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut key = Vec::new();
    write(&mut key);
    key
}

/// Reads the answer of [`APPEND`].
pub(super) fn appended(reply: &str) -> Option<Position> {
    let (offset, epoch) = reply.split_once(' ')?;
    Some(Position { offset: offset.parse().ok()?, epoch: StreamEpoch::parse(epoch)? })
}

/// Reads from a channel's stream.
pub(super) async fn read(
    commands: &Commands,
    keys: &Keys,
    channel: &Channel,
    filter: Filter,
) -> Result<Past, Unavailable> {
    let ask = |mut command: Cmd| {
        command
            .arg(2)
            .arg(key(|out| keys.write_position(channel, out)))
            .arg(key(|out| keys.write_stream(channel, out)))
            .arg(StreamEpoch::generate().as_str())
            .arg(Keep::POSITION.as_millis() as u64)
            .arg(filter.limit.map_or(-1, |limit| limit.min(Keep::LARGEST as usize) as i64));
        let (from, to) = match (filter.since, filter.reverse) {
            (None, false) => ("-".to_owned(), "+".to_owned()),
            (None, true) => ("+".to_owned(), "-".to_owned()),
            // Behind it, or before it: by whole numbers, for servers that know no open intervals (before Redis 6.2).
            (Some(since), false) => (since.saturating_add(1).to_string(), "+".to_owned()),
            (Some(since), true) => (since.saturating_sub(1).to_string(), "-".to_owned()),
        };
        command.arg(if filter.reverse { "XREVRANGE" } else { "XRANGE" }).arg(from).arg(to);
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command);
        pipeline
    };
    let mut by_name = cmd("EVALSHA");
    by_name.arg(&READ.sha);
    let answer: Result<(Vec<Vec<u8>>,), Failed> = commands.run(RedisCommand::History, &ask(by_name)).await;
    let (answer,) = match answer {
        Err(failed) if failed.is_unknown_script() => {
            let mut whole = cmd("EVAL");
            whole.arg(READ.text);
            commands.run(RedisCommand::History, &ask(whole)).await?
        }
        answer => answer?,
    };
    past(&answer).ok_or(Unavailable::Refused)
}

/// Forgets what is in a channel's stream.
pub(super) async fn remove(commands: &Commands, keys: &Keys, channel: &Channel) -> Result<(), Unavailable> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("UNLINK").arg(key(|out| keys.write_stream(channel, out))).ignore();
    Ok(commands.run::<()>(RedisCommand::History, &pipeline).await?)
}

/// What [`READ`] answers. Envelopes that cannot be read are holes, and whoever asks sees them as such.
fn past(answer: &[Vec<u8>]) -> Option<Past> {
    let number = |text: &Vec<u8>| std::str::from_utf8(text).ok()?.parse().ok();
    let [offset, epoch, entries @ ..] = answer else { return None };
    let epoch = StreamEpoch::parse(std::str::from_utf8(epoch).ok()?)?;
    let top = Position { offset: number(offset)?, epoch };
    let read = |entry: &[Vec<u8>]| {
        let [id, envelope] = entry else { return None };
        // The ID of an entry has a second part, which is 0.
        let offset = std::str::from_utf8(id).ok()?.split('-').next()?.parse().ok()?;
        match Envelope::read_one(envelope) {
            Ok(Envelope::Publication(publication)) => Some(Kept::new(offset, &publication)),
            _ => None,
        }
    };
    Some(Past { top, publications: entries.chunks(2).filter_map(read).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::Publication;

    #[test]
    fn what_scripts_answer_is_read_or_refused() {
        let epoch = StreamEpoch::generate();
        assert_eq!(appended(&format!("7 {epoch}")), Some(Position { offset: 7, epoch }));
        for wrong in ["", "7", "x 01234567", "7 0123", "7 01234567 "] {
            assert_eq!(appended(wrong), None, "{wrong:?}");
        }
        let mut envelope = Vec::new();
        let publication = Publication { info: b"{}", tags: b"", data: b"1" };
        Envelope::Publication(publication).write(&mut envelope);
        let text = |text: &str| text.as_bytes().to_vec();
        let answer = [text("9"), text(epoch.as_str()), text("8-0"), envelope, text("9-0"), text("rubbish")];
        let read = past(&answer).unwrap();
        assert_eq!(read.top, Position { offset: 9, epoch });
        assert_eq!(read.publications, [Kept::new(8, &publication)]);
        for wrong in [&answer[..0], &answer[..1], &answer[1..]] {
            assert_eq!(past(wrong), None);
        }
        assert_eq!(APPEND.sha.len(), 40);
    }
}

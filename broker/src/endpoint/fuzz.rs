//! What clients, proxies and the application's backend send.

use super::{
    Disconnect,
    framing::{Framing, Input},
    tcp::Lines,
    websocket::Frames,
};

pub(crate) use super::{
    accept::fuzz_proxy as proxy, http::fuzz as api, socketio::fuzz as messages, sse::fuzz as streams,
};

/// The longest message of a client.
const LIMIT: usize = 1000;

/// Frames of a WebSocket. The first two bytes say where they are cut.
pub(crate) fn frames(bytes: &[u8]) {
    // A ping, masked with zeros, to which the answer is its payload.
    cut_anywhere::<Frames>(bytes, b"\x89\x82\0\0\0\0ok");
}

/// Lines of text. The first two bytes say where they are cut.
pub(crate) fn lines(bytes: &[u8]) {
    cut_anywhere::<Lines>(bytes, b"{}\n");
}

/// What is read, and how that ends, does not depend on the pieces in which it comes nor on what stands behind it.
fn cut_anywhere<F: Framing + Default>(bytes: &[u8], good: &[u8]) {
    let Some((cut, stream)) = bytes.split_first_chunk::<2>() else { return };
    let whole = read::<F>(&[stream]);
    let (head, tail) = stream.split_at(usize::from(u16::from_be_bytes(*cut)).min(stream.len()));
    assert_eq!(read::<F>(&[head, tail]), whole);
    let singly: Vec<_> = stream.chunks(1).collect();
    assert_eq!(read::<F>(&singly), whole);
    let (before, mut all) = (read::<F>(&[good]), read::<F>(&[good, stream]));
    assert_eq!((before.0.len(), before.1), (1, None));
    assert_eq!(all.0.remove(0), before.0[0]);
    assert_eq!(all, whole);
    let size: usize = whole.0.iter().map(|input| input.len()).sum();
    assert!(size <= stream.len(), "nothing is invented");
    assert!(whole.0.iter().all(|input| input.len() <= LIMIT));
}

/// What a connection makes of pieces, and how that ends.
fn read<F: Framing + Default>(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Disconnect>) {
    let (mut framing, mut read, mut unread) = (F::default(), Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        let mut at = 0;
        loop {
            match framing.read(&mut unread, at, LIMIT) {
                Ok(Some(received)) => {
                    assert!(received.end > at, "it goes on");
                    at = received.end;
                    match received.input {
                        Input::Commands(text) => read.push(text.as_bytes().to_vec()),
                        Input::Binary(bytes) => read.push(bytes.into_owned()),
                        Input::Answer(answer) => read.push(answer),
                        Input::Nothing => {}
                    }
                }
                Ok(None) => break,
                Err(reason) => return (read, Some(reason)),
            }
        }
        unread.drain(..at);
        assert!(unread.len() <= LIMIT + 14, "more than a message is never waited for");
    }
    (read, None)
}

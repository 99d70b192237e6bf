//! The one message that every case sends: 100 bytes of JSON with a sequence number and a time.
//!
//! Both numbers always have the same number of digits, so a publication is copied from a template and
//! only its digits are written: the generator must stay cheaper than what it measures.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Sequence numbers start here so that they always have ten digits.
const SEQUENCE_BASE: u64 = 1_000_000_000;
/// Times (nanoseconds since the generator started) start here so that they always have sixteen digits.
const TIME_BASE: u64 = 1_000_000_000_000_000;
const SEQUENCE_DIGITS: usize = 10;
const TIME_DIGITS: usize = 16;

static SEQUENCE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""seq":"#));
static TIME_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""time":"#));

/// What a message says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Number of the message within its channel, from 0.
    pub(crate) sequence: u64,
    /// When it was sent, in nanoseconds since the generator started.
    pub(crate) time: u64,
}

impl Stamp {
    /// The message's JSON.
    pub(crate) fn to_json(self) -> String {
        let text = "forty-eight characters of text, as a chat has.  ";
        let (sequence, time) = (SEQUENCE_BASE + self.sequence, TIME_BASE + self.time);
        format!(r#"{{"seq":{sequence},"time":{time},"text":"{text}"}}"#)
    }

    /// Finds the two numbers in anything that carries the message's JSON.
    pub(crate) fn find(bytes: &[u8]) -> Option<Self> {
        let sequence = SEQUENCE_KEY.find(bytes)? + SEQUENCE_KEY.needle().len();
        let rest = &bytes[sequence..];
        // Servers that keep the payload as it was have the time right behind the sequence number.
        let time = TIME_KEY.find(rest)? + TIME_KEY.needle().len();
        Some(Self {
            sequence: number(rest)?.checked_sub(SEQUENCE_BASE)?,
            time: number(&rest[time..])?.checked_sub(TIME_BASE)?,
        })
    }
}

/// The bytes that publish a message on one channel, with the places of the digits.
#[derive(Debug)]
pub(crate) struct Publication {
    bytes: Vec<u8>,
    sequences: Vec<usize>,
    time: usize,
}

impl Publication {
    /// Learns the places from two renderings that differ in nothing but their numbers. `render` may use the
    /// number it is given, which has the digits of the sequence, as often as it likes (as a command's id).
    pub(crate) fn new(render: impl Fn(u64, &str) -> Vec<u8>) -> Self {
        let stamp = Stamp { sequence: 0, time: 0 };
        let bytes = render(SEQUENCE_BASE, &stamp.to_json());
        let sequences = places(&bytes, &SEQUENCE_BASE.to_string(), &TIME_BASE.to_string());
        let time = TIME_KEY.find(&bytes).map_or(0, |at| at + TIME_KEY.needle().len());
        Self { bytes, sequences, time }
    }

    /// Appends the publication with this stamp.
    pub(crate) fn write(&self, stamp: Stamp, output: &mut Vec<u8>) {
        let start = output.len();
        output.extend_from_slice(&self.bytes);
        let copy = &mut output[start..];
        if let Some((&first, others)) = self.sequences.split_first() {
            digits(SEQUENCE_BASE + stamp.sequence, &mut copy[first..first + SEQUENCE_DIGITS]);
            for &other in others {
                copy.copy_within(first..first + SEQUENCE_DIGITS, other);
            }
        }
        digits(TIME_BASE + stamp.time, &mut copy[self.time..self.time + TIME_DIGITS]);
    }
}

/// Where `wanted` stands in `bytes`, leaving out the places where it only begins `longer`.
fn places(bytes: &[u8], wanted: &str, longer: &str) -> Vec<usize> {
    memchr::memmem::find_iter(bytes, wanted.as_bytes())
        .filter(|&at| !bytes[at..].starts_with(longer.as_bytes()))
        .collect()
}

fn digits(mut value: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The decimal number that `bytes` begins with.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    if end == 0 || end > 19 {
        return None;
    }
    Some(bytes[..end].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0')))
}

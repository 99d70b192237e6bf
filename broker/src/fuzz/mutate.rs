//! Inputs that are nearly right: good ones with a few changes.

use rand::{Rng, rngs::StdRng};

/// No input is longer.
const LONGEST: usize = 4096;

/// Bytes that mean something to one parser or another.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\n\r \"\\{}[]():,.-+_*$>&!|%@#'`0123456789eE";

/// One of the inputs with up to four changes.
pub(super) fn mutate(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..=4) {
        change(&mut input, corpus, random);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..8) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 if at < input.len() => input[at] = telling(random),
        3 => input.insert(at, telling(random)),
        4 => input.truncate(at),
        5 => {
            let range = range(input.len(), random);
            input.drain(range);
        }
        // A part again, perhaps many times: nesting, long numbers, long lists.
        6 => {
            let part = input[range(input.len().min(64), random)].to_vec();
            let times = 1 << random.random_range(0..8);
            input.splice(at..at, part.repeat(times).into_iter().take(LONGEST));
        }
        _ => {
            let other = &corpus[random.random_range(0..corpus.len())];
            let part = other[range(other.len(), random)].to_vec();
            input.splice(at..at, part);
        }
    }
}

fn telling(random: &mut StdRng) -> u8 {
    TELLING[random.random_range(0..TELLING.len())]
}

fn range(length: usize, random: &mut StdRng) -> std::ops::Range<usize> {
    let start = random.random_range(0..=length);
    start..random.random_range(start..=length)
}

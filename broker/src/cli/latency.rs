//! Times in little memory: a histogram whose buckets are less than 1 % wide.

/// Below this, each microsecond has a bucket of its own; above, each doubling has as many buckets.
const FINE: u64 = 128;

/// More than a minute is counted as that.
const LONGEST: u64 = 60_000_000;

/// Times in microseconds.
#[derive(Default)]
pub(super) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Latencies {
    /// Counts one.
    pub(super) fn add(&mut self, microseconds: u64) {
        let bucket = bucket(microseconds.min(LONGEST));
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(microseconds);
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The longest one, exactly; 0 when there is none.
    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// What this part of them (0 to 1) does not exceed, to 1 %; 0 when there are none.
    pub(super) fn quantile(&self, part: f64) -> u64 {
        let wanted = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, |bucket| longest_of(bucket as u64).min(self.max))
    }
}

fn bucket(value: u64) -> usize {
    let halvings = value.checked_ilog2().unwrap_or(0).saturating_sub(FINE.ilog2());
    (u64::from(halvings) * FINE + (value >> halvings)) as usize
}

fn longest_of(bucket: u64) -> u64 {
    let halvings = (bucket / FINE).saturating_sub(1);
    ((bucket - halvings * FINE + 1) << halvings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_and_one() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(0.5), latencies.max(), latencies.count()), (0, 0, 0));
        latencies.add(7_000_000_000);
        assert_eq!((latencies.max(), latencies.count()), (7_000_000_000, 1));
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_exact_one_to_one_percent(
            mut times in prop::collection::vec(0..LONGEST, 1..200),
            part in 0.0..1.0_f64,
        ) {
            let mut latencies = Latencies::default();
            times.iter().for_each(|time| latencies.add(*time));
            times.sort_unstable();
            let rank = ((times.len() as f64 * part).ceil() as usize).max(1);
            let (exact, told) = (times[rank - 1], latencies.quantile(part));
            prop_assert!(told >= exact && told as f64 <= exact as f64 * 1.01 + 1.0, "{told} for {exact}");
            prop_assert_eq!(latencies.quantile(1.0), times[times.len() - 1]);
        }
    }
}

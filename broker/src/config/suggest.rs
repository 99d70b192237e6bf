//! The nearest known word to one that was mistyped.

/// The known word that `written` most likely stands for, if any is near enough.
pub(super) fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // About a third of the letters may be wrong: enough for a slip, too few for another word.
    let most = written.chars().count().div_ceil(3);
    known
        .map(|word| (distance(written, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits (insert, remove, replace) from one word to another; capitals do not count.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_slip_and_nothing_far_away() {
        let known = || ["anonymous", "jwt", "api_keys"].into_iter();
        assert_eq!(did_you_mean("anonymus", known()), Some("anonymous"));
        assert_eq!(did_you_mean("apikeys", known()), Some("api_keys"));
        assert_eq!(did_you_mean("JWT", known()), Some("jwt"));
        assert_eq!(did_you_mean("telemetry", known()), None);
        assert_eq!(did_you_mean("", known()), None);
    }

    #[test]
    fn counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("a", "a"), 0);
    }
}

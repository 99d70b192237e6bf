//! Metrics in Prometheus's text format.

/// The sum of all series of `switchboard_<name>` that have these labels.
///
/// # Panics
/// When there is none: a test must not take a misspelt name for zero.
#[track_caller]
pub(super) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let series: Vec<f64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("switchboard_")?.rsplit_once(' '))
        .filter(|(series, _)| {
            let (found, with) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|label| with.contains(label))
        })
        .map(|(_, value)| value.parse().unwrap_or_else(|_| panic!("{name} has the value {value:?}")))
        .collect();
    assert!(!series.is_empty(), "there is no switchboard_{name} with {labels:?}");
    series.iter().sum::<f64>() as u64
}

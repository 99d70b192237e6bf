//! The tables, and the same as JSON and as a page.

use anyhow::Context;
use serde_json::{Value, json};

use crate::cases::{self, Case, Figure, Limit, Outcome};
use crate::document;
use crate::faults::Faults;
use crate::meter::Usage;
use crate::side::Side;

/// A part of what the machine was busy with, in cores.
type Share = fn(&Usage) -> f64;
const GENERATOR: Share = Usage::generator_share;
const OTHERS: Share = Usage::others_share;

/// All rounds of one case; an error stands for a side that did not get to its end.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The case.
    pub(crate) case: &'static Case,
    /// The peer and the brokers, round by round.
    pub(crate) sides: [Vec<anyhow::Result<Outcome>>; 2],
}

impl Measured {
    fn peer(&self) -> Side {
        self.case.sides[0]
    }
}

/// The figures of all rounds in one line.
#[derive(Clone, Copy, Debug)]
struct Line {
    peer: Option<f64>,
    broker: Option<f64>,
    ratio: Option<f64>,
    /// Lowest and highest ratio of one round.
    spread: Option<(f64, f64)>,
}

/// Prints everything. Returns false when a message was lost, a server answered with an error, or a side
/// failed; a missed target is a result, not a failure.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn print(machine: &str, command: &str, all: &[Measured]) -> bool {
    println!("\n{machine}\n");
    for table in tables(all) {
        let peer = table[0].peer().to_string();
        println!("{}", row(head(&peer)));
        for cells in table.iter().flat_map(rows) {
            println!("{}", row(cells.each_ref().map(String::as_str)));
        }
    }
    println!();
    let notes = notes(all);
    for note in &notes {
        println!("{note}");
    }
    if notes.is_empty() {
        println!("{CLEAN}");
    }
    println!("The generator's cores, peer/broker (near 1 it limits the figure): {}", shares(all, GENERATOR));
    println!("Other processes' cores (far from 0 they spoil the figure): {}", shares(all, OTHERS));
    println!("Again: {command}");
    notes.is_empty()
}

/// The page with the tables of which all cases were measured written anew.
///
/// # Errors
/// When the page has no place for one of them.
pub(crate) fn to_document(page: &str, machine: &str, all: &[Measured]) -> anyhow::Result<String> {
    let mut page = page.to_owned();
    for table in tables(all) {
        let sides = table[0].case.sides;
        if table.len() < cases::ALL.iter().filter(|case| case.sides == sides).count() {
            continue;
        }
        let name = sides[1].table();
        let peer = sides[0].to_string();
        let rows: Vec<_> = table.iter().flat_map(rows).collect();
        let mut text = document::table(head(&peer), &rows);
        let notes = notes(table);
        let notes = if notes.is_empty() { CLEAN.to_owned() } else { notes.join("; ") };
        text.push_str(&format!(
            "\n{machine}. {notes} The generator's cores beside {peer} and beside the broker: {}. Those of other processes: {}.\n",
            shares(table, GENERATOR),
            shares(table, OTHERS)
        ));
        page = document::replace(&page, name, &text).with_context(|| {
            format!("the page has no line <!-- measured: {name} --> with <!-- end --> below it")
        })?;
    }
    Ok(page)
}

const CLEAN: &str = "No message was lost, doubled or out of order, and no command was refused.";

/// Cases that are measured beside the same peer in the same way stand in one table.
fn tables(all: &[Measured]) -> impl Iterator<Item = &[Measured]> {
    all.chunk_by(|one, other| one.case.sides == other.case.sides)
}

/// What went wrong.
fn notes(all: &[Measured]) -> Vec<String> {
    let mut notes = Vec::new();
    for measured in all {
        for (side, rounds) in measured.case.sides.iter().zip(&measured.sides) {
            let (faults, failures) = troubles(rounds);
            let name = measured.case.name;
            notes.extend(failures.iter().map(|failure| format!("FAILED  {name} on {side}: {failure}")));
            if !faults.is_none() {
                notes.push(format!("FAULTS  {name} on {side}: {faults}"));
            }
        }
    }
    notes
}

fn head(peer: &str) -> [&str; 8] {
    ["case", "figure (median of rounds)", peer, "broker", "ratio", "spread", "target", "goal"]
}

/// What a case's figures are, as cells.
fn rows(measured: &Measured) -> impl Iterator<Item = [String; 8]> {
    measured.case.figures.iter().enumerate().map(|(index, figure)| {
        let line = Line::new(measured, index);
        [
            measured.case.name.to_owned(),
            figure.label.to_owned(),
            number(line.peer, figure.decimals),
            number(line.broker, figure.decimals),
            line.ratio.map_or_else(|| "–".to_owned(), ratio),
            line.spread.map_or_else(String::new, |(low, high)| format!("{}–{}", ratio(low), ratio(high))),
            verdict(figure.target, line),
            verdict(figure.goal, line),
        ]
    })
}

/// Everything that the table says, and each round.
pub(crate) fn to_json(machine: &str, command: &str, all: &[Measured]) -> Value {
    let cases: Vec<_> = all
        .iter()
        .map(|measured| {
            let figures = measured.case.figures.iter().enumerate();
            let figures: Vec<_> =
                figures.map(|(index, figure)| figure_json(measured, index, figure)).collect();
            let [(peer_faults, peer_failures), (faults, failures)] =
                measured.sides.each_ref().map(|rounds| troubles(rounds));
            let shares = |of| measured.sides.each_ref().map(|rounds| share(rounds, of));
            let (generator, others) = (shares(GENERATOR), shares(OTHERS));
            json!({
                "case": measured.case.name,
                "peer": measured.peer().to_string(),
                "figures": figures,
                "faults": {"peer": faults_json(&peer_faults), "broker": faults_json(&faults)},
                "failures": {"peer": peer_failures, "broker": failures},
                "generator_cores": {"peer": generator[0], "broker": generator[1]},
                "other_cores": {"peer": others[0], "broker": others[1]},
            })
        })
        .collect();
    json!({"machine": machine, "command": command, "cases": cases})
}

fn faults_json(faults: &Faults) -> Value {
    let mut object: serde_json::Map<_, _> =
        faults.counts().into_iter().map(|(count, what)| (what.to_owned(), count.into())).collect();
    object.insert("first".to_owned(), faults.first.clone().into());
    object.into()
}

fn figure_json(measured: &Measured, index: usize, figure: &Figure) -> Value {
    let line = Line::new(measured, index);
    json!({
        "label": figure.label,
        "peer": line.peer,
        "broker": line.broker,
        "ratio": line.ratio,
        "target": figure.target.map(|limit| limit.holds(line)),
        "goal": figure.goal.map(|limit| limit.holds(line)),
        "rounds": {"peer": values(&measured.sides[0], index), "broker": values(&measured.sides[1], index)},
    })
}

impl Line {
    fn new(measured: &Measured, index: usize) -> Self {
        let [peers, brokers] = measured.sides.each_ref().map(|rounds| values(rounds, index));
        let ratios: Vec<_> = peers.iter().zip(&brokers).map(|(peer, broker)| broker / peer).collect();
        let (peer, broker) = (median(peers), median(brokers));
        let spread = (ratios.len() > 1).then(|| {
            (ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(0.0, f64::max))
        });
        Self { peer, broker, ratio: peer.zip(broker).map(|(peer, broker)| broker / peer), spread }
    }
}

impl Limit {
    fn holds(self, line: Line) -> Option<bool> {
        match self {
            Self::RatioAtMost(bound) => line.ratio.map(|ratio| ratio <= bound),
            Self::RatioAtLeast(bound) => line.ratio.map(|ratio| ratio >= bound),
            Self::AtMost(bound) => line.broker.map(|value| value <= bound),
        }
    }
}

fn verdict(limit: Option<Limit>, line: Line) -> String {
    let Some(limit) = limit else { return String::new() };
    let bound = match limit {
        Limit::RatioAtMost(bound) => format!("× ≤ {bound}"),
        Limit::RatioAtLeast(bound) => format!("× ≥ {bound}"),
        Limit::AtMost(bound) => format!("≤ {bound}"),
    };
    let mark = match limit.holds(line) {
        Some(true) => "ok",
        Some(false) => "MISS",
        None => "–",
    };
    format!("{bound} {mark}")
}

fn row([case, label, raw, broker, ratio, spread, target, goal]: [&str; 8]) -> String {
    format!("{case:<12} {label:<67} {raw:>10} {broker:>10} {ratio:>6} {spread:>13}  {target:<13} {goal}")
        .trim_end()
        .to_owned()
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Digits behind the point, as many as say something.
fn ratio(value: f64) -> String {
    if value < 0.01 { format!("{value:.4}") } else { format!("{value:.2}") }
}

fn values(rounds: &[anyhow::Result<Outcome>], index: usize) -> Vec<f64> {
    let values = rounds.iter().flatten().filter_map(|outcome| outcome.values.get(index).copied());
    // Of what never came there are no times.
    values.filter(|value| value.is_finite()).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// All faults of one side together, and the rounds that ended early.
fn troubles(rounds: &[anyhow::Result<Outcome>]) -> (Faults, Vec<String>) {
    let mut faults = Faults::default();
    let mut failures = Vec::new();
    for round in rounds {
        match round {
            Ok(outcome) => faults.add(&outcome.faults),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    failures.dedup();
    (faults, failures)
}

fn share(rounds: &[anyhow::Result<Outcome>], of: Share) -> Option<f64> {
    median(rounds.iter().flatten().filter_map(|outcome| outcome.usage.as_ref().map(of)).collect())
}

fn shares(all: &[Measured], of: Share) -> String {
    let shares: Vec<_> = all
        .iter()
        .filter_map(|measured| {
            let [peer, broker] = measured.sides.each_ref().map(|rounds| share(rounds, of));
            Some(format!("{} {}/{}", measured.case.name, number(Some(peer?), 2), number(broker, 2)))
        })
        .collect();
    shares.join(", ")
}

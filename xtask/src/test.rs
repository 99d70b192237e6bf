//! Every check and every test, as one list of parts that ends with one line of totals.

mod binaries;

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cluster::{Cluster, Wanted};
use crate::images;
use crate::paths::Paths;
use crate::steps::{Shown, Step, Steps};
use crate::terminal::{elapsed, say};
use crate::{binaries as programs, cluster, packages, tidy, up};
use binaries::{Suite, Totals};

/// A part of the tests that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// All that follows
    All,
    /// Is everything formatted
    Fmt,
    /// The rules of the house that no compiler knows
    Tidy,
    /// Lints of the whole workspace
    Clippy,
    /// Tests that need nothing but this checkout, and the clients that they speak to
    Unit,
    /// The broker on real Redis servers
    Redis,
    /// The operator on a real API server
    Api,
    /// The Helm chart
    Chart,
    /// Everything on a real cluster
    E2e,
}

/// The name of the cluster that the end-to-end tests start for themselves.
const E2E_CLUSTER: &str = "e2e";

/// Runs the parts, all when none is named; an error at the end when anything failed.
pub(crate) fn run(steps: &Steps, paths: &Paths, parts: &[Part]) -> Result<()> {
    let chosen = |part: Part| parts.is_empty() || parts.contains(&Part::All) || parts.contains(&part);
    let needs_binaries = [Part::Unit, Part::Redis, Part::Api, Part::Chart, Part::E2e].into_iter().any(chosen);
    let mut totals = Totals::default();

    // What cannot be had is an error at once, not a failed test at the end.
    let mut groups = vec![packages::CHECKS];
    if chosen(Part::Unit) {
        groups.push(packages::CLIENTS);
    }
    if chosen(Part::Unit) || chosen(Part::E2e) {
        groups.push(packages::NODE);
    }
    if chosen(Part::Redis) {
        groups.push(packages::REDIS);
    }
    packages::ensure(steps, &groups)?;

    if chosen(Part::Fmt) {
        totals.step(steps, "fmt", |step| fmt(step, paths))?;
    }
    if chosen(Part::Tidy) {
        totals.step(steps, "tidy", |step| tidy::check(step, paths))?;
    }
    if chosen(Part::Clippy) {
        totals.step(steps, "clippy", |step| {
            let args = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            step.run(cargo(paths).args(args))
        })?;
    }
    if needs_binaries {
        // Compiled once, as a whole: a part never compiles anything again under other features.
        let suites = match steps.run("compile tests", |step| binaries::compile(step, cargo(paths))) {
            Ok(suites) => suites,
            Err(error) if error.is::<Shown>() => {
                totals.failed += 1;
                return finish(steps, &totals);
            }
            Err(error) => return Err(error),
        };
        tests(steps, paths, chosen, &suites, &mut totals)?;
    }
    finish(steps, &totals)
}

fn tests(
    steps: &Steps,
    paths: &Paths,
    chosen: impl Fn(Part) -> bool,
    suites: &[Suite],
    totals: &mut Totals,
) -> Result<()> {
    // Integration tests that need a server stand in modules of its name; the rest of them needs none.
    let broker = |suite: &&Suite| suite.is_integration("switchboard-broker");
    let operator = |suite: &&Suite| suite.is_integration("switchboard-operator");
    let end_to_end = |suite: &&Suite| suite.is_integration("e2e");
    if chosen(Part::Unit) {
        for suite in suites.iter().filter(|suite| !end_to_end(suite)) {
            let args: &[&str] = match () {
                () if broker(&suite) => &["--skip", "redis::"],
                () if operator(&suite) => &["--skip", "api::", "--skip", "chart::"],
                () => &[],
            };
            totals.suite(steps, "unit", suite, args)?;
        }
        totals.doc(steps, cargo(paths))?;
    }
    if chosen(Part::Redis) {
        for suite in suites.iter().filter(broker) {
            totals.suite(steps, "redis", suite, &["redis::"])?;
        }
    }
    if chosen(Part::Api) {
        // With Helm, whose rendering of the chart tells the operator's rights.
        programs::ensure(steps, paths, programs::Set::Api)?;
        programs::ensure(steps, paths, programs::Set::Clients)?;
        for suite in suites.iter().filter(operator) {
            totals.suite(steps, "api", suite, &["api::"])?;
        }
    }
    if chosen(Part::Chart) {
        programs::ensure(steps, paths, programs::Set::Clients)?;
        for suite in suites.iter().filter(operator) {
            totals.suite(steps, "chart", suite, &["chart::"])?;
        }
    }
    if chosen(Part::E2e) && suites.iter().any(|suite| end_to_end(&suite)) {
        let cluster = Cluster::named(E2E_CLUSTER, paths)?;
        let _lock = cluster.lock()?;
        let result = on_a_cluster(steps, paths, &cluster, suites.iter().filter(end_to_end), totals);
        cluster::down(steps, &cluster)?;
        result?;
    }
    Ok(())
}

/// Starts a new cluster with Switchboard on it, runs the tests there; the caller removes it.
fn on_a_cluster<'a>(
    steps: &Steps,
    paths: &Paths,
    cluster: &Cluster,
    suites: impl Iterator<Item = &'a Suite>,
    totals: &mut Totals,
) -> Result<()> {
    cluster::down(steps, cluster)?;
    let state = up::switchboard_ready(steps, paths, cluster, Wanted::default())?;
    images::ensure(steps, paths, &[images::NODE])?;
    images::import(steps, cluster, &state, &[images::NODE])?;
    up::system(steps, &up::Target::local(paths, cluster))?;
    // Nothing leads out of the cluster's network: what the tests need from outside is fetched before.
    packages::npm(steps, "npm clients", &paths.root.join("broker/tests/foreign"))?;
    for suite in suites {
        let mut inside = cluster.inside();
        inside.env("KUBECTL", programs::kubectl(paths)).env("AUDIT_LOG", cluster.audit_log());
        inside.env("NODE_IMAGE", images::NODE.reference());
        // The errors name what was waited for; where in the test runtime that was tells nothing.
        inside.env("RUST_LIB_BACKTRACE", "0");
        // One after another: the tests measure how long things take. What each saw is kept in the log.
        totals.suite_by(steps, "e2e", suite, inside, &["--test-threads=1", "--show-output"])?;
    }
    Ok(())
}

fn fmt(step: &Step, paths: &Paths) -> Result<()> {
    step.run(cargo(paths).args(["fmt", "--all", "--check"]))?;
    let mut gofmt = Command::new("gofmt");
    let unformatted = step.output(gofmt.args(["-l"]).arg(paths.root.join("e2e/cluster")))?;
    if !unformatted.is_empty() {
        bail!("not formatted; run gofmt -w on them:\n{unformatted}");
    }
    Ok(())
}

fn cargo(paths: &Paths) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&paths.root);
    command
}

fn finish(steps: &Steps, totals: &Totals) -> Result<()> {
    say(format!("\n  in {}\n", elapsed(steps.elapsed())));
    // Its form is fixed: other programs read it.
    say(format!("{} passed, {} failed", totals.passed, totals.failed));
    if totals.failed > 0 {
        bail!(Shown);
    }
    Ok(())
}

//! The compiled test programs: which there are, and how their results are counted.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::steps::{Shown, Step, Steps};

/// One compiled test program.
#[derive(Debug)]
pub(super) struct Suite {
    package: String,
    target: String,
    integration: bool,
    program: PathBuf,
    folder: PathBuf,
}

impl Suite {
    /// Whether this is the package's integration tests: `it`, or the package's own name.
    pub(super) fn is_integration(&self, package: &str) -> bool {
        self.integration && self.package == package && (self.target == "it" || self.target == package)
    }

    fn title(&self) -> String {
        let package = self.package.trim_start_matches("switchboard-");
        match () {
            () if self.integration => format!("{package} {}", self.target),
            () if self.target == package => format!("{package} main"),
            () => format!("{package} lib"),
        }
    }
}

/// Compiles all tests of the workspace and lists them.
pub(super) fn compile(step: &Step, mut cargo: Command) -> Result<Vec<Suite>> {
    cargo.args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = step.output(&mut cargo)?;
    let mut suites: Vec<Suite> = output.lines().filter_map(suite).collect();
    suites
        .sort_by(|a, b| (&a.package, a.integration, &a.target).cmp(&(&b.package, b.integration, &b.target)));
    Ok(suites)
}

fn suite(line: &str) -> Option<Suite> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    // `path+file:///somewhere/broker#switchboard-broker@0.1.0`, or without the name where the folder says it.
    let id = message["package_id"].as_str()?;
    let (place, version) = id.rsplit_once('#')?;
    let package = version.split_once('@').map_or_else(|| place.rsplit('/').next(), |(name, _)| Some(name))?;
    Some(Suite {
        package: package.to_owned(),
        target: message["target"]["name"].as_str()?.to_owned(),
        integration: message["target"]["kind"][0] == "test",
        program: message["executable"].as_str()?.into(),
        folder: manifest.parent()?.to_owned(),
    })
}

/// What passed and what failed so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl Totals {
    /// A check that counts as one.
    pub(super) fn step(
        &mut self,
        steps: &Steps,
        name: &str,
        work: impl FnOnce(&Step) -> Result<()>,
    ) -> Result<()> {
        match steps.run(name, work) {
            Ok(()) => self.passed += 1,
            Err(error) if error.is::<Shown>() => self.failed += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A test program; every test in it counts.
    pub(super) fn suite(&mut self, steps: &Steps, part: &str, suite: &Suite, args: &[&str]) -> Result<()> {
        self.start(steps, part, suite, Command::new(&suite.program), args)
    }

    /// A test program that another one starts, which takes it as its last argument.
    pub(super) fn suite_by(
        &mut self,
        steps: &Steps,
        part: &str,
        suite: &Suite,
        mut launcher: Command,
        args: &[&str],
    ) -> Result<()> {
        launcher.arg(&suite.program);
        self.start(steps, part, suite, launcher, args)
    }

    fn start(
        &mut self,
        steps: &Steps,
        part: &str,
        suite: &Suite,
        mut command: Command,
        args: &[&str],
    ) -> Result<()> {
        // As cargo runs them: in the package's folder, which they may also ask for.
        command.current_dir(&suite.folder).env("CARGO_MANIFEST_DIR", &suite.folder).args(args);
        self.tests(steps, &format!("{part} {}", suite.title()), command)
    }

    /// The examples in doc comments.
    pub(super) fn doc(&mut self, steps: &Steps, mut cargo: Command) -> Result<()> {
        cargo.args(["test", "--workspace", "--doc", "--quiet"]);
        self.tests(steps, "unit doc", cargo)
    }

    fn tests(&mut self, steps: &Steps, name: &str, mut command: Command) -> Result<()> {
        let mut found = Self::default();
        let result = steps.run(name, |step| {
            let result = step.run(&mut command);
            let output = fs::read_to_string(step.path()).context("cannot read the step's log")?;
            found = count(&output);
            step.note(format!("{} passed", found.passed));
            match result {
                Ok(()) => Ok(()),
                Err(error) => Err(failures(&output).map_or(error, |text| anyhow!(text))),
            }
        });
        match result {
            Ok(()) => {}
            // A program that crashed has no line that counts its tests.
            Err(error) if error.is::<Shown>() => found.failed = found.failed.max(1),
            Err(error) => bail!(error),
        }
        self.passed += found.passed;
        self.failed += found.failed;
        Ok(())
    }
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; …`.
fn count(output: &str) -> Totals {
    let mut totals = Totals::default();
    for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (words.next().and_then(|word| word.parse::<usize>().ok()), words.next()) {
                (Some(number), Some("passed")) => totals.passed += number,
                (Some(number), Some("failed")) => totals.failed += number,
                _ => {}
            }
        }
    }
    totals
}

/// What the tests that failed said, cut when it is very long.
fn failures(output: &str) -> Option<String> {
    let (_, text) = output.split_once("\nfailures:\n")?;
    let lines: Vec<&str> = text.trim().lines().collect();
    Some(lines[lines.len().saturating_sub(120)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let output = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; finished in 0.01s\n";
        assert_eq!(count(output), Totals { passed: 5, failed: 1 });
    }

    #[test]
    fn a_suite_is_read_from_cargos_message() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/e2e#0.1.0",
            "manifest_path":"/w/e2e/Cargo.toml","target":{"kind":["test"],"name":"e2e"},
            "profile":{"test":true},"executable":"/w/target/e2e-1"}"#;
        let suite = suite(&line.replace('\n', "")).unwrap();
        assert!(suite.is_integration("e2e"));
        assert_eq!(suite.title(), "e2e e2e");
    }
}

//! The broker's parsers under libFuzzer, one after the other, and a table of what came out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::paths::Paths;
use crate::steps::{Shown, Step, Steps};
use crate::terminal::{bold, say};

/// Has the compiler note which code an input reaches, in the way that libFuzzer reads: what `cargo fuzz` asks for too,
/// and stable Rust gives (<https://clang.llvm.org/docs/SanitizerCoverage.html>).
const FLAGS: &[&str] = &[
    "--cfg=switchboard_fuzz",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// No input is longer: what is beyond that is refused by its length.
const LONGEST: usize = 4096;
/// A parser that takes more memory than this, in MiB, or more seconds for one input, has a fault.
const MOST_MEMORY: usize = 1024;
const MOST_SECONDS: usize = 5;

/// What came out of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    per_second: u64,
    /// Edges of the program that some input has passed.
    coverage: u64,
    /// Inputs that each reach something that the others do not.
    inputs: u64,
    /// The highest, in MiB.
    memory: u64,
}

/// Runs the targets that are named, all when none is, for so many seconds each; an error when one crashed.
pub(crate) fn run(steps: &Steps, paths: &Paths, seconds: u64, names: &[String]) -> Result<()> {
    let corpus = paths.root.join("broker/corpus");
    let all = targets(&corpus)?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown:?}; write one of {}", all.join(", "));
    }
    packages::ensure(steps, &[packages::FUZZ])?;
    let program = steps.run("build with coverage", |step| build(step, paths))?;
    let chosen = all.iter().filter(|name| names.is_empty() || names.contains(name));
    let mut rows = Vec::new();
    for name in chosen {
        let folder = paths.target.join("fuzz");
        let crashes = folder.join("crashes").join(name);
        let before = files(&crashes)?;
        let outcome = steps.run(&format!("fuzz {name}"), |step| {
            let found = folder.join("corpus").join(name);
            fs::create_dir_all(&found)?;
            fs::create_dir_all(&crashes)?;
            fuzz(step, &program, name, seconds, [&found, &corpus.join(name)], &crashes)
        })?;
        let new: Vec<_> = files(&crashes)?.into_iter().filter(|file| !before.contains(file)).collect();
        rows.push((name, outcome, new));
    }
    say(format!("\n  {}\n", bold(&format!("Parsers, {seconds} s each"))));
    say(format!(
        "    {:<12}{:>13}{:>12}{:>12}{:>10}{:>9}{:>10}",
        "target", "executions", "per second", "new crashes", "coverage", "inputs", "peak MiB"
    ));
    for (name, outcome, new) in &rows {
        let Outcome { executions, per_second, coverage, inputs, memory } = outcome;
        let crashes = new.len();
        say(format!(
            "    {name:<12}{executions:>13}{per_second:>12}{crashes:>12}{coverage:>10}{inputs:>9}{memory:>10}"
        ));
    }
    let crashes: Vec<_> =
        rows.iter().flat_map(|(name, _, new)| new.iter().map(move |file| (name, file))).collect();
    if crashes.is_empty() {
        return Ok(());
    }
    say("\n  Each of these inputs breaks its parser. Keep it, and cargo test shows how:\n");
    for (name, file) in crashes {
        let kept = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        say(format!("    cp {} broker/corpus/{name}/{kept}", paths.short(file)));
    }
    bail!(Shown)
}

/// Each target has a folder of inputs.
fn targets(corpus: &Path) -> Result<Vec<String>> {
    let names =
        files(corpus)?.into_iter().filter_map(|folder| folder.file_name()?.to_owned().into_string().ok());
    Ok(names.collect())
}

/// What is in a folder, in order; nothing when there is none.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Builds the program, in a folder of its own: everything in it is built with other flags.
fn build(step: &Step, paths: &Paths) -> Result<PathBuf> {
    let version = step.output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc tells no host")?;
    let folder = paths.target.join("fuzz");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&paths.root).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // With a target, what runs while it is built is built without these flags.
    cargo.args(["build", "--package", "switchboard-fuzz", "--profile", "fuzz", "--target", host]);
    cargo.arg("--target-dir").arg(&folder);
    step.run(&mut cargo)?;
    Ok(folder.join(host).join("fuzz/fuzz"))
}

fn fuzz(
    step: &Step,
    program: &Path,
    name: &str,
    seconds: u64,
    corpora: [&Path; 2],
    crashes: &Path,
) -> Result<Outcome> {
    let mut fuzz = Command::new(program);
    fuzz.env("SWITCHBOARD_FUZZ_TARGET", name).args(corpora);
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LONGEST}"));
    fuzz.arg(format!("-rss_limit_mb={MOST_MEMORY}")).arg(format!("-timeout={MOST_SECONDS}"));
    fuzz.arg(format!("-artifact_prefix={}/", crashes.display())).arg("-print_final_stats=1");
    // It fails when it has found something, and that is told from the files that it leaves.
    let ended = step.run(&mut fuzz);
    let log = fs::read(step.path())?;
    let outcome = read(&String::from_utf8_lossy(&log));
    if outcome.executions == 0 {
        ended?;
        bail!("libFuzzer has run nothing");
    }
    step.note(format!("{} executions", outcome.executions));
    Ok(outcome)
}

/// Reads what libFuzzer says: `#123 NEW cov: 45 ft: 67 corp: 8/9b …`, and figures at the end.
fn read(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in log.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |word: &str| word.split('/').next().and_then(|number| number.parse().ok());
        for pair in words.windows(2) {
            let Some(value) = number(pair[1]) else { continue };
            match pair[0] {
                "cov:" => outcome.coverage = value,
                "corp:" => outcome.inputs = value,
                "stat::number_of_executed_units:" => outcome.executions = value,
                "stat::average_exec_per_sec:" => outcome.per_second = value,
                "stat::peak_rss_mb:" => outcome.memory = value,
                _ => {}
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_log() {
        let log = "#2\tINITED cov: 45 ft: 60 corp: 2/9b exec/s: 0 rss: 40Mb\n\
                   #99\tNEW    cov: 47 ft: 67 corp: 8/99b lim: 4 exec/s: 0 rss: 41Mb L: 3/4 MS: 1 EraseBytes-\n\
                   stat::number_of_executed_units: 12345\nstat::average_exec_per_sec:     617\n\
                   stat::new_units_added:          6\nstat::peak_rss_mb:              52\n";
        let outcome = Outcome { executions: 12_345, per_second: 617, coverage: 47, inputs: 8, memory: 52 };
        assert_eq!(read(log), outcome);
        assert_eq!(read("error: no such file"), Outcome::default());
    }
}

//! Steps with their elapsed time; what a step's commands say goes to its log, which a failure names.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::terminal::{cyan, dim, elapsed, green, live, red, redraw, say};

const FRAMES: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠏", "⠉"];
const NAME_WIDTH: usize = 20;
const TAIL_LINES: usize = 15;

/// A run of named steps.
pub(crate) struct Steps {
    logs: PathBuf,
    started: Instant,
}

/// A failure that the steps have already shown; `main` only has to set the exit code.
#[derive(Debug)]
pub(crate) struct Shown;

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a step failed")
    }
}

impl std::error::Error for Shown {}

impl Steps {
    pub(crate) fn new(logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { logs: logs.to_owned(), started: Instant::now() })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs one step, showing its time and, while it runs, the last line of its log.
    pub(crate) fn run<T>(&self, name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let path = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let step = Step { path, file, note: Mutex::default() };
        let (started, done) = (Instant::now(), AtomicBool::new(false));
        let result = thread::scope(|scope| {
            let ticker = scope.spawn(|| tick(name, &step.path, started, &done));
            let result = work(&step);
            done.store(true, Ordering::Relaxed);
            ticker.thread().unpark();
            result
        });
        let note = step.note.lock().map(|note| note.clone()).unwrap_or_default();
        if live() {
            redraw("");
        }
        match result {
            Ok(value) => {
                say(line(&green("✓"), name, started.elapsed(), &note));
                Ok(value)
            }
            Err(error) => {
                say(line(&red("✗"), name, started.elapsed(), ""));
                say(format!("\n{}", indent(&format!("{error:#}"), "    ")));
                // An error of many lines brought what matters along.
                let tail = if format!("{error:#}").lines().count() > 1 {
                    String::new()
                } else {
                    tail(&step.path, TAIL_LINES)
                };
                say(format!("\n    {}", dim(&format!("all of it: {}", step.path.display()))));
                if !tail.is_empty() {
                    say(indent(&tail, &format!("    {} ", dim("│"))));
                }
                Err(anyhow!(Shown))
            }
        }
    }
}

/// One step that is under way.
pub(crate) struct Step {
    path: PathBuf,
    file: File,
    note: Mutex<String>,
}

impl Step {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands behind the step's name when it is done.
    pub(crate) fn note(&self, note: impl Into<String>) {
        if let Ok(mut current) = self.note.lock() {
            *current = note.into();
        }
    }

    /// Writes a line to the log; it also shows while the step runs.
    pub(crate) fn log(&self, line: impl AsRef<str>) {
        let _ = writeln!(&self.file, "{}", line.as_ref());
    }

    /// Runs a command to its end, its output going to the log.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.log(format!("$ {}", describe(command)));
        command.stdin(Stdio::null()).stdout(self.file.try_clone()?).stderr(self.file.try_clone()?);
        let status = command.status().with_context(|| format!("cannot start {}", program(command)))?;
        if !status.success() {
            bail!("{} failed ({status})", brief(command));
        }
        Ok(())
    }

    /// Runs a command and returns what it printed; its errors go to the log.
    pub(crate) fn output(&self, command: &mut Command) -> Result<String> {
        self.log(format!("$ {}", describe(command)));
        command.stdin(Stdio::null()).stderr(self.file.try_clone()?);
        let output = command.output().with_context(|| format!("cannot start {}", program(command)))?;
        if !output.status.success() {
            bail!("{} failed ({})", brief(command), output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Feeds a command its standard input; its output goes to the log.
    pub(crate) fn feed(&self, command: &mut Command, input: &str) -> Result<()> {
        self.log(format!("$ {} <<…", describe(command)));
        command.stdin(Stdio::piped()).stdout(self.file.try_clone()?).stderr(self.file.try_clone()?);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program(command)))?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        let status = child.wait()?;
        if !status.success() {
            bail!("{} failed ({status})", brief(command));
        }
        Ok(())
    }
}

/// Asks again and again until there is an answer or the time is over.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not so after {}", elapsed(limit));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn describe(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    std::iter::once(command.get_program().to_string_lossy()).chain(args).collect::<Vec<_>>().join(" ")
}

/// The command's first words: enough to know which one it was.
fn brief(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    std::iter::once(name.to_string_lossy()).chain(args).take(6).collect::<Vec<_>>().join(" ")
}

fn line(mark: &str, name: &str, time: Duration, note: &str) -> String {
    format!("  {mark} {name:<NAME_WIDTH$} {:>7}  {}", elapsed(time), dim(note)).trim_end().to_owned()
}

fn indent(text: &str, with: &str) -> String {
    text.lines().map(|line| format!("{with}{line}")).collect::<Vec<_>>().join("\n")
}

/// Shows the step as it runs: drawn over on a terminal, a line a minute elsewhere.
fn tick(name: &str, log: &Path, started: Instant, done: &AtomicBool) {
    let (mut frame, mut minutes) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let last: String = tail(log, 1).chars().take(60).collect();
        if live() {
            redraw(&line(&cyan(FRAMES[frame % FRAMES.len()]), name, started.elapsed(), &last));
        } else if started.elapsed().as_secs() / 60 > minutes {
            minutes += 1;
            say(line("…", name, started.elapsed(), &last));
        }
        frame += 1;
        thread::park_timeout(Duration::from_millis(if live() { 120 } else { 1000 }));
    }
}

/// The last lines of a file, without control characters.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8 * 1024)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A line as it would stand there at the end: after the last carriage return, without colours.
fn plain(line: &str) -> String {
    let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().take_while(|c| !c.is_ascii_alphabetic()).for_each(drop);
        } else if !c.is_control() {
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_colours() {
        assert_eq!(plain("old\r\x1b[1;32mnew\x1b[0m text\n"), "new text");
    }

    #[test]
    fn a_wait_ends_with_what_it_waited_for() {
        let error = wait_for::<()>("the moon", Duration::from_millis(1), || Ok(None)).unwrap_err();
        assert!(error.to_string().starts_with("the moon: not so after"));
    }
}

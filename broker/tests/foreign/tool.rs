//! Small programs that everybody has, spoken to by their standard input and output.

use std::process::{ExitStatus, Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::support::within;

/// A program under way; it ends with the test.
pub(super) struct Tool {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Tool {
    /// Runs a program of this package of Debian's.
    pub(super) fn start(package: &str, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot run {program}: {error}; install it: apt-get install {package}")
        });
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines() }
    }

    /// Types this, all at once.
    pub(super) async fn types(&mut self, text: &str) {
        within("typing", self.input.write_all(text.as_bytes())).await.unwrap();
    }

    /// The next line that it prints; nothing when it prints no more.
    pub(super) async fn line(&mut self) -> Option<String> {
        within("a line", self.output.next_line()).await.unwrap()
    }

    /// How it ends when nothing more is typed, and that it prints nothing more.
    pub(super) async fn end(self) -> ExitStatus {
        let Self { mut child, input, mut output } = self;
        drop(input);
        assert_eq!(within("the end of its output", output.next_line()).await.unwrap(), None);
        within("the end of the program", child.wait()).await.unwrap()
    }
}

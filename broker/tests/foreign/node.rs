//! Running scripts with Node.js.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
};

use crate::support::within;

/// What to do on a machine without Node.js.
const INSTALL: &str = "install it: apt-get install nodejs npm (version 20 or later)";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

/// Installs the clients that the lock file names, once for all tests, when they are not there.
async fn installed() {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(async || {
            let written =
                |path: &str| directory().join(path).metadata().and_then(|file| file.modified()).ok();
            // npm writes this file at the end of an installation.
            let (installed, lock) =
                (written("node_modules/.package-lock.json"), written("package-lock.json"));
            if installed.is_some() && installed >= lock {
                return;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(directory()).stdin(Stdio::null());
            let output =
                npm.output().await.unwrap_or_else(|error| panic!("cannot run npm: {error}; {INSTALL}"));
            assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
        })
        .await;
}

/// A script under way; it ends with the test.
pub(super) struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Runs a script of the directory `foreign`.
    pub(super) async fn start(script: &str, arguments: &[&str]) -> Self {
        installed().await;
        let mut node = Command::new("node");
        node.arg(script).args(arguments).current_dir(directory()).kill_on_drop(true);
        node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = node.spawn().unwrap_or_else(|error| panic!("cannot run node: {error}; {INSTALL}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line on standard output.
    pub(super) async fn line(&mut self) -> String {
        match within("a line", self.lines.next_line()).await.unwrap() {
            Some(line) => line,
            None => panic!("the script has ended: {}", self.errors().await),
        }
    }

    /// The next line on standard output is this.
    pub(super) async fn says(&mut self, expected: &str) {
        let line = within(expected, self.lines.next_line()).await.unwrap();
        if line.as_deref() != Some(expected) {
            panic!("waiting for {expected:?}: {line:?}; {}", self.errors().await);
        }
    }

    /// The script ends, and says that all went well.
    pub(super) async fn succeeds(mut self) {
        let errors = self.errors().await;
        let status: ExitStatus = within("the end of the script", self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}: {errors}");
    }

    /// Everything on standard error, once the script has closed it.
    async fn errors(&mut self) -> String {
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        within("the end of the script", stderr.read_to_string(&mut errors)).await.unwrap();
        errors
    }
}

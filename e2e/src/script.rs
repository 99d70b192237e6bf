//! The broker's scripts with the official `centrifuge` client, on Node.js.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A line of a script, or its end, takes no longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A script under way; it ends with the test.
pub struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Runs a script of `broker/tests/foreign`, whose packages are installed.
    pub fn start(script: &str, arguments: &[&str]) -> Result<Self> {
        let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker/tests/foreign");
        ensure!(
            folder.join("node_modules").exists(),
            "the clients are not installed; run npm ci in broker/tests/foreign"
        );
        let mut node = Command::new("node");
        node.arg(script).args(arguments).current_dir(folder).kill_on_drop(true);
        node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = node
            .spawn()
            .context("cannot run node; install it: apt-get install nodejs npm (version 20 or later)")?;
        let lines = BufReader::new(child.stdout.take().context("node has no output")?).lines();
        Ok(Self { child, lines })
    }

    /// The next line on standard output, which has to come.
    pub async fn line(&mut self) -> Result<String> {
        match timeout(PATIENCE, self.lines.next_line()).await.context("the script says nothing")?? {
            Some(line) => Ok(line),
            None => bail!("the script has ended: {}", self.errors().await?),
        }
    }

    /// The next line on standard output is this.
    pub async fn says(&mut self, expected: &str) -> Result<()> {
        let line = self.line().await?;
        ensure!(line == expected, "waiting for {expected:?}, the script says {line:?}");
        Ok(())
    }

    /// The script ends, and says that all went well.
    pub async fn succeeds(mut self) -> Result<()> {
        let errors = self.errors().await?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the script does not end")??;
        ensure!(status.success(), "{status}: {errors}");
        Ok(())
    }

    async fn errors(&mut self) -> Result<String> {
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().context("node has no standard error")?;
        timeout(PATIENCE, stderr.read_to_string(&mut errors)).await.context("the script does not end")??;
        Ok(errors)
    }
}

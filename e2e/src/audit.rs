//! The API server's audit log: who wrote what.

use std::{
    env,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// The operator, as the API server knows it.
const OPERATOR: &str = "system:serviceaccount:switchboard-system:switchboard";

/// The audit log from some moment on.
#[derive(Debug)]
pub struct Audit {
    file: PathBuf,
    from: u64,
}

/// The operator's writes since then.
#[derive(Debug, Default)]
pub struct Writes {
    /// Renewals of the Lease that says which operator leads.
    pub lease: usize,
    /// Everything else: verb and URI.
    pub others: Vec<String>,
}

impl Audit {
    /// From now on.
    pub fn from_now() -> Result<Self> {
        let file = env::var_os("AUDIT_LOG").context("AUDIT_LOG is not set; run cargo xtask test e2e")?;
        let file = PathBuf::from(file);
        let from = file.metadata().with_context(|| format!("cannot read {}", file.display()))?.len();
        Ok(Self { file, from })
    }

    /// What the operator wrote.
    pub fn operator(&self) -> Result<Writes> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut writes = Writes::default();
        // The last line may be half written.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let entry: Value = serde_json::from_str(line).context("a line of the audit log is no JSON")?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if text(&entry["user"]["username"]) != OPERATOR {
                continue;
            }
            match text(&entry["objectRef"]["resource"]).as_str() {
                "leases" => writes.lease += 1,
                _ => writes.others.push(format!("{} {}", text(&entry["verb"]), text(&entry["requestURI"]))),
            }
        }
        Ok(writes)
    }
}

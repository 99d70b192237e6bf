//! Counts the operator's writes in the API server's audit log.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The users that the operator's pods are.
const OPERATORS: &str = "system:serviceaccount:switchboard-system:";

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) objects: usize,
    pub(super) leases: usize,
    /// Each write to an object, in words.
    pub(super) lines: Vec<String>,
}

/// The end of the log as it is now.
pub(super) fn end(log: &Path) -> Result<u64> {
    Ok(fs::metadata(log).with_context(|| format!("no audit log at {}", log.display()))?.len())
}

/// What the operator wrote since a mark.
pub(super) fn since(log: &Path, mark: u64) -> Result<Writes> {
    let mut file = File::open(log).with_context(|| format!("no audit log at {}", log.display()))?;
    file.seek(SeekFrom::Start(mark))?;
    let mut writes = Writes::default();
    for line in BufReader::new(file).lines() {
        count(&mut writes, &line?);
    }
    Ok(writes)
}

/// The log holds only requests that write.
fn count(writes: &mut Writes, line: &str) {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return };
    if !event["user"]["username"].as_str().is_some_and(|user| user.starts_with(OPERATORS)) {
        return;
    }
    let object = &event["objectRef"];
    if object["resource"] == "leases" {
        writes.leases += 1;
        return;
    }
    writes.objects += 1;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    writes.lines.push(format!(
        "{} {} {}/{}",
        word(&event["verb"]),
        word(&object["resource"]),
        word(&object["namespace"]),
        word(&object["name"])
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operators_writes_count() {
        let line = |user: &str, resource: &str| {
            format!(
                r#"{{"user":{{"username":"{user}"}},"verb":"patch","objectRef":{{"resource":"{resource}","namespace":"a","name":"b"}}}}"#
            )
        };
        let mut writes = Writes::default();
        count(&mut writes, &line("system:serviceaccount:switchboard-system:switchboard", "services"));
        count(&mut writes, &line("system:serviceaccount:switchboard-system:switchboard", "leases"));
        count(&mut writes, &line("system:node:node-1", "pods"));
        assert_eq!((writes.objects, writes.leases), (1, 1));
        assert_eq!(writes.lines, ["patch services a/b"]);
    }
}

//! The browser of the broker's own tests, and pictures of what it shows.

#[path = "../../broker/tests/support/chromium.rs"]
mod chromium;
#[path = "../../broker/tests/support/poll.rs"]
mod poll;

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

pub(crate) use chromium::Browser;
use poll::{eventually, within};

/// A screen, and the colours on it.
type Screen = (&'static str, (u32, u32), bool);

/// A desk by day.
pub(crate) const DESK: Screen = ("light", (1000, 640), false);

/// The same, by night, and a phone.
pub(crate) const ALL: [Screen; 3] = [("dark", (1000, 640), true), ("narrow", (360, 740), false), DESK];

/// Where pictures go: the folder that `SCREENSHOTS` names, or beside the logs of the cluster.
fn folder() -> Result<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/cluster/logs/pages");
    let folder = env::var_os("SCREENSHOTS").map_or_else(beside, PathBuf::from);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

impl Browser {
    /// Takes pictures of the page on these screens, and leaves it on the last of them.
    pub(crate) async fn is_pictured(&mut self, name: &str, screens: &[Screen]) -> Result<()> {
        let folder = folder()?;
        for (screen, size, is_dark) in screens {
            self.looks(*size, *is_dark).await;
            // What was drawn for the other screen is drawn anew.
            self.settles().await;
            let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
            let picture = STANDARD.decode(picture["data"].as_str().context("chromium gives no picture")?)?;
            fs::write(folder.join(format!("{name}-{screen}.png")), picture)?;
        }
        Ok(())
    }

    /// Waits until the page has been drawn twice.
    async fn settles(&mut self) {
        self.value(
            "window.drawn = 0; requestAnimationFrame(() => requestAnimationFrame(() => window.drawn = 1)); 0",
        )
        .await;
        self.eventually("window.drawn === 1").await;
    }

    /// Moves the pointer over an element, from its left to its right in so many steps.
    pub(crate) async fn moves_over(&mut self, selector: &str, steps: u32) -> Result<()> {
        let asked = format!(
            "(({{left, top, width, height}}) => [left, top, width, height])(document.querySelector({}).getBoundingClientRect())",
            json!(selector)
        );
        let place: [f64; 4] = serde_json::from_value(self.value(&asked).await)?;
        for step in 1..=steps {
            let part = f64::from(step) / f64::from(steps + 1);
            let (x, y) = (place[0] + place[2] * part, place[1] + place[3] * (0.2 + 0.5 * part));
            self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": x, "y": y})).await;
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
        Ok(())
    }
}

//! The program `broker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchboard::cli::main(|_config| anyhow::bail!("this build of the broker has no endpoints yet"))
}

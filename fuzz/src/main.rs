//! One of the broker's parsers under libFuzzer. `cargo xtask fuzz` builds it so that libFuzzer sees which code an input
//! reaches, and says in the environment which parser is meant.

#![cfg_attr(switchboard_fuzz, no_main)]

#[cfg(switchboard_fuzz)]
mod target {
    use std::sync::LazyLock;

    use switchboard::fuzz::{TARGETS, Target};

    static TARGET: LazyLock<&Target> = LazyLock::new(|| {
        let name = std::env::var("SWITCHBOARD_FUZZ_TARGET").unwrap_or_default();
        let target = TARGETS.iter().find(|target| target.name == name);
        target.unwrap_or_else(|| panic!("SWITCHBOARD_FUZZ_TARGET is {name:?}; name a target"))
    });

    libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
}

#[cfg(not(switchboard_fuzz))]
fn main() -> std::process::ExitCode {
    eprintln!("built without libFuzzer; run cargo xtask fuzz");
    std::process::ExitCode::FAILURE
}

//! Tells `--version` the commit. Without git, or outside of the project's own checkout, it tells none and does not fail.

#![allow(clippy::disallowed_macros, reason = "cargo hears a build script by its stdout")]

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=TICKERD_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = env::var("TICKERD_COMMIT").ok().or_else(commit).map(|commit| format!(" ({commit})"));
    println!("cargo::rustc-env=TICKERD_VERSION={version}{}", commit.unwrap_or_default());
}

fn commit() -> Option<String> {
    // A package unpacked inside somebody else's checkout must not take that one's commit for its own.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

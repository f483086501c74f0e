//! `cargo xtask check`: what can be said of the code without running it.

use crate::run::{cargo, run};

/// Stops at the first of format, lints and documentation that has something to say.
pub(crate) fn run_all() -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo()
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(["--", "-D", "warnings"]))?;
    // The targets are a workspace of their own, whose lock file must fit.
    run(cargo()
        .args(["clippy", "--manifest-path", "fuzz/Cargo.toml", "--locked"])
        .args(["--target-dir", "target/fuzz", "--", "-D", "warnings"])
        .env("RUSTFLAGS", "--cfg fuzzing"))?;
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

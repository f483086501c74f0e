//! `cargo xtask check`: checks of the code that do not run it.

use crate::format;
use crate::run::{cargo, run};

/// Stops at the first of format, lints and documentation that finds something.
pub(crate) fn run_all() -> Result<(), String> {
    format::check()?;
    run(cargo()
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(["--", "-D", "warnings"]))?;
    // The fuzz targets are a workspace of their own with a lock file of its own, which must match.
    run(cargo()
        .args(["clippy", "--manifest-path", "fuzz/Cargo.toml", "--locked"])
        .args(["--target-dir", "target/fuzz", "--", "-D", "warnings"])
        .env("RUSTFLAGS", "--cfg fuzzing"))?;
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

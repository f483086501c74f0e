//! `cargo xtask check`: checks of the code that do not run it.

use crate::run::{cargo, root, run};
use crate::tree::Tree;
use crate::{circles, citations, format, words};

/// Stops at the first of format, text, structure, lints and documentation that finds something.
pub(crate) fn run_all() -> Result<(), String> {
    format::check()?;
    texts()?;
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

/// Reads the sources as text, and shows the complaints of all checks at once.
fn texts() -> Result<(), String> {
    let tree = Tree::of(root())?;
    let checks = [words::check, citations::check, circles::check];
    let complaints = checks.into_iter().filter_map(|check| check(&tree).err());
    let complaints: Vec<String> = complaints.collect();
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(complaints.join("\n")),
    }
}

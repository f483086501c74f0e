//! `cargo xtask bench`: the benchmarks, beside a real peer in one run.

use crate::peers;
use crate::run::{cargo, run};

/// Builds for release and runs every benchmark.
pub(crate) fn run_all() -> Result<(), String> {
    // Without its peer a benchmark says so and measures nothing.
    peers::provide();
    run(cargo().args([
        "bench",
        "--locked",
        "--package",
        "wharf-cli",
        "--bench",
        "push",
    ]))
}

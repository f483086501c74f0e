//! `cargo xtask test`: every test, with the real peers where they are available.

use crate::peers;
use crate::run::{cargo, run};

/// Runs `cargo test` on the whole workspace, with `arguments` added.
pub(crate) fn run_all(arguments: &[String]) -> Result<(), String> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--locked"])
        .args(arguments);
    if peers::provide() {
        // From here on a missing peer is a failure, not a reason to skip.
        command.env("WHARF_REQUIRE_PEERS", "1");
    }
    run(&mut command)
}

//! Writes the library's log to standard error, at the requested level.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::env;

/// Starts it; each `--verbose` adds a level.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // The logs of other crates are not meant for users.
    let filter = format!("error,wharf={level},wharf_registry={level}");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(env::has_colours())
        .without_time()
        .init();
}

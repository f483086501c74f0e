//! `cargo xtask fuzz SECONDS [TARGET…]`: runs the fuzz targets, one after the other, from their
//! seeds.
//!
//! Needs `cargo install cargo-fuzz --locked`. Uses no sanitizer, because the code has no `unsafe`;
//! so any toolchain works.

use std::fs;

use crate::run::{cargo, root, run};

/// Runs each target for this many seconds, or until it finds something.
pub(crate) fn run_all(seconds: &str, wanted: &[String]) -> Result<(), String> {
    let seconds: u64 = seconds
        .parse()
        .map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    for target in targets()? {
        if !wanted.is_empty() && !wanted.contains(&target) {
            continue;
        }
        let corpus = format!("fuzz/corpus/{target}");
        fs::create_dir_all(root().join(&corpus)).map_err(|error| format!("{corpus}: {error}"))?;
        run(cargo()
            .args(["fuzz", "run", "--sanitizer", "none", &target, &corpus])
            .arg(format!("fuzz/seeds/{target}"))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]))?;
    }
    Ok(())
}

/// The names of all targets.
fn targets() -> Result<Vec<String>, String> {
    let directory = root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&directory).map_err(|error| format!("fuzz_targets: {error}"))?;
    let stems = files.filter_map(|file| {
        let path = file.ok()?.path();
        Some(path.file_stem()?.to_str()?.to_owned())
    });
    let mut targets: Vec<String> = stems.collect();
    targets.sort();
    Ok(targets)
}

//! Formatting, with the files that `cargo fmt` does not find: those that only the macro `commands!`
//! of the command line names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cargo, root, run};

/// Where the commands of the command line are.
const COMMANDS: &str = "crates/wharf-cli/src/commands";

/// Fails where a file is not formatted.
pub(crate) fn check() -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(rustfmt()?.arg("--check"))
}

/// Formats every file.
pub(crate) fn apply() -> Result<(), String> {
    run(cargo().args(["fmt", "--all"]))?;
    run(&mut rustfmt()?)
}

fn rustfmt() -> Result<Command, String> {
    let root = root();
    let files = sources(&root.join(COMMANDS)).map_err(|error| format!("{COMMANDS}: {error}"))?;
    let files = files
        .iter()
        .filter_map(|file| file.strip_prefix(&root).ok());
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024"]).args(files);
    command.current_dir(&root);
    Ok(command)
}

/// All Rust files in a directory and those below it.
fn sources(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(sources(&path)?),
            false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            false => {}
        }
    }
    Ok(files)
}

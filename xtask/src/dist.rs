//! `cargo xtask dist [PROFILE]`: what a package of the tool holds, in `target/dist`: the binary, pages
//! of the manual, completions and licences.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cargo, root, run};

/// The shells, and what their packages call the file.
const SHELLS: [(&str, &str); 4] = [
    ("bash", "wharf.bash"),
    ("zsh", "_wharf"),
    ("fish", "wharf.fish"),
    ("powershell", "wharf.ps1"),
];

/// Builds it with a profile of cargo.
pub(crate) fn make(profile: &str) -> Result<(), String> {
    let build = ["build", "--locked", "-p", "wharf-cli", "--profile", profile];
    run(cargo().args(build))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let built = target.join(match profile {
        "dev" => "debug",
        other => other,
    });
    let dist = target.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|error| at(&dist, &error))?;
    }
    let (man, completions) = (dist.join("man/man1"), dist.join("completions"));
    for directory in [&man, &completions] {
        fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
    }
    let name = format!("wharf{}", env::consts::EXE_SUFFIX);
    copy(&built.join(&name), &dist.join(&name))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
        copy(&root().join(licence), &dist.join(licence))?;
    }
    run(installed(&built).arg("man-pages").arg(&man))?;
    for (shell, file) in SHELLS {
        let script = installed(&built).args(["completion", shell]).output();
        let script = script.map_err(|error| format!("wharf completion {shell}: {error}"))?;
        if !script.status.success() || script.stdout.is_empty() {
            return Err(format!("wharf completion {shell}: {}", script.status));
        }
        let file = completions.join(file);
        fs::write(&file, script.stdout).map_err(|error| at(&file, &error))?;
    }
    println!("{}", dist.display());
    Ok(())
}

/// The tool by the name that it has where it is installed: scripts name it so.
fn installed(built: &Path) -> Command {
    let mut command = Command::new("wharf");
    command.env("PATH", built);
    command
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map_err(|error| at(from, &error))?;
    Ok(())
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

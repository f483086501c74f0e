//! The programs of others that some tests run: there already, installed with `apt-get`, or done without.

use std::process::Command;

use crate::run::{is_installed, run, succeeds};

/// Debian calls package and program the same.
const PEERS: [&str; 3] = ["docker-registry", "nginx", "skopeo"];

/// Installs what is missing where that is possible; says what is skipped otherwise.
///
/// Whether all of them are there.
pub(crate) fn provide() -> bool {
    if missing().is_empty() {
        return true;
    }
    if let Err(reason) = install(&missing()) {
        eprintln!("xtask: {reason}");
    }
    let missing = missing();
    for peer in &missing {
        eprintln!("skipped: every test against {peer}, which is not installed");
    }
    missing.is_empty()
}

fn missing() -> Vec<&'static str> {
    PEERS
        .into_iter()
        .filter(|peer| !is_installed(peer))
        .collect()
}

fn install(packages: &[&str]) -> Result<(), String> {
    let names = packages.join(" ");
    if !is_installed("apt-get") {
        return Err(format!(
            "{names} can only be installed here with apt-get, which is not there"
        ));
    }
    let Some(rights) = Rights::find() else {
        return Err(format!(
            "neither root nor sudo without a password: sudo apt-get install {names}"
        ));
    };
    for (service, port) in [("docker-registry", 5000), ("nginx", 80)] {
        if packages.contains(&service) {
            // Stopping it is the administrator's affair: another program may count on it by then.
            eprintln!(
                "note: Debian may start {service} as a service on port {port}; tests start their own"
            );
        }
    }
    run(rights.apt_get().arg("update"))?;
    run(rights
        .apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages))
}

/// How `apt-get` may be run.
#[derive(Clone, Copy)]
enum Rights {
    Root,
    Sudo,
}

impl Rights {
    fn find() -> Option<Self> {
        let user = Command::new("id").arg("-u").output().ok()?;
        if user.stdout.trim_ascii() == b"0" {
            return Some(Self::Root);
        }
        succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    fn apt_get(self) -> Command {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        // sudo passes no environment on, so it is set behind it.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
        command
    }
}

//! The programs that some tests run: present already, installed with `apt-get`, or skipped.

use std::process::Command;

use crate::run::{is_installed, run, succeeds};

/// The programs, and Debian's packages that have them.
const PEERS: [(&str, &str); 7] = [
    ("docker-registry", "docker-registry"),
    ("nginx", "nginx"),
    ("podman", "podman"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    // Both for tests with a network of their own.
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
];

/// Installs missing programs where that is possible; otherwise says what is skipped.
///
/// Returns whether all of them are present.
pub(crate) fn provide() -> bool {
    let packages: Vec<&str> = missing().map(|(_, package)| package).collect();
    if packages.is_empty() {
        return true;
    }
    if let Err(reason) = install(&packages) {
        eprintln!("xtask: {reason}");
    }
    let mut complete = true;
    for (peer, _) in missing() {
        complete = false;
        eprintln!("skipped: every test against {peer}, which is not installed");
    }
    complete
}

fn missing() -> impl Iterator<Item = (&'static str, &'static str)> {
    PEERS.into_iter().filter(|(peer, _)| !is_installed(peer))
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
            // The administrator must stop it: another program may depend on it by then.
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

/// Whether `apt-get` runs directly or through sudo.
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
        // sudo drops the environment, so the variable is set after it.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
        command
    }
}

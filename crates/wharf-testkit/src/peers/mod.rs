//! Real programs of others to test against: Debian's `docker-registry` and `skopeo`.
//!
//! A test asks for one and returns when there is none; `WHARF_REQUIRE_PEERS=1` makes that a failure.

mod docker_registry;
mod skopeo;

use std::env;
use std::path::PathBuf;

pub use docker_registry::DockerRegistry;
pub use skopeo::Skopeo;

/// The program's path; without one, says on stderr what is skipped.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let message = format!("{name} is not installed (apt-get install {name})");
        assert!(
            env::var_os("WHARF_REQUIRE_PEERS").is_none_or(|value| value != "1"),
            "{message}"
        );
        eprintln!("skipped: {message}");
    }
    found
}

//! Real programs to test against: Debian's `docker-registry`, `nginx`, `podman`, `skopeo` and `umoci`.
//!
//! A test returns early if its program is missing; `WHARF_REQUIRE_PEERS=1` makes that a failure.

mod docker_registry;
mod nginx;
mod podman;
mod skopeo;
mod umoci;

use std::env;
use std::path::PathBuf;

pub use docker_registry::{DockerRegistry, RegistryAuth, RegistryTls};
pub use nginx::{Nginx, PassedRequest};
pub use podman::Podman;
pub use skopeo::Skopeo;
pub use umoci::Umoci;

/// The program's path. If there is none, says on stderr what is skipped.
fn find(name: &str) -> Option<PathBuf> {
    find_in(name, name)
}

/// The same, for a program that is in a Debian package of another name.
pub(crate) fn find_in(name: &str, package: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's users have no search path to the programs of administrators.
    let found = env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let message = format!("{name} is not installed (apt-get install {package})");
        assert!(
            env::var_os("WHARF_REQUIRE_PEERS").is_none_or(|value| value != "1"),
            "{message}"
        );
        eprintln!("skipped: {message}");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerSpec;
    use crate::layout::{Child, LayoutFixture};
    use crate::proxy::RecordingProxy;

    #[test]
    fn an_index_goes_through_the_registry_and_keeps_its_digest() {
        let (Some(registry), Some(skopeo)) = (DockerRegistry::start(), Skopeo::find()) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(directory.path());
        let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 100_000)]);
        let arm64 = layout.child("linux/arm64/v8", &[LayerSpec::random(2, 100)]);
        let children = [
            Child::image(&amd64, "linux/amd64"),
            Child::image(&arm64, "linux/arm64/v8"),
        ];
        let index = layout.index(Some("all"), &children);
        let proxy = RecordingProxy::start(registry.address());
        let destination = format!("docker://{}/team/app:all", proxy.address());
        skopeo.copy(
            &format!("oci:{}:all", directory.path().display()),
            &destination,
        );
        assert_eq!(skopeo.inspect_digest(&destination), index.digest);
        assert!(registry.data_dir().join("docker/registry/v2").is_dir());
        assert!(
            proxy
                .lines()
                .contains(&"PUT /v2/team/app/manifests/all".to_owned()),
            "{:?}",
            proxy.lines()
        );
    }

    #[test]
    fn a_dropped_registry_answers_no_more() {
        let Some(registry) = DockerRegistry::start() else {
            return;
        };
        let address = registry.address();
        let directory = registry.data_dir();
        drop(registry);
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(!directory.exists());
    }
}

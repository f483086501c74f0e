//! The keys of credentials in files, and the keys that fit a repository.
//!
//! Docker writes hosts, sometimes with a scheme and a path. Podman writes hosts and parts of
//! repository names; the longest decides.

use wharf_oci::{Registry, RepositoryName};

use wharf_core::{Error, ErrorKind, Result};

/// The name of Docker Hub in files and helpers of Docker.
pub(super) const HUB_SERVER: &str = "https://index.docker.io/v1/";

const HUB: &str = "docker.io";

/// A normalised key: host, and part of a repository name if given.
pub(super) fn normal(key: &str) -> String {
    let key = key.trim();
    let lower = key.to_ascii_lowercase();
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| lower.starts_with(scheme).then(|| key.get(scheme.len()..))?);
    let (host, path) = match bare.unwrap_or(key).split_once('/') {
        Some((host, path)) => (host, path.trim_end_matches('/')),
        None => (bare.unwrap_or(key), ""),
    };
    let host = host.to_ascii_lowercase();
    let host = match host.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB,
        other => other,
    };
    // A path after a scheme is that of an API, and so are these two; anything else is a name.
    match path {
        "" | "v1" | "v2" => host.to_owned(),
        _ if bare.is_some() => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

/// The keys that fit a repository, the longest first; the last one is the registry itself.
pub(super) fn candidates(registry: &Registry, repository: Option<&RepositoryName>) -> Vec<String> {
    let host = normal(registry.as_str());
    let mut keys = Vec::new();
    let mut name = repository.map(RepositoryName::as_str);
    while let Some(part) = name {
        keys.push(format!("{host}/{part}"));
        name = part.rsplit_once('/').map(|(parent, _)| parent);
    }
    keys.push(host);
    keys
}

/// The server name for a helper, if no file states the name of the registry.
pub(super) fn server(registry: &Registry) -> String {
    if registry.is_docker_hub() {
        HUB_SERVER.to_owned()
    } else {
        registry.as_str().to_owned()
    }
}

/// The registry of a server name, in any spelling of files and helpers: `ghcr.io`,
/// `https://index.docker.io/v1/`.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is not a registry.
pub fn registry_of(server: &str) -> Result<Registry> {
    let key = normal(server);
    let host = key.split('/').next().unwrap_or_default();
    host.parse().map_err(|error: wharf_oci::RegistryError| {
        Error::new(ErrorKind::Invalid, error.to_string())
    })
}

/// The registry of a login: a host, with or without a scheme and the path of an API.
///
/// # Errors
/// As [`registry_of`]; also if it is a repository, because logins are for whole registries.
pub fn whole_registry(server: &str) -> Result<Registry> {
    let registry = registry_of(server)?;
    let bare = server.split_once("://").map_or(server, |(_, bare)| bare);
    let path = bare.trim().split_once('/').map_or("", |(_, path)| path);
    if matches!(path.trim_end_matches('/'), "" | "v1" | "v2") {
        return Ok(registry);
    }
    let message = format!("{server} is a part of a registry; logins are for all of {registry}");
    Err(Error::new(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hosts_in_many_spellings() {
        for (key, expected) in [
            ("ghcr.io", "ghcr.io"),
            ("https://GHCR.io/", "ghcr.io"),
            ("https://r.example:5000/v1/", "r.example:5000"),
            ("r.example:5000/v2/", "r.example:5000"),
            ("https://r.example/some/path", "r.example"),
            ("HTTP://r.example", "r.example"),
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io/library/app", "docker.io/library/app"),
            ("quay.io/team/", "quay.io/team"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(normal(key), expected, "{key}");
        }
    }

    #[test]
    fn logins_are_for_whole_registries() {
        for (text, expected) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/", "ghcr.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("localhost:5000/v2", "localhost:5000"),
        ] {
            assert_eq!(whole_registry(text).unwrap().as_str(), expected, "{text}");
        }
        for text in ["ghcr.io/team", "https://ghcr.io/team/app", "ghcr.io/v1/app"] {
            assert_eq!(
                whole_registry(text).unwrap_err().to_string(),
                format!("{text} is a part of a registry; logins are for all of ghcr.io")
            );
        }
    }

    #[test]
    fn the_longest_key_comes_first() {
        let registry = "quay.io".parse().unwrap();
        let name = "team/sub/app".parse().unwrap();
        assert_eq!(
            candidates(&registry, Some(&name)),
            [
                "quay.io/team/sub/app",
                "quay.io/team/sub",
                "quay.io/team",
                "quay.io"
            ]
        );
        assert_eq!(candidates(&registry, None), ["quay.io"]);
    }
}

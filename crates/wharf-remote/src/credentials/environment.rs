//! The places where Docker and Podman keep credentials, by the variables of an environment.

use std::ffi::OsString;
use std::io::ErrorKind as Io;
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::Chain;
use super::credential::Credentials;
use super::file::AuthFile;
use super::helper::Helpers;

/// What decides where Docker and Podman keep credentials. The library reads no environment: a program
/// passes its own, or any other.
///
/// ```
/// # mod wharf {
/// #     pub use wharf_remote::{Client, credentials};
/// # }
/// use std::sync::Arc;
///
/// use wharf::Client;
/// use wharf::credentials::{Chain, Environment};
///
/// let environment = Environment::of(|name| std::env::var_os(name));
/// let logins = Chain::docker_and_podman(&environment);
/// let client = Client::builder().credentials(Arc::new(logins));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `HOME`: the directory of the user.
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the directory of Docker's `config.json`, in place of `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: the file to use in place of Podman's.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: the directory of the user's session.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`: the directory of settings, in place of `~/.config`.
    pub xdg_config_home: Option<PathBuf>,
    /// `PATH`: where credential helpers are searched for.
    pub path: Vec<PathBuf>,
    /// The user id. Without a session Podman keeps credentials under it.
    pub user: Option<u32>,
}

impl Environment {
    /// The values of `variable`, which gives the value of a variable by its name. Empty ones count as
    /// absent, as does a relative path in `XDG_CONFIG_HOME`. The user is that of this process, on
    /// Linux.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| variable(name).filter(|value| !value.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        // The specification says to ignore relative paths.
        let base = |name| path(name).filter(|path| path.is_absolute());
        let programs = text("PATH").unwrap_or_default();
        Environment {
            home: path("HOME"),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            xdg_config_home: base("XDG_CONFIG_HOME"),
            path: std::env::split_paths(&programs).collect(),
            user: user(),
        }
    }

    /// The files of credentials, the first one first: Docker's, then Podman's. A file that
    /// `REGISTRY_AUTH_FILE` names precedes Docker's, unless `DOCKER_CONFIG` is set. They need not
    /// exist; those in a directory of another user are left out.
    pub fn files(&self) -> Vec<PathBuf> {
        let home = self.home.as_ref();
        let docker = self.docker_config.clone();
        let docker = docker.or_else(|| Some(home?.join(".docker")));
        let docker = docker.map(|directory| directory.join("config.json"));
        match &self.registry_auth_file {
            Some(file) if self.docker_config.is_none() => {
                std::iter::once(file.clone()).chain(docker).collect()
            }
            Some(file) => docker.into_iter().chain([file.clone()]).collect(),
            None => docker.into_iter().chain(self.podman()).collect(),
        }
    }

    /// Runs the credential helpers that the files name.
    pub fn helpers(&self) -> Helpers {
        Helpers::default().path(self.path.clone())
    }

    /// Podman's files (containers-auth.json(5)): that of the user's session, else the one under the
    /// user id, then the persistent one.
    fn podman(&self) -> impl Iterator<Item = PathBuf> {
        let of_user = |user| PathBuf::from(format!("/run/containers/{user}"));
        let containers = |directory: &PathBuf| directory.join("containers");
        let session = self.xdg_runtime_dir.as_ref().map(containers);
        let session = session.or_else(|| self.user.map(of_user));
        let home = self.home.as_ref().filter(|home| home.is_absolute());
        let settings = self.xdg_config_home.clone();
        let settings = settings.or_else(|| Some(home?.join(".config")));
        let lasting = settings.as_ref().map(containers);
        let files = session.into_iter().chain(lasting);
        let files = files.map(|directory| directory.join("auth.json"));
        // A directory of another user holds nothing for us.
        files.filter(|file| {
            let denied = |error: std::io::Error| error.kind() == Io::PermissionDenied;
            !file.metadata().is_err_and(denied)
        })
    }
}

impl Chain {
    /// The places of Docker and Podman in this environment, in the order of
    /// [`Environment::files`], with the helpers that they name.
    pub fn docker_and_podman(environment: &Environment) -> Self {
        let helpers = environment.helpers();
        let files = environment.files().into_iter();
        let places =
            files.map(|file| -> Arc<dyn Credentials> { Arc::new(AuthFile::new(file, &helpers)) });
        Chain::new(places.collect())
    }
}

/// The user id, on systems where Podman uses it for logins.
fn user() -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        // The user of a process owns its entry in /proc.
        std::fs::metadata("/proc/self").ok().map(|data| data.uid())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variable = |name: &str| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| OsString::from(value))
        };
        Environment {
            user: Some(7),
            ..Environment::of(variable)
        }
    }

    #[test]
    fn fault_l3_the_places_are_those_of_docker_and_podman_in_their_order() {
        let docker = "/home/me/.docker/config.json";
        let lasting = "/home/me/.config/containers/auth.json";
        for (variables, files) in [
            (&[][..], &["/run/containers/7/auth.json"][..]),
            (
                &[("HOME", "/home/me")],
                &[docker, "/run/containers/7/auth.json", lasting],
            ),
            (
                &[("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/user/7")],
                &[docker, "/run/user/7/containers/auth.json", lasting],
            ),
            (
                &[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "/settings")],
                &[
                    docker,
                    "/run/containers/7/auth.json",
                    "/settings/containers/auth.json",
                ],
            ),
            (
                &[("HOME", "/home/me"), ("REGISTRY_AUTH_FILE", "/auth")],
                &["/auth", docker],
            ),
            (
                &[
                    ("DOCKER_CONFIG", "/docker"),
                    ("REGISTRY_AUTH_FILE", "/auth"),
                ],
                &["/docker/config.json", "/auth"],
            ),
            // Relative or empty values count as absent, where the specifications say so.
            (
                &[
                    ("HOME", ""),
                    ("DOCKER_CONFIG", "docker"),
                    ("XDG_CONFIG_HOME", "x"),
                ],
                &["docker/config.json", "/run/containers/7/auth.json"],
            ),
        ] {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            assert_eq!(environment(variables).files(), files, "{variables:?}");
        }
    }

    #[tokio::test]
    async fn fault_l3_one_call_finds_what_docker_and_podman_wrote() {
        let home = tempfile::tempdir().unwrap();
        let docker = home.path().join(".docker");
        let podman = home.path().join("session/containers");
        for (directory, host) in [(&docker, "docker.example"), (&podman, "podman.example")] {
            std::fs::create_dir_all(directory).unwrap();
            let name = match directory == &docker {
                true => "config.json",
                false => "auth.json",
            };
            // me:secret
            let text = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#);
            std::fs::write(directory.join(name), text).unwrap();
        }
        let environment = Environment {
            home: Some(home.path().to_owned()),
            xdg_runtime_dir: Some(home.path().join("session")),
            ..Environment::default()
        };
        let chain = Chain::docker_and_podman(&environment);
        assert_eq!(chain.places().len(), 3);
        for host in ["docker.example", "podman.example"] {
            let found = chain.find(&host.parse().unwrap(), None).await.unwrap();
            assert!(found.is_some(), "{host}");
        }
        let other = chain.find(&"other.example".parse().unwrap(), None).await;
        assert_eq!(other.unwrap(), None);
    }
}

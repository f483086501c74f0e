//! Logging in and out: stores a credential where the file says, and removes it there.
//!
//! The file is replaced as a whole, so that no process reads half of it, and under a lock, so that
//! two logins at once lose nothing. Only its owner may read it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use wharf_oci::Registry;
use zeroize::Zeroizing;

use super::credential::{Credential, TOKEN_USER};
use super::document::malformed;
use super::file::{AuthFile, read};
use super::{edit, key};
use wharf_core::{Error, ErrorKind, Result, state};

/// Changes take milliseconds: a process that holds the lock for longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most links to follow, as in the system.
const LINKS: usize = 40;

/// The result of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The file or helper for credentials of the registry.
    pub place: String,
    /// Whether it had any, as far as known.
    pub known: bool,
    /// Entries of the file for parts of the registry, which remain.
    pub below: Vec<String>,
}

impl AuthFile {
    /// Stores `credential` for `registry`: in the helper that the file names for it, else in the
    /// file itself, which is made if missing. Returns the place.
    ///
    /// # Errors
    /// The error of the helper or the system; [`ErrorKind::Invalid`] if the file is malformed;
    /// [`ErrorKind::Unsupported`] for a credential that a helper cannot store.
    pub async fn keep(&self, registry: &Registry, credential: &Credential) -> Result<String> {
        let (helper, server) = self.place(registry).await?;
        let Some(helper) = helper else {
            self.change(server, Some(entry(credential))).await?;
            return Ok(self.path().display().to_string());
        };
        let (username, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::IdentityToken(token) => (TOKEN_USER, token),
            Credential::RegistryToken(_) => {
                let message = "a helper cannot store a token for the registry itself";
                return Err(Error::new(ErrorKind::Unsupported, message).target(helper));
            }
        };
        self.helpers()
            .store(&helper, &server, username, secret, self.path())
            .await?;
        // Docker lists in the file which registries a helper has.
        self.change(server, Some(Zeroizing::new("{}".to_owned())))
            .await?;
        Ok(format!("docker-credential-{helper}"))
    }

    /// Removes the credential for `registry`.
    ///
    /// # Errors
    /// As [`AuthFile::keep`]; if a helper fails, the entry is removed from the file anyway.
    pub async fn forget(&self, registry: &Registry) -> Result<Forgotten> {
        let (helper, server) = self.place(registry).await?;
        let mut known = self.path().exists() && self.change(server.clone(), None).await?;
        let document = self.document().await?.unwrap_or_default();
        let below = document.below(&key::normal(registry.as_str()));
        let place = match &helper {
            Some(helper) => {
                // Helpers do not report whether there was anything to erase.
                let kept = self.helpers().find(helper, &server, self.path()).await;
                known |= !matches!(kept, Ok(None));
                self.helpers().erase(helper, &server, self.path()).await?;
                format!("docker-credential-{helper}")
            }
            None => self.path().display().to_string(),
        };
        Ok(Forgotten {
            place,
            known,
            below,
        })
    }

    /// The helper for credentials of `registry`, and the registry's name there.
    async fn place(&self, registry: &Registry) -> Result<(Option<String>, String)> {
        let document = self.document().await?.unwrap_or_default();
        let keys = key::candidates(registry, None);
        let mut helpers = keys.iter().flat_map(|key| document.helpers(key, true));
        let helper = helpers.next().map(str::to_owned);
        Ok((helper, key::server(registry)))
    }

    /// Changes an entry. Returns whether the file changed.
    async fn change(&self, server: String, entry: Option<Zeroizing<String>>) -> Result<bool> {
        let path = self.path().to_owned();
        let changed = tokio::task::spawn_blocking(move || {
            let entry = entry.as_ref().map(|entry| entry.as_str());
            change(&path, &server, entry).map_err(|error| error.target(path.display()))
        });
        let gone = |error| Error::new(ErrorKind::Cancelled, "writing was cancelled").source(error);
        changed.await.map_err(gone)?
    }
}

fn entry(credential: &Credential) -> Zeroizing<String> {
    let field = |name: &str, text: &str| {
        let value = serde_json::Value::from(text);
        Zeroizing::new(format!("{{\"{name}\": {value}}}"))
    };
    match credential {
        Credential::Password { username, password } => {
            let plain = Zeroizing::new(format!("{username}:{}", password.expose()));
            let auth = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
            field("auth", &auth)
        }
        Credential::IdentityToken(token) => field("identitytoken", token.expose()),
        Credential::RegistryToken(token) => field("registrytoken", token.expose()),
    }
}

fn change(path: &Path, server: &str, entry: Option<&str>) -> Result<bool> {
    // A link stays a link: its target is replaced.
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(_) => followed(path)?,
    };
    if path.exists() && !path.is_file() {
        return Err(Error::new(ErrorKind::Invalid, "not a file"));
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    make(directory)?;
    let _lock = lock(&path)?;
    let old = read(&path)?.unwrap_or_default();
    let text = edit::with_entry(&old, server, entry).map_err(|error| malformed(&path, &error))?;
    let Some(text) = text else { return Ok(false) };
    // Only its owner may read it.
    state::replace(&path, text.as_bytes())?;
    Ok(true)
}

/// The target of links to a file that does not exist yet.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::new(ErrorKind::Invalid, "a dangling link"))
}

/// Makes the directory if it is missing, for its owner only.
fn make(directory: &Path) -> Result<()> {
    state::private_dir(directory).map_err(|error| match error.kind() {
        // The system means that it cannot be made.
        io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Invalid, "not a directory").target(directory.display())
        }
        _ => error.into(),
    })
}

/// Locks out other tasks and processes until it is dropped.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    state::lock(Path::new(&name), PATIENCE).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            let message = "another process has been changing it for ten seconds";
            Error::new(ErrorKind::Busy, message)
        }
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use wharf_testkit::process::executable;

    use super::*;
    use crate::credentials::{Credentials, Helpers};

    fn registry(name: &str) -> Registry {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_kept_is_found_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.json");
        let file = AuthFile::new(&path, &Helpers::default());
        let token = Credential::IdentityToken("it \"quoted\"".into());
        for (name, credential) in [
            (
                "r.example:5000",
                Credential::password("me", "pass:\u{e9}".into()),
            ),
            ("docker.io", token),
        ] {
            let place = file.keep(&registry(name), &credential).await.unwrap();
            assert_eq!(place, path.display().to_string());
            let found = file.find(&registry(name), None).await.unwrap().unwrap();
            assert_eq!(found.credential, credential);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("https://index.docker.io/v1/"), "{text}");
        file.forget(&registry("docker.io")).await.unwrap();
        assert_eq!(file.find(&registry("docker.io"), None).await.unwrap(), None);
        assert!(
            file.find(&registry("r.example:5000"), None)
                .await
                .unwrap()
                .is_some()
        );
    }

    #[tokio::test]
    async fn rule_10_logins_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = AuthFile::new(directory.path(), &Helpers::default());
        let names: Vec<String> = (0..20).map(|number| format!("r{number}.example")).collect();
        let logins = names.iter().map(|name| {
            let (file, registry) = (file.clone(), registry(name));
            async move {
                file.keep(&registry, &Credential::password("me", "p".into()))
                    .await
            }
        });
        for kept in futures::future::join_all(logins).await {
            kept.unwrap();
        }
        for name in &names {
            assert!(
                file.find(&registry(name), None).await.unwrap().is_some(),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn forgetting_says_whether_there_was_anything_and_what_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let file = AuthFile::new(&path, &Helpers::default());
        let host = registry("r.example");
        let forget = || file.forget(&host);
        assert!(!forget().await.unwrap().known);
        assert!(!path.exists());
        let text = r#"{"auths":{"r.example":{},"r.example/a/b":{},"r.example:1/c":{}}}"#;
        fs::write(&path, text).unwrap();
        for known in [true, false] {
            let forgotten = forget().await.unwrap();
            assert_eq!(forgotten.known, known);
            assert_eq!(forgotten.below, ["r.example/a/b"]);
            assert_eq!(forgotten.place, path.display().to_string());
        }
    }

    #[tokio::test]
    async fn the_file_forgets_also_where_a_helper_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let text = r#"{"credsStore":"gone","auths":{"r.example":{"auth":"bWU6aGlkZGVu"}}}"#;
        fs::write(&path, text).unwrap();
        let helpers = Helpers::default().directory(directory.path());
        let file = AuthFile::new(&path, &helpers);
        let error = file.forget(&registry("r.example")).await.unwrap_err();
        assert!(error.to_string().ends_with("is not installed"), "{error}");
        assert!(!fs::read_to_string(&path).unwrap().contains("r.example"));
    }

    #[tokio::test]
    async fn a_helper_that_kept_nothing_is_told_from_one_that_did() {
        let directory = tempfile::tempdir().unwrap();
        let helper = directory.path().join("docker-credential-test");
        // Like some helpers, it erases an absent entry without an error.
        let script = "#!/bin/sh\nkept=$(dirname $0)/kept\ncase $1 in\n\
            get) cat $kept 2> /dev/null || { echo credentials not found; exit 1; };;\n\
            erase) rm -f $kept;;\nesac\n";
        executable(&helper, script);
        let path = directory.path().join("config.json");
        fs::write(&path, r#"{"credsStore":"test"}"#).unwrap();
        let kept = r#"{"Username":"me","Secret":"hidden"}"#;
        fs::write(directory.path().join("kept"), kept).unwrap();
        let file = AuthFile::new(&path, &Helpers::default().directory(directory.path()));
        for known in [true, false] {
            let forgotten = file.forget(&registry("r.example")).await.unwrap();
            assert_eq!(forgotten.known, known);
            assert_eq!(forgotten.place, "docker-credential-test");
        }
    }

    #[tokio::test]
    async fn a_link_to_what_is_not_there_yet_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, place(name)).unwrap();
        link("second", "first");
        link("new/config.json", "second");
        let credential = Credential::password("me", "p".into());
        let file = AuthFile::new(place("first"), &Helpers::default());
        file.keep(&registry("r.example"), &credential)
            .await
            .unwrap();
        for name in ["first", "second"] {
            assert!(fs::symlink_metadata(place(name)).unwrap().is_symlink());
        }
        let text = fs::read_to_string(place("new/config.json")).unwrap();
        assert!(text.contains("r.example"), "{text}");
        link("round", "round");
        let file = AuthFile::new(place("round"), &Helpers::default());
        assert!(
            file.keep(&registry("r.example"), &credential)
                .await
                .is_err()
        );
        assert!(fs::symlink_metadata(place("round")).unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn rule_4_a_pipe_stays_a_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("config.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let filled = pipe.clone();
        let filling = std::thread::spawn(move || fs::write(filled, "{}"));
        let file = AuthFile::new(&pipe, &Helpers::default());
        let credential = Credential::password("me", "p".into());
        let error = file.keep(&registry("r.example"), &credential).await;
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("config.json: not a file"), "{error}");
        filling.join().unwrap().unwrap();
        assert!(!fs::metadata(&pipe).unwrap().is_file());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_malformed_file_is_left_alone_and_a_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "{\"auths\": oops").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let file = AuthFile::new(&link, &Helpers::default());
        let credential = Credential::password("me", "p".into());
        let error = file
            .keep(&registry("r.example"), &credential)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "{\"auths\": oops");
        fs::write(&target, "").unwrap();
        file.keep(&registry("r.example"), &credential)
            .await
            .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&target).unwrap().contains("r.example"));
    }

    #[tokio::test]
    async fn a_helper_keeps_what_the_file_says_it_keeps() {
        let directory = tempfile::tempdir().unwrap();
        let helper = directory.path().join("docker-credential-test");
        let script = "#!/bin/sh\ncase $1 in\nstore) cat > $(dirname $0)/kept;;\n\
            get) sed s/ServerURL/X/ $(dirname $0)/kept;;\nerase) cat > $(dirname $0)/erased;;\nesac\n";
        executable(&helper, script);
        let path = directory.path().join("config.json");
        fs::write(&path, r#"{"credsStore":"test"}"#).unwrap();
        let file = AuthFile::new(&path, &Helpers::default().directory(directory.path()));
        let credential = Credential::password("me", "hidden".into());
        let place = file
            .keep(&registry("r.example"), &credential)
            .await
            .unwrap();
        assert_eq!(place, "docker-credential-test");
        assert!(!fs::read_to_string(&path).unwrap().contains("hidden"));
        let found = file
            .find(&registry("r.example"), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.credential, credential);
        file.forget(&registry("r.example")).await.unwrap();
        let erased = fs::read_to_string(directory.path().join("erased")).unwrap();
        assert_eq!(erased, "r.example");
        assert!(!fs::read_to_string(&path).unwrap().contains("r.example"));
    }
}

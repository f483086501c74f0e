//! A file of credentials: Docker's `config.json` or Podman's `auth.json`.
//!
//! The longest fitting key decides. For each key its own helper is tried first, then, for the whole
//! registry, the helper for all, then the file itself. What fails is reported and passed over.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use wharf_oci::{Registry, RepositoryName};
use zeroize::Zeroizing;

use super::credential::{Credential, Credentials, Found};
use super::document::Document;
use super::helper::Helpers;
use super::key;
use wharf_core::{Error, ErrorKind, Result};

/// The most bytes of such a file; usual ones have a few hundred.
const LIMIT: u64 = 4 << 20;

/// How long a pipe may take: its writer may ask the user to unlock something.
const LIMIT_OF_PIPES: Duration = Duration::from_secs(60);

/// A file of credentials, which may be absent. A pipe, such as a shell's `<(command)`, is read
/// once.
#[derive(Clone, Debug)]
pub struct AuthFile {
    path: PathBuf,
    helpers: Helpers,
    piped: Arc<Piped>,
    /// How long a pipe may take.
    limit: Duration,
}

/// The result of reading a pipe.
#[derive(Debug, Default)]
struct Piped {
    document: OnceCell<Arc<Document>>,
    /// The end of the wait.
    end: OnceLock<Instant>,
}

impl AuthFile {
    /// The file at `path`, or `config.json` in the directory at `path`. `helpers` runs the helpers
    /// that it names.
    pub fn new(path: impl Into<PathBuf>, helpers: &Helpers) -> Self {
        let path = path.into();
        let path = match path.is_dir() {
            true => path.join("config.json"),
            false => path,
        };
        AuthFile {
            path,
            helpers: helpers.clone(),
            piped: Arc::default(),
            limit: LIMIT_OF_PIPES,
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn helpers(&self) -> &Helpers {
        &self.helpers
    }

    /// The parsed file; `None` if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, or is malformed.
    pub(super) async fn document(&self) -> Result<Option<Arc<Document>>> {
        let once = tokio::fs::metadata(&self.path).await;
        if !once.is_ok_and(|data| !data.is_file() && !data.is_dir()) {
            return self.read().await;
        }
        let end = || Instant::now() + self.limit;
        let end = *self.piped.end.get_or_init(end);
        let read = || async {
            // A thread that waits for a pipe to open cannot be woken, so only one is left behind.
            if Instant::now() >= end {
                return Err(self.late());
            }
            let read = tokio::time::timeout_at(end, self.read()).await;
            Ok(read
                .unwrap_or_else(|_| Err(self.late()))?
                .unwrap_or_default())
        };
        let document: Result<&Arc<Document>> = self.piped.document.get_or_try_init(read).await;
        document.map(|document| Some(Arc::clone(document)))
    }

    fn late(&self) -> Error {
        let seconds = self.limit.as_secs_f64();
        let message = format!("no text came within {seconds} s");
        let error = Error::new(ErrorKind::Timeout, message).transient(false);
        error.target(self.path.display())
    }

    async fn read(&self) -> Result<Option<Arc<Document>>> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || match read(&path)? {
            Some(bytes) => Document::parse(&path, &bytes).map(|document| Some(Arc::new(document))),
            None => Ok(None),
        });
        let gone = |error| Error::new(ErrorKind::Cancelled, "reading was cancelled").source(error);
        read.await.map_err(gone)?
    }
}

#[async_trait]
impl Credentials for AuthFile {
    async fn find(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Found>> {
        let document = self.document().await.inspect_err(|error| {
            let place = self.path.display().to_string();
            self.helpers.failures().tell(&place, error);
        })?;
        let Some(document) = document else {
            return Ok(None);
        };
        let mut failure = None;
        let keys = key::candidates(registry, repository);
        for (index, key) in keys.iter().enumerate() {
            let whole = index + 1 == keys.len();
            let server = match (document.written(key), whole) {
                (Some(written), _) => written.to_owned(),
                (None, true) => key::server(registry),
                (None, false) => key.clone(),
            };
            let mut failed = |place: &str, error: Error| {
                self.helpers.failures().tell(place, &error);
                failure.get_or_insert(error);
            };
            for helper in document.helpers(key, whole) {
                let place = format!("docker-credential-{helper}");
                match self.helpers.find(helper, &server, &self.path).await {
                    Ok(None) => {}
                    Ok(Some(credential)) => {
                        return Ok(Some(found(credential, place, server, whole)));
                    }
                    Err(error) => failed(&place, error),
                }
            }
            let place = self.path.display().to_string();
            match document.credential(&self.path, key) {
                Ok(None) => {}
                Ok(Some(credential)) => return Ok(Some(found(credential, place, server, whole))),
                Err(error) => failed(&place, error),
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(None),
        }
    }

    fn places(&self) -> Vec<String> {
        vec![self.path.display().to_string()]
    }
}

/// A credential found in `place` under `entry`, which is for the whole registry or a part of it.
fn found(credential: Credential, place: String, entry: String, whole: bool) -> Found {
    let (source, entry) = match whole {
        true => (place, None),
        false => (format!("{place} ({entry})"), Some(entry)),
    };
    Found {
        credential,
        source,
        entry,
    }
}

/// The bytes of a file; `None` if there is none.
///
/// # Errors
/// The system's error; [`ErrorKind::Invalid`] if it is too long.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let failed = |error| Error::io(path.display(), error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Allocated at full size: growing would leave copies of secrets behind.
    let size = file.metadata().map_or(0, |data| data.len().min(LIMIT));
    let size = usize::try_from(size).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("longer than {LIMIT} bytes: no file of credentials");
        return Err(Error::new(ErrorKind::Invalid, message).target(path.display()));
    }
    Ok(Some(bytes))
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(document: &str, registry: &str, repository: Option<&str>) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), document).unwrap();
        let file = AuthFile::new(directory.path(), &Helpers::default());
        let repository = repository.map(|name| name.parse().unwrap());
        let found = file
            .find(&registry.parse().unwrap(), repository.as_ref())
            .await
            .unwrap()?;
        match found.credential {
            Credential::Password { username, .. } => Some(username),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_longest_key_decides() {
        let document = r#"{"auths":{
            "quay.io": {"username":"all","password":"p"},
            "quay.io/team": {"username":"team","password":"p"},
            "quay.io/team/app": {"username":"app","password":"p"},
            "quay.io/te": {"username":"wrong","password":"p"}
        }}"#;
        for (repository, expected) in [
            (Some("team/app"), "app"),
            (Some("team/app/sub"), "app"),
            (Some("team/other"), "team"),
            (Some("teams/app"), "all"),
            (None, "all"),
        ] {
            let found = find(document, "quay.io", repository).await;
            assert_eq!(found.as_deref(), Some(expected), "{repository:?}");
        }
        assert_eq!(find(document, "quay.io:5000", None).await, None);
    }

    #[tokio::test]
    async fn an_entry_for_a_part_of_a_registry_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let document = r#"{"auths":{
            "quay.io": {"username":"all","password":"p"},
            "QUAY.io/team": {"username":"team","password":"p"}
        }}"#;
        let path = directory.path().join("auth.json");
        std::fs::write(&path, document).unwrap();
        let file = AuthFile::new(&path, &Helpers::default());
        let registry = "quay.io".parse().unwrap();
        for (repository, entry) in [("team/app", Some("QUAY.io/team")), ("other", None)] {
            let repository = repository.parse().unwrap();
            let found = file.find(&registry, Some(&repository)).await.unwrap();
            let found = found.unwrap();
            assert_eq!(found.entry.as_deref(), entry);
            let entry = entry.map(|entry| format!(" ({entry})"));
            let expected = format!("{}{}", path.display(), entry.unwrap_or_default());
            assert_eq!(found.source, expected);
        }
    }

    #[tokio::test]
    async fn an_empty_helper_is_none() {
        let document = r#"{"credsStore":"nowhere","credHelpers":{"quay.io":""},"auths":{
            "quay.io": {"username":"me","password":"p"}
        }}"#;
        let found = find(document, "quay.io", None).await;
        assert_eq!(found.as_deref(), Some("me"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_pipe_that_nobody_writes_to_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut file = AuthFile::new(&pipe, &Helpers::default());
        file.limit = Duration::from_millis(50);
        let registry = Registry::docker_hub();
        let find = || file.find(&registry, None);
        let answers = [find().await, find().await];
        // Frees the thread that still waits: opening for reading and writing succeeds at once.
        let mut both = std::fs::File::options();
        drop(both.read(true).write(true).open(&pipe).unwrap());
        for answer in answers {
            let error = answer.unwrap_err();
            let line = format!("{}: no text came within 0.05 s", pipe.display());
            assert_eq!(error.to_string(), line);
            assert!(!error.is_transient());
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_comes_of_a_pipe_is_kept() {
        use std::io::Write;
        use std::os::fd::AsRawFd;

        let (reader, mut writer) = io::pipe().unwrap();
        let document = br#"{"auths":{"quay.io":{"username":"me","password":"p"}}}"#;
        writer.write_all(document).unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let file = AuthFile::new(path, &Helpers::default());
        for registry in ["quay.io", "other.example", "quay.io"] {
            let found = file.find(&registry.parse().unwrap(), None).await.unwrap();
            assert_eq!(found.is_some(), registry == "quay.io");
        }
        // It cannot store anything.
        let credential = Credential::password("me", "p".into());
        let error = file.keep(&"quay.io".parse().unwrap(), &credential).await;
        assert!(error.is_err());
    }

    #[tokio::test]
    async fn docker_hub_goes_by_many_names() {
        for key in [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            "https://index.docker.io/v1/",
        ] {
            let document =
                format!(r#"{{"auths":{{"{key}":{{"username":"hub","password":"p"}}}}}}"#);
            for registry in ["docker.io", "index.docker.io"] {
                let found = find(&document, registry, Some("library/app")).await;
                assert_eq!(found.as_deref(), Some("hub"), "{key} {registry}");
            }
        }
    }

    /// Counts what is reported.
    #[derive(Debug, Default)]
    struct Told(std::sync::Mutex<Vec<String>>);

    impl crate::credentials::CredentialsObserver for Told {
        fn on_failure(&self, error: &Error) {
            self.0.lock().unwrap().push(error.to_string());
        }
    }

    #[tokio::test]
    async fn fault_b10_a_helper_that_failed_is_reported_once_and_hides_nothing() {
        use wharf_testkit::process::executable;

        let directory = tempfile::tempdir().unwrap();
        for (name, script) in [
            ("odd", "echo what?"),
            ("killed", "kill -9 $$"),
            ("silent", "exec sleep 1000"),
        ] {
            let path = directory.path().join(format!("docker-credential-{name}"));
            executable(&path, &format!("#!/bin/sh\n{script}\n"));
        }
        for (name, why) in [
            ("missing", "is not installed"),
            ("odd", "it printed no credential"),
            ("killed", "signal: 9 (SIGKILL)"),
            ("silent", "did not end within 1 s"),
            ("../odd", "is not the name of a credential helper"),
        ] {
            let told = Arc::new(Told::default());
            let helpers = Helpers::default().directory(directory.path());
            let helpers = helpers
                .limit(Duration::from_secs(1))
                .observer(Arc::clone(&told) as _);
            let path = directory.path().join("config.json");
            let text = format!(
                r#"{{"credsStore":"{name}","auths":{{
                    "quay.io":{{"username":"me","password":"p"}}}}}}"#
            );
            std::fs::write(&path, text).unwrap();
            let file = AuthFile::new(&path, &helpers);
            let find = async |registry: &str| file.find(&registry.parse().unwrap(), None).await;
            assert!(find("quay.io").await.unwrap().is_some(), "{name}");
            let error = find("other.example").await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            find("third.example").await.unwrap_err();
            let told = told.0.lock().unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains(why), "{told:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_knows_nothing() {
        let file = AuthFile::new("/nonexistent/auth.json", &Helpers::default());
        let found = file.find(&Registry::docker_hub(), None).await.unwrap();
        assert_eq!(found, None);
    }
}
